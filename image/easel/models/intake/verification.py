"""Reads a model from end to end and says whether it still is what came in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from easel.models.diffusers_folder import check_pieces
from easel.models.errors import FileError, MissingFile
from easel.models.hashes import hashes_of
from easel.models.model_file import ModelFile
from easel.models.model_header import read_model_header
from easel.models.source_errors import Altered
from easel.models.store import Store


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found. `problem` is None for a whole file; `known` is False if no hash was known before."""

    file: ModelFile
    sha256: str = ""
    known: bool = True
    problem: FileError | None = None


def verify_model(store: Store, file: ModelFile) -> Verification:
    """Check header and hash, of a folder those of all its files. A hash that was not known is kept."""
    try:
        if file.path.is_dir():
            check_pieces(file.path)
        else:
            read_model_header(file.path)
        before = store.record(file.path)
        with ThreadPoolExecutor(1, thread_name_prefix="autov3") as helper:
            said = hashes_of(file.path, helper=helper)
        if before.sha256 and before.sha256 != said["sha256"]:
            # The time of change is the same, so nobody has written it: the disk has lost something.
            return Verification(
                file, said["sha256"], problem=Altered(file.name, said["sha256"], before.sha256)
            )
        store.remember(file.path, **said)
        return Verification(file, said["sha256"], known=bool(before.sha256))
    except FileError as error:
        return Verification(file, problem=error)
    except OSError as error:
        return Verification(file, problem=MissingFile(file.name, f"cannot be read ({error.strerror})"))
