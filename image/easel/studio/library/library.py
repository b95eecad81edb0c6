"""The studio's models, as page and API speak of them: look at one, bring it in, see what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, Field

from easel.models import (
    BadAddress,
    CivitaiSource,
    FetchLimits,
    HubSource,
    IndexEntry,
    Intake,
    Kind,
    ModelRequest,
    Store,
    destination,
    http_client,
    preview_of,
    quota_of,
    read_info,
    secrets_of,
    source_of,
    walk,
)
from easel.studio.activity import Activity
from easel.studio.fetch_policy import visitors_policy
from easel.studio.library.background_job import BackgroundJob, JobSpec
from easel.studio.library.background_jobs import BackgroundJobs
from easel.studio.library.card import Card, word_of
from easel.studio.library.civitai import Civitai, understood
from easel.studio.library.plain_text import line
from easel.studio.library.previews import NoPicture, Previews
from easel.studio.library.remote_jobs import RemoteJob, RemoteJobs
from easel.studio.library.scan import Scan
from easel.studio.library.store_changes import StoreChanges
from easel.studio.library.stored_models import NewerVersion, StoredModel, StoredModels

KINDS: Mapping[str, Kind] = {word_of(kind): kind for kind in Kind}
_MOST_FOLDERS = 500


class Downloaded(BaseModel):
    """A model that is in the store."""

    kind: str
    name: str = Field(description="the path below the kind's folder")
    title: str = Field(description="what selectors and API call it")
    size: int = Field(description="bytes")
    sha256: str = ""
    base_model: str = ""
    training: str = Field("", description="what a checkpoint predicts, where a file says so, and which")
    trained_words: list[str] = []
    model: str = Field("", description="Civitai's name of the model")
    version: str = ""
    page: str = ""
    preview: bool = False
    problem: str = Field("", description="why it is of no use")


class Library:
    """One for each studio. Thread-safe."""

    def __init__(
        self, store: Store, activity: Activity, *, endpoint: str = "studio", limits: FetchLimits | None = None
    ) -> None:
        """Its replicas tell each other of the jobs of `endpoint`, through the store that they share."""
        self._store = store
        self._policy = visitors_policy()
        self._limits = limits or FetchLimits()
        self.jobs = BackgroundJobs(activity, RemoteJobs(store.root / ".easel" / "jobs" / endpoint))
        self.pictures = Previews(self._policy)
        self.changes = StoreChanges(store)
        """Who shows models listens here."""
        self._stored = StoredModels(store)

    def card(self, text: str) -> Card:
        """What is at the address that somebody pasted. Raises SourceError."""
        secrets = secrets_of()
        source = source_of(understood(text), secrets=secrets, policy=self._policy)
        with http_client(self._policy, connections=2) as http:
            if isinstance(source, CivitaiSource):
                return Civitai(secrets, self._policy).card(source, http, self.pictures.keep)
            offer = source.offer(http)
        name = line(offer.name) or source.address
        return Card(
            source="hub" if isinstance(source, HubSource) else "web", address=source.address, name=name
        )

    def download(
        self, owner: str, address: str, *, kind: str = "", folder: str = "/", name: str = "", sha256: str = ""
    ) -> BackgroundJob:
        """Start a download, or join the one that is under way. Raises SourceError, FileError, TooManyJobs."""
        wanted = _kind(kind)
        source = source_of(understood(address), secrets=secrets_of(), policy=self._policy)
        # What cannot be is told now, not after the wait for a worker.
        destination(self._store, wanted or Kind.CHECKPOINT, folder, name or "model")
        wish = ModelRequest(
            understood(address), wanted, "" if folder.strip() in ("", "/") else folder, name, sha256
        )
        key = "\n".join((source.key, kind, wish.folder.strip("/"), name))
        title = line(name or source.address)
        return self.jobs.start(owner, JobSpec("download", key, title, partial(self._add, wish)))

    def scan(self, owner: str) -> BackgroundJob:
        """Start to look for every file on Civitai. Raises TooManyJobs, BadAddress."""
        return self.jobs.start(owner, JobSpec("scan", "", "Scan of the folders", self._scanner().find))

    def updates(self, owner: str) -> BackgroundJob:
        """Start to look for newer versions. Raises TooManyJobs, BadAddress."""
        return self.jobs.start(owner, JobSpec("updates", "", "New versions", self._scanner().updates))

    def folders(self, kind: str) -> list[str]:
        """The folders that a model of a kind may go to, "/" first. Raises BadAddress."""
        top = self._store.folder(_kind(kind) or Kind.CHECKPOINT)
        found: list[str] = []
        for here, names, _ in walk(top):
            names[:] = [one for one in names if not one.startswith(".")]
            found += [(here / one).relative_to(top).as_posix() for one in names]
            if len(found) > _MOST_FOLDERS:
                break
        return ["/", *sorted(one for one in found if one.isprintable())[:_MOST_FOLDERS]]

    def files(self) -> list[Downloaded]:
        """Every model of the store, the newest first."""
        # Another replica may have brought some in.
        self._store.refresh()
        return [
            self._downloaded(entry) for entry in sorted(self._store.index(), key=lambda one: -one.file.mtime)
        ]

    def models(self) -> list[StoredModel]:
        """Every model as a card, with the newer version that the last look for them found."""
        self._store.refresh()
        made = self._stored.all(self._newer())
        # Who has brought the newer one in is not told of it any more.
        here = {one.version_id for one in made if one.version_id}
        return [
            one.model_copy(update={"newer": None})
            if one.newer and _version_in(one.newer.address) in here
            else one
            for one in made
        ]

    def _newer(self) -> dict[tuple[str, str], NewerVersion]:
        looks = (
            job.view() for job in self.jobs.all() if isinstance(job, RemoteJob) or job.spec.kind == "updates"
        )
        last = next((one for one in looks if one.kind == "updates" and one.result), None)
        return {
            (one["kind"], one["name"]): NewerVersion(
                version=one["version"],
                base_model=one["base_model"],
                early_access=one["early_access"],
                address=one["address"],
            )
            for one in (last.result or {}).get("newer", ())
        } if last else {}  # fmt: skip

    def picture_of(self, kind: str, name: str) -> bytes:
        """The preview beside a file, as WebP. Raises NoPicture, BadAddress."""
        wanted = _kind(kind) or Kind.CHECKPOINT
        file = next((file for file in self._store.files(wanted) if file.name == name), None)
        preview = preview_of(file.path) if file else None
        if preview is None:
            raise NoPicture("there is no such file, or no preview beside it")
        return self.pictures.of_file(preview)

    def _add(self, wish: ModelRequest, job: BackgroundJob) -> dict[str, Any]:
        intake = Intake(
            self._store,
            policy=self._policy,
            secrets=secrets_of(),
            quota=quota_of(os.environ),
            limits=self._limits,
            watcher=job.tell,
            stopped=job.stopped,
        )
        added = intake.add(wish)
        self._store.refresh()
        self.changes.look()
        entry = next((one for one in self._store.index(added.file.kind) if one.file == added.file), None)
        found = self._downloaded(entry).model_dump() if entry else None
        return {"fetched": added.fetched, "file": found}

    def _scanner(self) -> Scan:
        return Scan(self._store, Civitai(secrets_of(), self._policy), self._policy)

    def _downloaded(self, entry: IndexEntry) -> Downloaded:
        file = entry.file
        info = read_info(file.path)
        said = info.get("model")
        model = info.get("modelId")
        service = (os.environ.get("CIVITAI_ENDPOINT") or "https://civitai.com").rstrip("/")
        return Downloaded(
            kind=word_of(file.kind),
            name=file.name,
            title=file.title,
            size=file.size,
            sha256=entry.sha256,
            base_model=line(entry.base_model, 60),
            training=line(entry.training, 300),
            trained_words=[text for each in entry.trained_words[:60] if (text := line(each))],
            model=line(said.get("name")) if isinstance(said, dict) else "",
            version=line(info.get("name")),
            page=f"{service}/models/{model}" if isinstance(model, int) else "",
            preview=entry.preview is not None,
            problem=line(entry.problem, 300),
        )


def _version_in(address: str) -> int:
    return int(address.rpartition("=")[2] or 0)


def _kind(word: str) -> Kind | None:
    if not word:
        return None
    if word.lower() not in KINDS:
        raise BadAddress("type", f"is {word[:40]!r}; it may be {', '.join(KINDS)}")
    return KINDS[word.lower()]
