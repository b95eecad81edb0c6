"""A file of this machine into the store: copied, hashed on the way, checked, and there by one rename."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from easel.models.errors import CutShort, LyingHeader, NotSafetensors
from easel.models.fetch.download import DownloadTarget, Fetched
from easel.models.fetch.partial_file import PartialFile
from easel.models.fetch.partial_journal import lock_of
from easel.models.fetch.progress import FetchControl, FetchProgress, Phase, Speed
from easel.models.hashes import Digests
from easel.models.lock import Lock
from easel.models.model_header import read_model_header
from easel.models.source_errors import Interrupted, NameTaken, SourceError, WrongHash
from easel.models.sources.local import LocalSource

_BLOCK = 1 << 22


def copy(
    source: LocalSource,
    to: DownloadTarget,
    control: FetchControl,
) -> Fetched:
    """Copy. A copy that was stopped begins anew: reading again is cheap. Raises SourceError, FileError."""
    target, sha256 = to.path, to.sha256.lower()
    read_model_header(source.path)
    lock = Lock(lock_of(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    if not lock.try_take():
        raise NameTaken(
            target.name, "another process is bringing a file of this name; try again when it is done"
        )
    part = PartialFile(target, source.key, to.quota)
    done = False
    try:
        part.open()
        part.reset()
        digests = _copy(source, part, control)
        if sha256 and digests.sha256 != sha256:
            raise WrongHash(target.name, digests.sha256, sha256, "the one who asks for it")
        try:
            read_model_header(part.path)
        except (CutShort, LyingHeader, NotSafetensors):
            raise SourceError(source.address, "the file changed while it was copied; try again") from None
        part.commit()
        done = True
        fetched = Fetched(target, part.size or 0, digests.sha256, digests.autov3)
        to.keep(fetched)
        return fetched
    finally:
        if not done:
            part.discard()
        part.close()
        lock.release()


def _copy(source: LocalSource, part: PartialFile, control: FetchControl) -> Digests:
    speed = Speed()
    try:
        with (
            ThreadPoolExecutor(1, thread_name_prefix="autov3") as helper,
            open(source.path, "rb", buffering=0) as file,
        ):
            digests = Digests(helper)
            part.size = source.path.stat().st_size
            part.check_room()
            position, told = 0, 0.0
            while block := file.read(_BLOCK):
                if control.stopped():
                    raise Interrupted(part.target.name, position, part.size)
                part.write(position, block)
                digests.update(block)
                position += len(block)
                if time.monotonic() - told > 0.2:
                    told = time.monotonic()
                    control.watcher(
                        FetchProgress(
                            part.target.name, Phase.FETCHING, position, part.size, speed.at(position)
                        )
                    )
    except OSError as error:
        raise SourceError(source.address, f"cannot be read ({error.strerror})") from error
    control.watcher(FetchProgress(part.target.name, Phase.DONE, position, position))
    return digests
