from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Kind, ModelFile, Store, UnknownModel


def put(root: Path, name: str, content: bytes = b"weights", kind: Kind = Kind.CHECKPOINT) -> Path:
    path = root / kind.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def wait_for_hash(store: Store, name: str) -> ModelFile:
    limit = time.monotonic() + 10
    while not (found := store.find_checkpoint(name)).sha256:
        assert time.monotonic() < limit
        time.sleep(0.01)
    return found


def test_lists_what_is_there(tmp_path: Path) -> None:
    """Checkpoints of all folders below, sorted without regard to case; other files are not checkpoints."""
    for name in (
        "b.safetensors",
        "A.safetensors",
        "anime/c.SafeTensors",
        "notes.txt",
        "old.ckpt",
        ".hidden.safetensors",
        ".git/d.safetensors",
        "half.safetensors.part",
    ):
        put(tmp_path, name)
    put(tmp_path, "v.safetensors", kind=Kind.VAE)
    store = Store(tmp_path, hashing=False)
    assert [file.name for file in store.checkpoints()] == [
        "A.safetensors",
        "anime/c.SafeTensors",
        "b.safetensors",
    ]
    assert [file.name for file in store.vaes()] == ["v.safetensors"]
    assert store.files(Kind.LORA) == []
    first = store.checkpoints()[0]
    assert (first.size, first.kind, first.title, first.hash, first.sha256) == (
        7,
        Kind.CHECKPOINT,
        "A.safetensors",
        "",
        "",
    )


def test_an_empty_store(tmp_path: Path) -> None:
    """No folder at all is no error; a name in it is, and says what to do."""
    store = Store(tmp_path / "models", hashing=False)
    assert store.checkpoints() == []
    with pytest.raises(UnknownModel, match=r"there is no \.safetensors file in models/Stable-diffusion yet"):
        store.find_checkpoint("dream")


@pytest.mark.parametrize("marker", [".part", ".aria2", ".crdownload", ".incomplete"])
def test_downloads_under_way_are_not_listed(tmp_path: Path, marker: str) -> None:
    """A file that its downloader still writes to does not count as there."""
    put(tmp_path, "new.safetensors")
    put(tmp_path, "new.safetensors" + marker)
    assert Store(tmp_path, hashing=False).checkpoints() == []


def test_links(tmp_path: Path) -> None:
    """A linked file or folder is a model's, wherever it lies: links are the operator's.

    A loop of folders ends; a link to what the store lies in, or to what is hidden in it, leads nowhere.
    """
    outside = tmp_path / "elsewhere.safetensors"
    outside.write_bytes(b"secret")
    root = tmp_path / "models"
    inside = put(root, "real.safetensors")
    (root / "Stable-diffusion/link.safetensors").symlink_to(inside)
    (root / "Stable-diffusion/out.safetensors").symlink_to(outside)
    (root / "Stable-diffusion/gone.safetensors").symlink_to(root / "nothing")
    (root / "Stable-diffusion/loop").symlink_to(root / "Stable-diffusion")
    (root / "Stable-diffusion/everything").symlink_to(tmp_path)
    hidden = root / ".easel/hidden.safetensors"
    hidden.parent.mkdir(exist_ok=True)
    hidden.write_bytes(b"none")
    (root / "Stable-diffusion/books").symlink_to(hidden.parent)
    far = tmp_path / "A1111/anime"
    far.mkdir(parents=True)
    (far / "far.safetensors").write_bytes(b"weights")
    (far / "back").symlink_to(far)
    (root / "Stable-diffusion/webui").symlink_to(far.parent)
    store = Store(root, hashing=False)
    names = [file.name for file in store.checkpoints()]
    assert names == [
        "link.safetensors",
        "out.safetensors",
        "real.safetensors",
        "webui/anime/far.safetensors",
    ]
    assert store.find_checkpoint("far").path.read_bytes() == b"weights"
    put(root, "sub/x.safetensors", kind=Kind.LORA)
    (root / "VAE").symlink_to(far)
    assert [file.name for file in store.refresh()[Kind.VAE]] == ["far.safetensors"]


