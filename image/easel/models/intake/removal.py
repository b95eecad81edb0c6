"""A model out of the store, with what lies beside it."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

import structlog

from easel.models.errors import MissingFile
from easel.models.fetch.download import discard_unfinished
from easel.models.fetch.partial_journal import lock_of
from easel.models.index import CIVITAI_INFO, preview_of
from easel.models.lock import Lock
from easel.models.model_file import ModelFile, sidecar_path
from easel.models.model_notes import ModelNotes, UnreadableNotes, write_notes
from easel.models.source_errors import NameTaken, NotWritable
from easel.models.store import Store
from easel.remark import remark

log = structlog.get_logger(__name__)

_GONE = ".removed"


def remove_model(store: Store, file: ModelFile) -> None:
    """Remove `file`, its record, information and preview, and what an unfinished download of it left.

    A folder goes by one rename, so that nobody finds half a model, and is deleted then. Raises NameTaken
    while somebody downloads to this name, MissingFile, NotWritable.
    """
    lock = Lock(lock_of(file.path))
    try:
        if not lock.try_take():
            raise NameTaken(
                file.path.name,
                remark(
                    "name_downloading",
                    "a download to this name is under way; wait for it, or stop it first",
                ),
            )
        try:
            # The model first: what is left beside it if this ends here harms nobody.
            if file.path.is_dir():
                os.rename(file.path, file.path.with_name(f".{secrets.token_hex(8)}{_GONE}"))
            else:
                file.path.unlink()
            _unlink_beside(file.path)
        finally:
            lock.release()
        discard_unfinished(file.path)
    except FileNotFoundError:
        raise MissingFile(file.path.name, remark("file_gone", "is not there any more")) from None
    except OSError as error:
        words = remark("not_removed", "cannot be removed ({why})", why=error.strerror)
        raise NotWritable(file.path.name, words) from None
    store.forget(file.path)
    _delete_gone(file.path.parent)


def _delete_gone(folder: Path) -> None:
    """Delete what was moved away here, by this process or by one that was killed meanwhile."""
    for path in folder.glob(f".*{_GONE}"):
        with suppress(FileNotFoundError):
            try:
                shutil.rmtree(path)
            except OSError as error:
                # On NFS what another machine reads stays for a while; the next removal takes it.
                log.warning("a removed folder is not deleted yet", folder=path.name, error=error.strerror)


def _unlink_beside(model: Path) -> None:
    sidecar_path(model, CIVITAI_INFO).unlink(missing_ok=True)
    with suppress(UnreadableNotes, NotWritable):  # not notes, so not ours to take away
        write_notes(model, ModelNotes())
    preview = preview_of(model)
    # Only pictures of this name alone: "a.png" may be somebody's own.
    if preview is not None and ".preview." in preview.name:
        preview.unlink(missing_ok=True)
