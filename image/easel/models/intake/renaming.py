"""A model of the store under another name, with all that lies beside it."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path

from easel.models.errors import MissingFile
from easel.models.fetch.partial_journal import lock_of
from easel.models.index import CIVITAI_INFO, PICTURE_ENDINGS
from easel.models.lock import Lock
from easel.models.model_file import ModelFile, sidecar_path
from easel.models.source_errors import NameTaken, NotWritable
from easel.models.store import Store
from easel.remark import remark

_GONE = remark("file_gone", "is not there any more")
_BESIDE = (CIVITAI_INFO, ".json", ".yaml", ".yml", *PICTURE_ENDINGS)


def rename_model(store: Store, file: ModelFile, target: Path) -> None:
    """Give `file` the name of `target`, a path that `destination` made. Its record comes along.

    What lies beside it has both names before the model has its new one, so that at no moment somebody loads
    it without; and by its old name it is found from then on (former_names.py). Raises NameTaken while
    anything has the name or a download goes to either; MissingFile, NotWritable.
    """
    record = store.record(file.path) if file.path.exists() else None
    if record is None:
        raise MissingFile(file.path.name, _GONE)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            for path in sorted({file.path, target}):
                _locked(stack, path)
            if os.path.lexists(target):
                raise NameTaken(
                    target.name,
                    remark("model_name_taken", "there is a model of this name: give it another one"),
                )
            _move(store, file.path, target)
    except FileNotFoundError:
        raise MissingFile(file.path.name, _GONE) from None
    except OSError as error:
        words = remark("not_renamed", "cannot be renamed ({why})", why=error.strerror)
        raise NotWritable(file.path.name, words) from None
    # Size, time and inode are those of before, so what is known of the file stays true.
    store.remember(target, **{name: value for name, value in asdict(record).items() if value})
    store.forget(file.path)


def _locked(stack: ExitStack, path: Path) -> None:
    lock = Lock(lock_of(path))
    if not lock.try_take():
        words = "a download to this name is under way; wait for it, or stop it first"
        raise NameTaken(path.name, remark("name_downloading", words))
    stack.callback(lock.release)


def _move(store: Store, model: Path, target: Path) -> None:
    copied: list[Path] = []
    for ending in _BESIDE:
        beside, new = sidecar_path(model, ending), sidecar_path(target, ending)
        if beside.is_file() and not os.path.lexists(new):
            _second_name(beside, new)
            copied.append(beside)
    store.renamed(model, target)
    if model.is_dir():
        os.rename(model, target)
    else:
        _second_name(model, target)
        model.unlink(missing_ok=True)
    for beside in copied:
        with suppress(OSError):  # a second name of the notes harms nobody
            beside.unlink(missing_ok=True)


def _second_name(path: Path, new: Path) -> None:
    """Never over another file: a link fails where the name is taken."""
    try:
        os.link(path, new, follow_symlinks=False)
    except FileExistsError:
        raise NameTaken(
            new.name, remark("file_name_taken", "there is a file of this name: give it another one")
        ) from None
    except OSError:
        if new.exists():
            raise
        os.rename(path, new)  # a file system without links
