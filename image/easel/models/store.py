"""The model store: the files below `EASEL_HOME/models`, in A1111's folders, found by A1111's names.

Names come from strangers (API, infotexts). They are compared with names of files that were found by walking
the folder, never joined to a path, so no name can lead out of it.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import structlog

from easel.models.diffusers_folder import INDEX, folder_state
from easel.models.errors import UnknownModel
from easel.models.former_names import FormerNames
from easel.models.hashes import Hashes
from easel.models.index import Index, IndexEntry
from easel.models.kind import Kind
from easel.models.model_file import ModelFile
from easel.models.model_folder import state_of_model
from easel.models.records import Record, Records, state_of
from easel.models.walking import walk
from easel.remark import remark

log = structlog.get_logger(__name__)

# A file with one of these beside it is still being written by the program that made it.
_UNFINISHED = (
    ".part",
    ".partial",
    ".aria2",
    ".tmp",
    ".crdownload",
    ".download",
    ".downloading",
    ".incomplete",
)
_PICKLES = (".ckpt", ".pt", ".pth", ".bin")
# A1111 names hashes in brackets at the end of a title.
_BRACKET = re.compile(r"\[[0-9a-fA-F]*+\]\s*+$")
# Shorter pieces of a name than this match anything.
_SHORTEST_PIECE = 3


class Store:
    """The files below `root` (`EASEL_HOME/models`). Thread-safe; answers come from memory until `refresh()`.

    With `hashing`, the SHA-256 of new files is computed in the background: ModelFiles have it once known.
    """

    def __init__(self, root: Path, *, hashing: bool = True) -> None:
        self.root = root.resolve()
        self._hashing = hashing
        self._records = Records(self.root)
        self._hashes = Hashes(self.root, self._records)
        self._index = Index(self._records)
        self._former = FormerNames(self.root)
        self._lock = threading.Lock()
        self._files: Mapping[Kind, tuple[ModelFile, ...]] | None = None

    def folder(self, kind: Kind) -> Path:
        """Where files of this kind live. May not exist yet."""
        return self.root / kind.folder

    def checkpoints(self) -> list[ModelFile]:
        """All checkpoints, sorted by name."""
        return self.files(Kind.CHECKPOINT)

    def vaes(self) -> list[ModelFile]:
        """All VAE files, sorted by name."""
        return self.files(Kind.VAE)

    def files(self, kind: Kind) -> list[ModelFile]:
        """All files of a kind, sorted by name without regard to case."""
        files = self._files
        return list((files if files is not None else self.refresh())[kind])

    def find_checkpoint(self, name: str) -> ModelFile:
        """The checkpoint that A1111 would take for `name`; see `find`."""
        return self.find(Kind.CHECKPOINT, name)

    def find_vae(self, name: str) -> ModelFile:
        """The VAE that A1111 would take for `name`; see `find`."""
        return self.find(Kind.VAE, name)

    def find(self, kind: Kind, name: str) -> ModelFile:
        """The file called `name`: title, file name, path below the folder, model name, hash (short or whole).

        Tried in A1111's order: the exact name; then without regard to case; then without the hash in
        brackets; then as what a model was called before it was renamed; then as a piece of a title, if it is
        a piece of one title only. A file that was put there since the last look is found too. Raises
        UnknownModel, with the nearest names, for anything else.
        """
        wanted = name.strip()
        try:
            return self._find(kind, wanted)
        except UnknownModel:
            self.refresh()
            return self._find(kind, wanted)

    def refresh(self) -> Mapping[Kind, tuple[ModelFile, ...]]:
        """Look at the folders again. Cheap: names and times, no contents."""
        found = MappingProxyType({kind: tuple(self._scan(kind)) for kind in Kind})
        with self._lock:
            self._files = found
        if self._hashing:
            # The small ones first: they are known in a second.
            new = [file.path for file in sorted(_all(found), key=lambda file: file.size) if not file.sha256]
            self._hashes.compute_later(new, self._take_hashes)
        return found

    def index(self, kind: Kind | None = None) -> list[IndexEntry]:
        """What is known of every file, or of those of one kind, by name.

        Reads headers of files that are new, some milliseconds each, and computes nothing.
        """
        kinds = list(Kind) if kind is None else [kind]
        return [self._index.entry(file) for one in kinds for file in self.files(one)]

    def entry(self, file: ModelFile) -> IndexEntry:
        """What is known of one file."""
        return self._index.entry(file)

    def record(self, path: Path) -> Record:
        """What is known of the file beside what it says itself. Raises OSError if it is not there."""
        return self._records.get(path, state_of_model(path))

    def called_before(self, kind: Kind, name: str) -> list[ModelFile]:
        """The files that were called `name`, in any of the ways of `find`, before they were renamed."""
        before, wanted = self.formerly(kind), name.lower()
        return [
            file
            for file in self.files(kind)
            if any(wanted in self._names_as(file, old) for old in before.get(file.name, ()))
        ]

    def formerly(self, kind: Kind) -> dict[str, list[str]]:
        """Names of files of a kind → what each was called before, where no other file has that name now."""
        taken, top = {file.name for file in self.files(kind)}, f"{kind.folder}/"
        found: dict[str, list[str]] = {}
        for before, now in self._former.look().items():
            if before.startswith(top) and (old := before.removeprefix(top)) not in taken:
                found.setdefault(now.removeprefix(top), []).append(old)
        return found

    def renamed(self, old: Path, new: Path) -> None:
        """What lies at `old` will be at `new`: whoever asks for it by its old name gets it then."""
        self._former.remember(old, new)

    def remember(self, path: Path, **said: str) -> Record:
        """Add to the file's record (see records.py). Raises OSError if it is not there."""
        record = self._records.put(path, state_of_model(path), **said)
        self._take_hashes()
        return record

    def hash_now(self, path: Path) -> str:
        """The SHA-256 of the file, computed now if it is not known. Raises OSError."""
        return self._hashes.now(path)

    def forget(self, path: Path) -> None:
        """Drop the record of a file that was taken away, and look again."""
        self._records.forget(path)
        self._former.forget(path)
        self.refresh()

    def close(self) -> None:
        """Stop the background hashing."""
        self._hashes.close()

    def _find(self, kind: Kind, wanted: str) -> ModelFile:
        files = self.files(kind)
        found = _BRACKET.search(wanted)
        plain = wanted[: found.start()].rstrip() if found else wanted
        # A1111 on Windows has "\" between folders: in titles, in infotexts, in what clients keep.
        ways = (wanted, plain, wanted.replace("\\", "/"), plain.replace("\\", "/"))
        plain = ways[-1]
        for name in dict.fromkeys(ways):
            exact = [file for file in files if name in file.aliases]
            loose = [file for file in files if name.lower() in map(str.lower, file.aliases)]
            for matches in (exact, loose):
                # A file whose whole path is meant comes before one in a folder that has merely the same name.
                whole = [file for file in matches if name.lower() in (file.name.lower(), file.title.lower())]
                matches = whole if len(whole) == 1 else matches
                if len(matches) == 1:
                    return matches[0]
                if matches:
                    raise self._ambiguous(kind, wanted, matches)
        former = self.called_before(kind, plain)
        if len(former) == 1:
            return former[0]
        pieces = [
            file for file in files if len(plain) >= _SHORTEST_PIECE and plain.lower() in file.title.lower()
        ]
        if len(pieces) == 1:
            return pieces[0]
        if pieces:
            raise self._ambiguous(kind, wanted, pieces)
        raise UnknownModel(kind.words, wanted, [file.title for file in files], self._why(kind, wanted, files))

    def _names_as(self, file: ModelFile, name: str) -> set[str]:
        """How `file` was found when it was called `name`, in small letters."""
        then = replace(file, path=self.folder(file.kind) / name, name=name, sha256="")
        return set(map(str.lower, then.aliases))

    @staticmethod
    def _ambiguous(kind: Kind, wanted: str, matches: Sequence[ModelFile]) -> UnknownModel:
        names = [file.title for file in matches]
        some = ", ".join(repr(one) for one in names[:5]) + (", …" if len(names) > 5 else "")
        return UnknownModel(
            kind.words,
            wanted,
            names,
            remark("could_be", "it could be {names}; name one of them in full", names=some),
        )

    def _why(self, kind: Kind, wanted: str, files: Sequence[ModelFile]) -> str:
        """A better reason than "no such name", where there is one."""
        if not files:
            return remark(
                "no_file_yet",
                "there is no .safetensors file in {folder} yet",
                folder=f"models/{kind.folder}",
            )
        if wanted.lower().endswith(_PICKLES):
            words = "pickles (.ckpt, .pt) are not opened, for they can run code; take the .safetensors file"
            return remark("no_pickles", words)
        return ""

    def _take_hashes(self) -> None:
        with self._lock:
            if self._files is None:
                return
            self._files = MappingProxyType(
                {kind: tuple(self._with_hash(file) for file in files) for kind, files in self._files.items()}
            )

    def _with_hash(self, file: ModelFile) -> ModelFile:
        return file if file.sha256 else self._model_file(file.path, file.name, file.kind) or file

    def _scan(self, kind: Kind) -> list[ModelFile]:
        own = self.folder(kind)
        found: dict[str, ModelFile] = {}
        for folder in (self.root / one for one in kind.folders):
            for path in self._walk(folder, kind):
                name = path.relative_to(own if folder == own else self.root).as_posix()
                file = self._model_file(path, name, kind)
                if file is not None:
                    found.setdefault(name, file)
        return sorted(found.values(), key=lambda file: (file.name.lower(), file.name))

    def _walk(self, folder: Path, kind: Kind) -> Iterator[Path]:
        for here, folders, names in walk(folder, follow=True):
            # In place: the walk does not enter what is taken out.
            folders[:] = [one for one in folders if not one.startswith(".") and self._may_enter(here / one)]
            if INDEX in names and here != folder and folder == self.folder(Kind.CHECKPOINT):
                folders.clear()  # a checkpoint of diffusers' layout: one model, not one for each of its files
                if "\n" not in str(here):
                    yield here
                continue
            unfinished = {
                one.lower().removesuffix(end)
                for one in names
                for end in _UNFINISHED
                if one.lower().endswith(end)
            }
            for name in names:
                low = name.lower()
                if low.startswith(".") or not low.endswith(kind.endings) or low in unfinished or "\n" in name:
                    continue
                yield here / name

    def _may_enter(self, folder: Path) -> bool:
        """Whether a folder is a model's place. Links are its operator's, for nobody else can make one here.

        One to a folder that the store lies in would show all that there is, and hidden folders are nobody's.
        """
        if not folder.is_symlink():
            return True
        try:
            real = folder.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        if self.root.is_relative_to(real):
            log.warning("folder ignored: a link to what the store lies in", folder=folder.name)
            return False
        inside = real.relative_to(self.root).parts if real.is_relative_to(self.root) else ()
        return not any(part.startswith(".") for part in inside)

    def _model_file(self, path: Path, name: str, kind: Kind) -> ModelFile | None:
        try:
            name.encode()
            if path.is_dir() and (path / INDEX).is_file():
                known = self._hashes.get(path, state_of_model(path))
                return ModelFile(path, name, kind, *folder_state(path), known)
            status = path.stat()
        except (OSError, UnicodeEncodeError):
            return None
        if not os.path.isfile(path):
            return None
        return ModelFile(
            path, name, kind, status.st_size, status.st_mtime, self._hashes.get(path, state_of(status))
        )


def _all(found: Mapping[Kind, Sequence[ModelFile]]) -> Iterator[ModelFile]:
    for files in found.values():
        yield from files