@pytest.mark.parametrize("kind", [Kind.CHECKPOINT, Kind.VAE, Kind.EMBEDDING, Kind.UPSCALER, Kind.LORA])
def test_names_that_windows_writes(tmp_path: Path, kind: Kind) -> None:
    r"""`sub\name`, as A1111 on Windows writes titles, names the file; a real "\" in a name still does too."""
    put(tmp_path, "sub/one.safetensors", kind=kind)
    put(tmp_path, "sub/one two.safetensors", kind=kind)
    put(tmp_path, "other/one.safetensors", kind=kind)
    store = Store(tmp_path, hashing=False)
    for name in (r"sub\one.safetensors", r"SUB\one", r"sub\one.safetensors [0123456789]", "sub/one"):
        assert store.find(kind, name).name == "sub/one.safetensors", name
    put(tmp_path, r"sub\one.safetensors", kind=kind)
    assert store.refresh()
    assert store.find(kind, r"sub\one.safetensors").name == r"sub\one.safetensors"


def test_every_name_of_a_checkpoint_finds_it(tmp_path: Path) -> None:
    """Title, file name, path, model name, stem, short hash and SHA-256 name the same file, in any case."""
    content = b"the weights"
    put(tmp_path, "anime/Dream v1.2.safetensors", content)
    put(tmp_path, "other.safetensors")
    store = Store(tmp_path)
    sha256 = hashlib.sha256(content).hexdigest()
    found = wait_for_hash(store, "Dream v1.2")
    short = sha256[:10]
    assert found.title == f"anime/Dream v1.2.safetensors [{short}]"
    assert found.model_name == "anime_Dream v1.2"
    names = [
        found.title,
        "anime/Dream v1.2.safetensors",
        "Dream v1.2.safetensors",
        "anime_Dream v1.2",
        "Dream v1.2",
        short,
        sha256,
        f"Dream v1.2.safetensors [{short}]",
        "dream V1.2",
        sha256.upper(),
        "  Dream v1.2 ",
        "Dream v1.2.safetensors [deadbeef00]",
    ]
    for name in names:
        assert store.find_checkpoint(name) == found, name
    assert store.find_checkpoint("ream v1").name == found.name  # a piece of one title only, as A1111 takes it


@pytest.mark.parametrize("name", ["nothing", "", "  ", "x", "[abc]", "[", "*", "drea/m", "\0", "dream\n"])
def test_unknown_names(tmp_path: Path, name: str) -> None:
    """Anything else is an error, not a guess."""
    put(tmp_path, "dream.safetensors")
    with pytest.raises(UnknownModel) as error:
        Store(tmp_path, hashing=False).find_checkpoint(name if name != "dream\n" else "drean\n")
    assert "checkpoint not found" in str(error.value)


def test_unknown_names_offer_the_nearest(tmp_path: Path) -> None:
    """A typo is answered with the right spelling; a pickle's name with why pickles are not opened."""
    put(tmp_path, "dreamshaper_8.safetensors")
    put(tmp_path, "photon_v1.safetensors")
    store = Store(tmp_path, hashing=False)
    with pytest.raises(UnknownModel, match=r"did you mean 'dreamshaper_8\.safetensors'"):
        store.find_checkpoint("dreamshapr_8.safetensors")
    with pytest.raises(UnknownModel, match=r"pickles .* are not opened"):
        store.find_checkpoint("realistic.ckpt")


def test_names_that_fit_several(tmp_path: Path) -> None:
    """An ambiguous name is an error that lists what it could be; the full path is always unambiguous."""
    for name in (
        "dream.safetensors",
        "anime/dream.safetensors",
        "photo/cat.safetensors",
        "art/cat.safetensors",
    ):
        put(tmp_path, name, name.encode())
    store = Store(tmp_path, hashing=False)
    assert store.find_checkpoint("dream.safetensors").name == "dream.safetensors"
    assert store.find_checkpoint("anime/dream.safetensors").name == "anime/dream.safetensors"
    with pytest.raises(UnknownModel, match=r"could be 'art/cat.safetensors', 'photo/cat.safetensors'"):
        store.find_checkpoint("cat")
    with pytest.raises(UnknownModel, match="could be"):
        store.find_checkpoint("safetensors")


@settings(max_examples=200, deadline=None)
@given(
    name=st.text(max_size=60)
    | st.sampled_from(["../../etc/passwd", "/etc/passwd", "..", "a/../../b", "\0", "%2e%2e/x"])
)
def test_no_name_leaves_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    """Whatever the name: a file of the store, or UnknownModel."""
    root = tmp_path_factory.getbasetemp() / "names"
    if not root.exists():
        put(root, "only.safetensors")
        (root / "secret.safetensors").write_bytes(b"outside of the kind's folder")
    store = Store(root, hashing=False)
    try:
        found = store.find_checkpoint(name)
    except UnknownModel:
        return
    assert found.path == root.resolve() / "Stable-diffusion/only.safetensors"


