"""What goes into the image: its files, the hash it is known by, the archive that CodeBuild takes.

Neither hash nor archive depends on times, owners, modes or the order of a folder: two machines with the same
commit ask for the same image. The hash is of the contents, so that it can be told without writing an archive.
"""

import hashlib
import io
import zipfile
from pathlib import Path

from infra.bake.errors import ArchiveError

FOLDER = Path(__file__).resolve().parents[2] / "image"
PARTS = (
    ".dockerignore",
    "Dockerfile",
    # How it is built is part of what it is: a changed build makes a new image.
    "buildspec.yml",
    "easel/**/*",
    "requirements/*.txt",
    "starter/*.safetensors",
)
"""What the Dockerfile copies. Notes and pictures beside it change no image."""

LENGTH = 32
"""Digits of the hash that are kept: a tag that people can still compare."""


def files(folder: Path = FOLDER) -> dict[str, Path]:
    """Every file that goes in, by its name in the archive, in order.

    Raises ArchiveError for a link (what it leads to may be anything) and when there is no Dockerfile.
    """
    found: dict[str, Path] = {}
    for part in PARTS:
        for path in folder.glob(part):
            name = path.relative_to(folder)
            if path.is_symlink():
                raise ArchiveError(f"{path} is a link, which may lead anywhere: put the file itself there")
            if path.is_file() and _wanted(name):
                found[name.as_posix()] = path
    if "Dockerfile" not in found:
        raise ArchiveError(f"there is no {folder / 'Dockerfile'}: run easel from a whole clone")
    return dict(sorted(found.items()))


def content_hash(folder: Path = FOLDER) -> str:
    """The name of what the image is made from: equal files, equal name, on every machine."""
    whole = hashlib.sha256()
    for name, path in files(folder).items():
        whole.update(f"{name}\0{_digest(path)}\n".encode())
    return whole.hexdigest()[:LENGTH]


def archive(folder: Path = FOLDER) -> bytes:
    """The files as CodeBuild takes them from S3, about 30 MB: a zip of equal bytes for equal files."""
    out = io.BytesIO()
    # Stored, not deflated: zlib's output differs between its versions, and weights hardly shrink.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for name, path in files(folder).items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix, wherever it is written
            entry.external_attr = 0o100644 << 16
            target.writestr(entry, path.read_bytes())
    return out.getvalue()


def _wanted(name: Path) -> bool:
    # Hidden files are an editor's or the system's, or an .env with somebody's keys.
    hidden = any(part.startswith(".") for part in name.parts) and name.name != ".dockerignore"
    return not hidden and "__pycache__" not in name.parts and not name.name.endswith((".pyc", "~", ".orig"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
