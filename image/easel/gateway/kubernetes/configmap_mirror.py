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
from easel.remark import remark

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
        trouble = ""
        if why := self.reflector.trouble:
            trouble = remark("config_not_followed", "the configuration is not followed: {why}", why=why)
        if not trouble and self.reflector.listed.is_set() and self._dirty:
            files, trouble = files_of(self.reflector.objects.values())
            if not trouble:
                trouble = self._write(files)
            self._dirty = bool(trouble)
        if trouble != self._trouble:
            words = "{why}; what was read last goes on"
            again = remark("config_again", "it is followed again")
            self._say(remark("config_goes_on", words, why=trouble) if trouble else again)
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
            words = "the configuration cannot be written to {folder}: {why}"
            return remark("config_not_written", words, folder=str(self._folder), why=error)
        return ""


def files_of(maps: Iterable[Object]) -> tuple[dict[str, str], str]:
    """The files that ConfigMaps hold, by name, and why they cannot be used ("" if they can)."""
    files: dict[str, str] = {}
    for one in maps:
        whose = str(one["metadata"]["name"])
        for name, text in (one.get("data") or {}).items():
            if not _FILE.fullmatch(name):
                words = "ConfigMap {map} has {name}, which is no name of a configuration file"
                return {}, remark("config_map_name", words, map=whose, name=repr(name))
            if name in files:
                words = "ConfigMap {map} has {name}, which another ConfigMap has too"
                return {}, remark("config_map_twice", words, map=whose, name=name)
            try:
                parsed = json.loads(text)
            except ValueError as error:
                words = "ConfigMap {map}: {name} is not JSON ({why})"
                return {}, remark("config_map_json", words, map=whose, name=name, why=error)
            if not isinstance(parsed, dict):
                words = "ConfigMap {map}: {name} is not a JSON object"
                return {}, remark("config_map_object", words, map=whose, name=name)
            files[name] = text
    if _TEAM not in files:
        words = "no ConfigMap with the label {label} has {name}: `pulumi up` writes it"
        return {}, remark("config_map_missing", words, label=LABEL, name=_TEAM)
    return files, ""
