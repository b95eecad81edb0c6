"""What goes into the image, and the hash it is known by."""

import io
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from infra.bake.archive import FOLDER, archive, content_hash, files
from infra.bake.errors import ArchiveError


def test_equal_files_are_equal_wherever_and_whenever_they_lie(folder: Path, tmp_path: Path) -> None:
    """Neither time nor mode nor place is content: two clones ask for one image."""
    other = tmp_path / "elsewhere"
    shutil.copytree(folder, other)
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o777)
    assert content_hash(other) == content_hash(folder)
    assert archive(other) == archive(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "easel/app.py").write_text("print('drew')"),
        lambda root: (root / "easel/app.py").rename(root / "easel/main.py"),
        lambda root: (root / "easel/new.py").write_text(""),
        lambda root: (root / "easel/ui/page.css").unlink(),
        lambda root: (root / "Dockerfile").write_text("FROM other"),
        lambda root: (root / "buildspec.yml").write_text("version: 0.3"),
        lambda root: (root / "requirements/gateway.txt").write_text("click==9"),
        lambda root: (root / "starter/a.safetensors").write_text("other weights"),
    ],
)
def test_whatever_is_in_the_image_is_in_its_hash(folder: Path, change: object) -> None:
    """A change of a byte, a name or a file is another image."""
    before = content_hash(folder)
    change(folder)  # type: ignore[operator]
    assert content_hash(folder) != before


@pytest.mark.parametrize(
    "name",
    [
        "starter/README.md",
        "easel/__pycache__/app.cpython-311.pyc",
        "easel/.env",
        "easel/.idea/workspace.xml",
        "easel/app.py~",
        "notes.txt",
    ],
)
def test_what_is_no_part_of_the_image_is_not_taken(folder: Path, name: str) -> None:
    """Notes, caches and somebody's keys neither change the hash nor leave the machine."""
    before = content_hash(folder)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret")
    assert content_hash(folder) == before
    assert name not in files(folder)
    assert b"secret" not in archive(folder)


def test_two_files_cannot_pass_for_one(folder: Path) -> None:
    """Moving text from one file's end to the next one's beginning is a change."""
    (folder / "easel/app.py").write_text("ab")
    (folder / "easel/b.py").write_text("c")
    before = content_hash(folder)
    (folder / "easel/app.py").write_text("a")
    (folder / "easel/b.py").write_text("bc")
    assert content_hash(folder) != before


def test_a_link_is_refused(folder: Path) -> None:
    """It may lead to a key outside the repository."""
    (folder / "easel/passwd").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="passwd is a link"):
        content_hash(folder)


def test_half_a_clone_is_refused(tmp_path: Path) -> None:
    """An empty archive would be a build that fails minutes later."""
    with pytest.raises(ArchiveError, match=r"there is no .*Dockerfile"):
        content_hash(tmp_path)


def test_the_archive_is_a_zip_that_unpacks_to_the_files(folder: Path) -> None:
    """CodeBuild takes zips; its user must be able to read them."""
    with zipfile.ZipFile(io.BytesIO(archive(folder))) as packed:
        assert packed.testzip() is None
        assert packed.namelist() == sorted(files(folder))
        assert packed.read("easel/app.py") == b"print('draw')"
        assert {entry.external_attr >> 16 for entry in packed.infolist()} == {0o100644}


def test_what_the_dockerfile_copies_is_in_the_archive() -> None:
    """A file that is only on this machine would be missing in the cloud."""
    taken = set(files(FOLDER))
    copied = [
        line.split()[1]
        for line in (FOLDER / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
    ]
    assert copied
    for source in copied:
        assert any(Path(name).match(source) or name.startswith(f"{source}/") for name in taken), source
    everything = (path for path in (FOLDER / "easel").rglob("*") if path.is_file())
    missed = {path.relative_to(FOLDER).as_posix() for path in everything} - taken
    assert not {name for name in missed if "__pycache__" not in name and "/." not in name}
