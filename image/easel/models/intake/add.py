"""One model into the store, from its address to its name, its record and what belongs beside it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import structlog

from easel.models.architecture import identify
from easel.models.errors import FileError, NotSafetensors, UnknownArchitecture, WrongKind
from easel.models.fetch.download import Download, DownloadSource, DownloadTarget, Fetched
from easel.models.fetch.follower import not_a_model
from easel.models.fetch.network import http_client
from easel.models.fetch.origin import Changed, Origin, Trouble
from easel.models.fetch.partial_journal import lock_of
from easel.models.fetch.progress import FetchControl, FetchProgress, Phase, Watcher
from easel.models.fetch.transfer import FetchLimits
from easel.models.header import Header
from easel.models.intake.civitai_files import write_civitai_files
from easel.models.intake.copying import copy
from easel.models.intake.destination import destination
from easel.models.kind import Kind
from easel.models.model_file import ModelFile
from easel.models.model_header import read_arrived_header, read_model_header
from easel.models.quota import StoreQuota
from easel.models.records import Record
from easel.models.sizes import gigabytes
from easel.models.source_errors import BadName, NameTaken, SourceError, Unreachable
from easel.models.sources.addresses import source_of
from easel.models.sources.local import LocalSource
from easel.models.sources.offer import Offer, Secrets, Source
from easel.models.sources.policy import OPERATOR, FetchPolicy
from easel.models.store import Store
from easel.remark import remark

log = structlog.get_logger(__name__)

_PEEK = 1 << 16
_TOLD_FROM_AFAR = 16_000_000
_FARTHER = 8


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is wanted. `kind` None: as the source or the file itself says. `name` "": as at the source."""

    address: str = field(repr=False)
    kind: Kind | None = None
    folder: str = ""
    name: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """A model that is in the store. `fetched` is False if it was there already."""

    file: ModelFile
    record: Record
    fetched: bool


