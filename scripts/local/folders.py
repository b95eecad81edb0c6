"""What `easel up` needs below EASEL_HOME: A1111's folders, and the starter checkpoint in its place."""

import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import IO

from scripts.settings import ROOT, CommandRefused, shown

MODEL_FOLDERS = ("Stable-diffusion", "Lora", "VAE", "embeddings")
STARTERS = {
    "easel-starter.safetensors": "Stable-diffusion",
    "easel-starter-lora.safetensors": "Lora",
    "easel-starter-vae.safetensors": "VAE",
}
"""Files of image/starter and the folder each belongs to."""


def make(home: Path) -> None:
    """Make the folders that are not there. Raises CommandRefused where that cannot be."""
    if not home.parent.is_dir():
        # A folder that should be there and is not is most often a disk that is not mounted.
        raise CommandRefused(f"EASEL_HOME is {shown(home)}, but there is no folder {shown(home.parent)}")
    try:
        for folder in (".", "run", "config", "logs", "outputs", "models"):
            (home / folder).mkdir(mode=0o700, exist_ok=True)
        for name in MODEL_FOLDERS:
            (home / "models" / name).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise CommandRefused(
            f"{shown(Path(error.filename or home))}: {(error.strerror or '').lower()}"
        ) from None


def hold(home: Path) -> IO[str]:
    """Take the home for this process, until it ends however it ends.

    Raises CommandRefused if another has it.
    """
    file = (home / "run" / "up.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise CommandRefused(
            f"easel is already running under {shown(home)} (process {file.read().strip() or 'unknown'}): "
            "stop it there, or set EASEL_HOME and EASEL_PORT for a second one"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def place_starters(home: Path, source: Path = ROOT / "image" / "starter") -> list[str]:
    """Copy the starter's files to where the studio looks; the answer is what the person should know.

    A file that was put there by someone else is never written over; one that an earlier easel put there is.
    """
    notes = []
    for name, folder in STARTERS.items():
        if (source / name).is_file():
            notes += _place(source / name, home / "models" / folder / name)
    return notes


def _place(original: Path, target: Path) -> list[str]:
    mark = target.parent / f".{target.name}.sha256"
    if target.exists():
        # Copies keep the time of the original, so the usual start compares two numbers and reads nothing.
        ours, theirs = original.stat(), target.stat()
        if (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
            return []
        found = _sha256(target)
        if found == _sha256(original):
            os.utime(target, ns=(ours.st_atime_ns, ours.st_mtime_ns))
            return []
        if not mark.is_file() or mark.read_text().strip() != found:
            return [f"{shown(target)} is not the starter that came with easel; it stays as it is"]
    part = target.parent / f".{target.name}.part"
    shutil.copy2(original, part)
    part.chmod(0o600)
    mark.write_text(_sha256(part) + "\n")
    os.replace(part, target)
    return []


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