def test_new_files_are_found_without_being_told(tmp_path: Path) -> None:
    """A file put there by hand is found by name at once, and listed after refresh."""
    put(tmp_path, "one.safetensors")
    store = Store(tmp_path, hashing=False)
    assert len(store.checkpoints()) == 1
    put(tmp_path, "two.safetensors")
    assert store.find_checkpoint("two").name == "two.safetensors"
    (tmp_path / "Stable-diffusion/one.safetensors").unlink()
    store.refresh()
    assert [file.name for file in store.checkpoints()] == ["two.safetensors"]


def test_hashes_are_kept_and_follow_the_file(tmp_path: Path) -> None:
    """A hash survives a restart, and is made anew when the file changes."""
    path = put(tmp_path, "dream.safetensors", b"one")
    first = wait_for_hash(Store(tmp_path), "dream")
    assert first.sha256 == hashlib.sha256(b"one").hexdigest()
    assert Store(tmp_path, hashing=False).find_checkpoint("dream").sha256 == first.sha256
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    store = Store(tmp_path)
    assert store.checkpoints()[0].sha256 == ""
    assert wait_for_hash(store, "dream").sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_known_hash_is_not_computed(tmp_path: Path) -> None:
    """A download that was checked brings its hash along."""
    path = put(tmp_path, "dream.safetensors")
    store = Store(tmp_path, hashing=False)
    assert store.checkpoints()[0].hash == ""
    store.remember(path, sha256="ab" * 32)
    assert store.checkpoints()[0].title == "dream.safetensors [ababababab]"
    assert store.find_checkpoint("ababababab").name == "dream.safetensors"
    with pytest.raises(ValueError, match="no SHA-256"):
        store.remember(path, sha256="nonsense")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"Stable-diffusion/dream.safetensors": 3}',
        '{"Stable-diffusion/dream.safetensors": {"size": 7, "mtime_ns": 1, "sha256": "short"}}',
        '{"Stable-diffusion/dream.safetensors": {"size": "7", "mtime_ns": 1, "sha256": "%s"}}' % ("a" * 64),
        "[" * 100_000,
    ],
)
def test_garbage_in_the_hash_file_is_forgotten(tmp_path: Path, garbage: str) -> None:
    """A damaged cache costs a hash, not the store."""
    put(tmp_path, "dream.safetensors")
    record = tmp_path / ".easel/files/Stable-diffusion/dream.safetensors.json"
    record.parent.mkdir(parents=True)
    record.write_text(garbage)
    store = Store(tmp_path)
    assert wait_for_hash(store, "dream").sha256 == hashlib.sha256(b"weights").hexdigest()
    store.close()
    assert json.loads(record.read_text())["sha256"] == hashlib.sha256(b"weights").hexdigest()


def test_two_replicas_share_their_hashes(tmp_path: Path) -> None:
    """What another process has added is not lost when this one writes."""
    one, two = put(tmp_path, "one.safetensors", b"1"), put(tmp_path, "two.safetensors", b"2")
    here, there = Store(tmp_path, hashing=False), Store(tmp_path, hashing=False)
    here.remember(one, sha256="1" * 64)
    there.remember(two, sha256="2" * 64)
    fresh = Store(tmp_path, hashing=False)
    assert [file.hash for file in fresh.checkpoints()] == ["1" * 10, "2" * 10]


def test_a_store_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only store hashes live in memory."""
    put(tmp_path, "dream.safetensors")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "read-only file system")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    store = Store(tmp_path)
    assert wait_for_hash(store, "dream").sha256 == hashlib.sha256(b"weights").hexdigest()
    assert not list(tmp_path.rglob("*.json"))


def test_importing_is_light() -> None:
    """The store is used by processes without torch, and by those that do not want to wait for it."""
    import subprocess
    import sys

    code = "import sys, easel.models; sys.exit(int('torch' in sys.modules or 'numpy' in sys.modules))"
    where = str(Path(__file__).parents[2] / "image")
    assert (
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": where}).returncode == 0
    )
