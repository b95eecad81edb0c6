"""Files that came by other ways, found on Civitai by their hash; newer versions of those that are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

from easel.models import (
    CIVITAI_INFO,
    FetchPolicy,
    Interrupted,
    Kind,
    ModelFile,
    NotThere,
    Offer,
    SourceError,
    Store,
    TooManyRequests,
    http_client,
    preview_of_info,
    read_info,
    sidecar_path,
    write_civitai_files,
)
from easel.remark import remark
from easel.studio.library.background_job import BackgroundJob
from easel.studio.library.card import tables, word_of
from easel.studio.library.civitai import Civitai
from easel.studio.library.plain_text import line

Found = TypeVar("Found")
# Between two questions, as Civitai Helper has it.
_BETWEEN = 0.2
_PAUSE, _LONGEST_PAUSE, _PAUSES = 60.0, 900.0, 5


class Scan:
    """Both walks through the store. `between` is in seconds."""

    def __init__(
        self, store: Store, civitai: Civitai, policy: FetchPolicy, between: float = _BETWEEN
    ) -> None:
        self._store, self._civitai, self._policy, self._between = store, civitai, policy, between

    def find(self, job: BackgroundJob) -> dict[str, Any]:
        """Write information and preview beside every file that has none. Raises Interrupted, SourceError."""
        self._store.refresh()
        files = [one for one in self._files() if not sidecar_path(one.path, CIVITAI_INFO).exists()]
        matched: list[str] = []
        unknown: list[str] = []
        failed: list[dict[str, str]] = []
        with http_client(self._policy, connections=2) as http:
            for number, file in enumerate(files):
                words = "{n} of {most}: reading {name}"
                job.say(
                    remark("scan_reading", words, n=number, most=len(files), name=file.name),
                    number, len(files),
                )  # fmt: skip
                self._stop(job, number, len(files))
                try:
                    sha256 = self._store.hash_now(file.path)
                    info = self._ask(job, lambda h=sha256: self._info(http, h))  # type: ignore[misc]
                    write_civitai_files(
                        file.path,
                        Offer("", info=info, preview=preview_of_info(info)),
                        self._policy,
                        new=False,
                    )
                    matched.append(file.name)
                except NotThere:
                    unknown.append(file.name)
                except OSError as error:
                    failed.append({"name": file.name, "why": error.strerror or type(error).__name__})
        self._store.refresh()
        words = "{n} of {most} found on Civitai, {missing} are not there"
        job.say(
            remark("scan_found", words, n=len(matched), most=len(files), missing=len(unknown)),
            len(files), len(files),
        )  # fmt: skip
        return {"matched": matched, "unknown": unknown, "failed": failed}

    def updates(self, job: BackgroundJob) -> dict[str, Any]:
        """The newest version of each model that has a newer one. Raises Interrupted, SourceError."""
        self._store.refresh()
        here: dict[int, list[tuple[ModelFile, int]]] = {}
        for file in self._files():
            info = read_info(file.path)
            model, version = info.get("modelId"), info.get("id")
            if isinstance(model, int) and isinstance(version, int) and model > 0:
                here.setdefault(model, []).append((file, version))
        newer: list[dict[str, Any]] = []
        gone: list[str] = []
        with http_client(self._policy, connections=2) as http:
            for number, (model, files) in enumerate(here.items()):
                words = "{n} of {most}: asking for {name}"
                job.say(
                    remark("scan_asking", words, n=number, most=len(here), name=files[0][0].name),
                    number, len(here),
                )  # fmt: skip
                self._stop(job, number, len(here))
                try:
                    found = self._ask(job, lambda m=model: self._civitai.model(http, m))  # type: ignore[misc]
                except NotThere:
                    gone += [file.name for file, _ in files]
                    continue
                newer += newest(found, model, files)
        words = f"{len(newer)} of {len(here)} models have a newer version"
        job.say(words, len(here), len(here))
        return {"newer": newer, "gone": gone, "asked": len(here)}

    def _info(self, http: httpx.Client, sha256: str) -> dict[str, Any]:
        found = self._civitai.by_hash(http, sha256)
        model, version = found.get("modelId"), found.get("id")
        if not isinstance(model, int) or not isinstance(version, int):
            raise NotThere(sha256[:10], "Civitai's answer names no version")
        return self._civitai.version(http, model, version)

    def _ask(self, job: BackgroundJob, question: Callable[[], Found]) -> Found:
        """The answer, after as long a pause as Civitai wants."""
        for left in range(_PAUSES, -1, -1):
            if job.pause(self._between):
                raise Interrupted(job.title, 0, None)
            try:
                return question()
            except TooManyRequests as error:
                if not left:
                    raise
                wait = min(error.retry_after or _PAUSE, _LONGEST_PAUSE)
                view = job.view()
                words = "Civitai wants a pause of {n} s"
                job.say(remark("scan_pause", words, n=round(wait)), view.done, view.total)
                if job.pause(wait):
                    raise Interrupted(job.title, 0, None) from None
        raise SourceError(job.title, "Civitai gives no answer")

    def _files(self) -> list[ModelFile]:
        # A folder of diffusers' has a hash that nobody but easel knows it by.
        return [file for kind in Kind for file in self._store.files(kind) if not file.path.is_dir()]

    @staticmethod
    def _stop(job: BackgroundJob, done: int, total: int) -> None:
        if job.cancelled:
            raise Interrupted(job.title, done, total)


def newest(found: Mapping[str, Any], model: int, here: list[tuple[ModelFile, int]]) -> list[dict[str, Any]]:
    """What to offer for a model of which `here` are the files and versions: nothing, or its newest version.

    Civitai lists versions with the newest first.
    """
    listed = [one for one in tables(found.get("modelVersions")) if isinstance(one.get("id"), int)]
    mine = {version for _, version in here}
    places = [place for place, one in enumerate(listed) if one["id"] in mine]
    if not listed or not places or places[0] == 0:
        return []
    file = next(file for file, version in here if version == listed[places[0]]["id"])
    first = listed[0]
    return [
        {
            "name": file.name,
            "kind": word_of(file.kind),
            "model": line(found.get("name")),
            "version": line(first.get("name")),
            "base_model": line(first.get("baseModel"), 60),
            "early_access": first.get("availability") == "EarlyAccess",
            "address": f"civitai://models/{model}?version={first['id']}",
        }
    ]
