"""Keeps EASEL_HOME/config as the team's ConfigMaps are: those with the label `easel/config`.

What cannot be used leaves the last good files as they are, with an event that says why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from easel.gateway.disk import write_private
from easel.gateway.kubernetes.api import KubernetesApi, Object
from easel.gateway.kubernetes.reflector import Reflector

LABEL = "easel/config=true"
_TEAM = "team.json"
_FILE = re.compile(r"[a-z][a-z0-9-]{0,39}\.json")


class ConfigMapMirror:
    """Writes what changed. `say` hears, once each, of what goes wrong and when it goes well again; `news`
    that it is time to `sync`."""

    def __init__(
        self, api: KubernetesApi, folder: Path, say: Callable[[str], None], news: Callable[[], None]
    ) -> None:
        self.reflector = Reflector(
            api, api.path("configmaps"), selected={"labelSelector": LABEL}, changed=self._changed
        )
        self._folder = folder
        self._say = say
        self._news = news
        self._written: dict[str, str] = {}
        self._dirty = True
        self._trouble = ""

    def _changed(self, before: Object | None, now: Object | None) -> None:
        self._dirty = True
        self._news()

    def sync(self) -> bool:
        """Have the files as the ConfigMaps are; whether they are. Writes small files: on the loop."""
        trouble = self.reflector.trouble and f"the configuration is not followed: {self.reflector.trouble}"
        if not trouble and self.reflector.listed.is_set() and self._dirty:
            files, trouble = files_of(self.reflector.objects.values())
            if not trouble:
                trouble = self._write(files)
            self._dirty = bool(trouble)
        if trouble != self._trouble:
            self._say(f"{trouble}; what was read last goes on" if trouble else "it is followed again")
            self._trouble = trouble
        return self.reflector.listed.is_set() and not trouble

    @property
    def trouble(self) -> str:
        """Why the files are not what they should be."""
        return self._trouble or f"no ConfigMap with the label {LABEL} was read yet"

    def _write(self, files: Mapping[str, str]) -> str:
        try:
            # The team last: it names the endpoints, whose files must be there by then.
            for name in sorted(files, key=lambda one: one == _TEAM):
                if self._written.get(name) != files[name]:
                    write_private(self._folder / name, files[name])
                    self._written[name] = files[name]
            for path in self._folder.glob("*.json"):
                if path.name not in files:
                    path.unlink(missing_ok=True)
                    self._written.pop(path.name, None)
        except OSError as error:
            return f"the configuration cannot be written to {self._folder}: {error}"
        return ""


def files_of(maps: Iterable[Object]) -> tuple[dict[str, str], str]:
    """The files that ConfigMaps hold, by name, and why they cannot be used ("" if they can)."""
    files: dict[str, str] = {}
    for one in maps:
        whose = f"ConfigMap {one['metadata']['name']}"
        for name, text in (one.get("data") or {}).items():
            if not _FILE.fullmatch(name):
                return {}, f"{whose} has {name!r}, which is no name of a configuration file"
            if name in files:
                return {}, f"{whose} has {name}, which another ConfigMap has too"
            try:
                parsed = json.loads(text)
            except ValueError as error:
                return {}, f"{whose}: {name} is not JSON ({error})"
            if not isinstance(parsed, dict):
                return {}, f"{whose}: {name} is not a JSON object"
            files[name] = text
    if _TEAM not in files:
        return {}, f"no ConfigMap with the label {LABEL} has {_TEAM}: `pulumi up` writes it"
    return files, ""