class Intake:
    """Brings models into `store`, as far as `policy` lets the asker and the `quota` (bytes) has room."""

    def __init__(
        self,
        store: Store,
        *,
        policy: FetchPolicy = OPERATOR,
        secrets: Secrets | None = None,
        quota: int | None = None,
        limits: FetchLimits | None = None,
        watcher: Watcher = lambda progress: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store, self._policy = store, policy
        self._secrets = secrets or Secrets()
        self._quota = StoreQuota(store.root, quota) if quota is not None else None
        self._limits = limits or FetchLimits()
        self._control = FetchControl(watcher, stopped)

    def add(self, request: ModelRequest) -> Added:
        """Bring one model in. Raises SourceError, FileError."""
        if request.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", request.sha256):
            raise BadName("--sha256", f"{request.sha256[:80]!r} is no SHA-256: 64 digits of 0-9a-f are")
        source = source_of(request.address, secrets=self._secrets, policy=self._policy)
        there = self.present(source)
        if there is not None and self._fits(there, request):
            return Added(there, self._store.record(there.path), fetched=False)
        name = request.name or "model"
        self._control.watcher(FetchProgress(name, Phase.ASKING))
        with http_client(self._policy, stall=self._limits.stall) as http:
            offer = source.offer(http)
            kind = (
                request.kind
                or offer.kind
                or self._kind_of(source, Origin(source, http, self._policy, offer), offer)
            )
        target = destination(self._store, kind, request.folder, request.name or self._named(source, offer))
        new = not self._has_come(target, source, offer, request)
        fetched = self._fetch(source, target, offer, request) if new else Fetched(target, fetched=False)
        if not fetched.fetched:
            self._remember(source, offer, fetched)
        write_civitai_files(target, offer, self._policy, new=new)
        return self._added(kind, source, fetched)

    def present(self, source: Source) -> ModelFile | None:
        """The whole file of the store that came from `source`, if there is one."""
        for kind in Kind:
            for file in self._store.files(kind):
                try:
                    if self._store.record(file.path).key == source.key:
                        return file
                except OSError:
                    continue
        return None

    def _fits(self, file: ModelFile, request: ModelRequest) -> bool:
        """Whether a file that came from there is what is wanted now."""
        try:
            wanted = destination(
                self._store, request.kind or file.kind, request.folder, request.name or file.path.name
            )
        except FileError:
            return False
        asked = request.kind or request.folder or request.name
        if asked and wanted != file.path:
            return False
        return not request.sha256 or self._store.record(file.path).sha256 == request.sha256.lower()

    def _fetch(self, source: Source, target: Path, offer: Offer, request: ModelRequest) -> Fetched:
        to = DownloadTarget(
            target,
            request.sha256,
            self._quota,
            is_there=lambda: self._is_there(target, source, offer, request),
            keep=lambda fetched: self._remember(source, offer, fetched),
        )
        if isinstance(source, LocalSource):
            return copy(source, to, self._control)
        return Download(DownloadSource(source, self._policy, offer), to, self._limits, self._control).run()

    def _has_come(self, target: Path, source: Source, offer: Offer, request: ModelRequest) -> bool:
        """As `_is_there`, before the target is ours: who has it may be about to say whose the file is."""
        try:
            return self._is_there(target, source, offer, request)
        except NameTaken:
            return not lock_of(target).exists() and self._is_there(target, source, offer, request)

    def _is_there(self, target: Path, source: Source, offer: Offer, request: ModelRequest) -> bool:
        """Whether the file has come already, by whatever way. Raises NameTaken for another of its name."""
        try:
            record = self._store.record(target)
            size = target.stat().st_size
        except OSError:
            return False
        wanted = request.sha256.lower() or offer.sha256
        if record.key == source.key:
            # Ours: there, unless the source has another one by now, which takes its place once whole.
            return not wanted or record.sha256 == wanted
        same = bool(wanted) and record.sha256 in ("", wanted) and offer.size in (None, size)
        if same and self._store.hash_now(target) == wanted:
            return True
        whose = (
            remark("came_from", "which came from {source}", source=record.source)
            if record.source
            else remark("by_hand", "which was put there by hand")
        )
        raise NameTaken(
            target.name,
            remark(
                "add_name_taken",
                "there is another file of this name, {whose}: give this one another (--name FILE), or take "
                "that one away (`easel models remove {name}`)",
                whose=whose,
                name=target.name,
            ),
        )

    def _remember(self, source: Source, offer: Offer, fetched: Fetched) -> None:
        """Note where a file of the store came from, and what is known of it. Raises SourceError."""
        said = {"source": source.address, "key": source.key}
        if fetched.fetched:
            said |= {"sha256": fetched.sha256, "autov3": fetched.autov3 or offer.autov3, "etag": fetched.etag}
        elif offer.autov3:
            said["autov3"] = offer.autov3
        try:
            self._store.remember(fetched.path, **said)
        except OSError as error:
            raise _taken_away(source, fetched.path, error) from None

    def _added(self, kind: Kind, source: Source, fetched: Fetched) -> Added:
        path = fetched.path
        try:
            record, status = self._store.record(path), path.stat()
        except OSError as error:
            raise _taken_away(source, path, error) from None
        self._store.refresh()
        name = path.relative_to(self._store.folder(kind)).as_posix()
        file = ModelFile(path, name, kind, status.st_size, status.st_mtime, record.sha256)
        return Added(file, record, fetched.fetched)

    def _named(self, source: Source, offer: Offer) -> str:
        if not offer.name:
            raise BadName(source.address, "the source gives the file no name: say one with --name FILE")
        return offer.name

    def _kind_of(self, source: Source, origin: Origin, offer: Offer) -> Kind:
        """What the file itself says it is. Raises SourceError, FileError."""
        name = offer.name or "the file"
        if isinstance(source, LocalSource):
            return kind_of(read_model_header(source.path), name)
        start = b""
        try:
            start, total = _peek(origin, 0, _PEEK)
            while (header := read_arrived_header(io.BytesIO(start), len(start), total, name)) is None:
                if len(start) >= _TOLD_FROM_AFAR:
                    raise UnknownArchitecture(
                        name,
                        f"its header has more than {gigabytes(_TOLD_FROM_AFAR)}, too much to look through "
                        "from afar; say --type",
                    )
                # Whoever sends less than is asked for sends nothing in the end.
                rest, _ = _peek(origin, len(start), min(_FARTHER * len(start), _TOLD_FROM_AFAR, total))
                if not rest:
                    raise Unreachable(source.address, "the file ends too early; try again")
                start += rest
            return kind_of(header, name)
        except NotSafetensors as error:
            raise not_a_model(source.address, error, start) from None
        except (Trouble, Changed) as error:
            refusal = getattr(error, "refusal", None)
            raise refusal or Unreachable(
                source.address, f"{error or 'the file changes'}; try again"
            ) from None
        except httpx.TransportError as error:
            raise Unreachable(
                source.address, f"no answer ({type(error).__name__}: {error}); check the address"
            ) from None


def _taken_away(source: Source, path: Path, error: OSError) -> SourceError:
    return SourceError(source.address, f"{path.name} came and was taken away at once ({error.strerror})")


def kind_of(header: Header, name: str) -> Kind:
    """The kind that a header tells. Raises WrongKind, UnknownArchitecture for what is of no use here."""
    try:
        identify(header, name=name)
    except WrongKind as error:
        if error.folder is None:
            raise
        return Kind(error.folder)
    except UnknownArchitecture as error:
        raise UnknownArchitecture(
            name, f"{error.problem}; if it is to be kept all the same, say where with --type"
        ) from None
    return Kind.CHECKPOINT


def _peek(origin: Origin, begin: int, end: int) -> tuple[bytes, int]:
    """Some bytes, and how many there are in all."""
    found = bytearray()
    with origin.open(begin, end, "") as answer:
        skip = begin - answer.begin
        for block in answer.response.iter_raw():
            found += block
            if len(found) >= end - begin + skip:
                break
        total = answer.total
    if total is None:
        # Who does not say how long it is has sent all when less comes than was asked for.
        total = 1 << 62 if len(found) >= end - begin + skip else begin + len(found) - skip
    return bytes(found[skip : end - begin + skip]), total
