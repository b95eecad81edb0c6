"""One model file of the store, by all the names that A1111's clients know it under."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from easel.models.kind import GGUF, SAFETENSORS, Kind


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file, or a checkpoint's folder of diffusers' layout. Immutable: a rescan makes a new one.

    `name` is the path below the kind's folder with "/" ("anime/dream.safetensors"), or below `models/` where
    it lies in another folder of the kind; it is unique. `sha256` is "" until it has been computed; `size` is
    in bytes, `mtime` in seconds since 1970. `encoders` are the text encoders of other files that a checkpoint
    draws with, once it is settled which: with others it is another checkpoint, though the file is the same.
    """

    path: Path
    name: str
    kind: Kind
    size: int
    mtime: float
    # a hash that became known does not make it another file
    sha256: str = field(default="", compare=False)
    encoders: tuple[ModelFile, ...] = ()

    @property
    def below_store(self) -> str:
        """The path below `models/`, with "/"."""
        own = f"{self.kind.folder}/{self.name}"
        return own if self.path.as_posix().endswith(own) else self.name

    @property
    def model_name(self) -> str:
        """A1111's `model_name`: the name without its ending, with "_" between folders."""
        return _without_ending(self.name).replace("/", "_")

    @property
    def stem(self) -> str:
        """The file's own name without folders and ending; what prompts and infotexts use."""
        return _without_ending(self.path.name)

    @property
    def hash(self) -> str:
        """A1111's short hash: the first ten digits of the SHA-256, or "" until it is known."""
        return self.sha256[:10]

    @property
    def title(self) -> str:
        """A1111's title: "name.safetensors [0123456789]", without the bracket until the hash is known."""
        return f"{self.name} [{self.hash}]" if self.sha256 else self.name

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name under which the file is found, the title first."""
        names = [
            self.title,
            self.name,
            self.path.name,
            _without_ending(self.name),
            self.model_name,
            self.stem,
        ]
        if self.sha256:
            names += [self.hash, self.sha256, f"{self.path.name} [{self.hash}]", f"{self.stem} [{self.hash}]",
                      f"{self.model_name} [{self.hash}]"]  # fmt: skip
        return tuple(dict.fromkeys(names))


def sidecar_path(model: Path, ending: str) -> Path:
    """The file beside a model that bears its name: `dream.civitai.info` beside `dream.safetensors`.

    A folder has no ending to be taken off: what is behind the last dot of `sdxl-base-1.0` is its version.
    """
    return model.with_name(_without_ending(model.name) + ending)


def _without_ending(name: str) -> str:
    """A folder has none: "sdxl-base-1.0" is its whole name."""
    ending = next((one for one in (SAFETENSORS, GGUF) if name.lower().endswith(one)), "")
    return name.removesuffix(name[-len(ending) :]) if ending else name
