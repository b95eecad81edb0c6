"""The cache on this machine's disk: it may be cut, altered, full, shared or killed, and reads stay true."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from easel.models import Cache, CutShort, FileReader, MissingFile, cache_from_environment
from easel.models.cache import cache as caches
from easel.models.cache.checksums import BLOCK
from easel.models.cache.size import BadCacheSize, cache_size
from easel.models.cache.storage import file_system, is_network

SIZE = 3 * BLOCK + 12_345
ROOT = Path(__file__).parents[2]


def make(path: Path, seed: int = 1, size: int = SIZE) -> Path:
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def read(cache: Cache, path: Path, *, blocks: slice = slice(None)) -> tuple[bytes, bool]:
    """What a load sees of some blocks, and whether the file itself was read for it."""
    origin = FileReader(path, far=True)
    asked: list[int] = []
    real = origin.readv
    origin.readv = lambda buffers, place: (asked.append(place), real(buffers, place))[1]  # type: ignore[method-assign]
    reader = cache.reader(origin)
    memory = bytearray(reader.size)
    for place in range(0, reader.size, BLOCK)[blocks]:
        part = memoryview(memory)[place : place + BLOCK]
        reader.readv([part[:1000], part[1000:]], place)
    reader.close(whole=True)
    return bytes(memory), bool(asked)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 100 * BLOCK)


def test_one_read_feeds_both(cache: Cache, tmp_path: Path) -> None:
    """Loading makes the copy; what it left out is fetched afterwards; then it is not read again."""
    path = make(tmp_path / "m.safetensors")
    assert read(cache, path, blocks=slice(1, 2))[1]
    cache.settle()
    assert read(cache, path) == (path.read_bytes(), False)
    assert cache.used() < SIZE + 2 * BLOCK


def flip(copy: Path) -> None:
    data = bytearray(copy.read_bytes())
    data[2 * BLOCK + 5] ^= 1
    copy.write_bytes(data)


def cut(copy: Path) -> None:
    os.truncate(copy, SIZE - 1)


def empty(copy: Path) -> None:
    os.truncate(copy, 0)


def no_list(copy: Path) -> None:
    copy.with_suffix(".json").unlink()


def bad_list(copy: Path) -> None:
    copy.with_suffix(".json").write_bytes(copy.with_suffix(".json").read_bytes()[:-20])


def alien_list(copy: Path) -> None:
    copy.with_suffix(".json").write_text('{"size": [1], "checksums": {}}')


@pytest.mark.parametrize("harm", [flip, cut, empty, no_list, bad_list, alien_list])
def test_a_harmed_copy_is_noticed(cache: Cache, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """Whatever happens to the copy, what is read is the file; and the copy is made anew."""
    path = make(tmp_path / "m.safetensors")
    read(cache, path)
    cache.settle()
    (copy,) = cache.folder.glob("*.copy")
    harm(copy)
    assert read(cache, path) == (path.read_bytes(), True)
    cache.settle()
    read(cache, path)
    cache.settle()
    assert read(cache, path) == (path.read_bytes(), False)


def test_a_replaced_file_is_another(cache: Cache, tmp_path: Path) -> None:
    """The same name and size with other contents is read from its source, and the old copy goes."""
    path = make(tmp_path / "m.safetensors")
    read(cache, path)
    cache.settle()
    make(tmp_path / "new", seed=2).rename(path)
    assert read(cache, path) == (path.read_bytes(), True)
    cache.settle()
    assert read(cache, path) == (path.read_bytes(), False)
    assert len(list(cache.folder.glob("*.copy"))) == 1


def test_a_file_replaced_while_it_is_copied(cache: Cache, tmp_path: Path) -> None:
    """A copy of two files' halves never becomes valid."""
    path = make(tmp_path / "m.safetensors")
    reader = cache.reader(FileReader(path, far=True))
    reader.readv([memoryview(bytearray(BLOCK))], 0)
    make(tmp_path / "new", seed=2).rename(path)
    reader.close(whole=True)
    cache.settle()
    assert not list(cache.folder.glob("*.copy"))
    assert cache.used() == 0


def test_the_oldest_goes_and_never_what_is_loading(tmp_path: Path) -> None:
    """Past the limit the one unused for longest goes; one being read stays, and the limit holds."""
    cache = Cache(tmp_path / "cache", 8 * BLOCK)
    one, two, three = (make(tmp_path / name, seed) for seed, name in enumerate(("a", "b", "c")))
    for age, path in ((100, one), (50, two)):
        read(cache, path)
        cache.settle()
        newest = max(cache.folder.glob("*.copy"), key=lambda copy: copy.stat().st_mtime)
        os.utime(newest, (newest.stat().st_atime, newest.stat().st_mtime - age))
    loading = cache.reader(FileReader(one, far=True))
    os.utime(next(iter(cache.folder.glob(f"{caches.FileVersion.of(one, one.stat()).key}.copy"))), (1, 1))
    read(cache, three)
    cache.settle()
    assert cache.used() <= cache.limit
    assert (read(cache, one)[1], read(cache, three)[1]) == (False, False)
    memory = bytearray(BLOCK)
    loading.readv([memoryview(memory)], 0)
    assert bytes(memory) == one.read_bytes()[:BLOCK]
    loading.close(whole=True)
    assert read(cache, two)[1]
    cache.settle()


def test_larger_than_the_cache(tmp_path: Path) -> None:
    """A file larger than the limit is loaded without it, and nothing goes for it."""
    cache = Cache(tmp_path / "cache", 2 * BLOCK)
    small, large = make(tmp_path / "s", size=BLOCK), make(tmp_path / "l")
    read(cache, small)
    cache.settle()
    assert read(cache, large) == (large.read_bytes(), True)
    assert not read(cache, small)[1]


def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before or in the middle of copying: loading goes on, says so once, and nothing is left on the disk."""
    cache, path = Cache(tmp_path / "cache", 100 * BLOCK), make(tmp_path / "m.safetensors")

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for call in ("posix_fallocate", "pwrite"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            assert read(cache, path) == (path.read_bytes(), True)
        cache.settle()
        assert cache.used() == 0
        assert capsys.readouterr().out.count("loading goes on without it") == 1
    monkeypatch.setattr(caches, "room_on_disk", lambda folder: 100)
    assert read(cache, path) == (path.read_bytes(), True)
    assert "there is no room" in capsys.readouterr().out


def test_a_load_that_failed_leaves_no_copy(cache: Cache, tmp_path: Path) -> None:
    """The copy is dropped with the load, at once."""
    path = make(tmp_path / "m.safetensors")
    reader = cache.reader(FileReader(path, far=True))
    os.truncate(path, 1000)
    with pytest.raises(CutShort):
        reader.readv([memoryview(bytearray(BLOCK))], 0)
    reader.close(whole=False)
    assert cache.used() == 0


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from easel.models import Cache, FileReader
from easel.models.cache.checksums import BLOCK
cache = Cache(Path(sys.argv[1]), 100 * BLOCK)
origin = FileReader(Path(sys.argv[2]), far=True)
reader = cache.reader(origin)
memory = bytearray(BLOCK)
reader.readv([memoryview(memory)], 0)
print(type(reader).__name__, flush=True)
if len(sys.argv) > 4:
    time.sleep(600)
reader.close(whole=True)
cache.settle()
"""


def child(cache: Cache, path: Path, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", CHILD, str(cache.folder), str(path), str(ROOT / "image"), *more]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_folder(cache: Cache, tmp_path: Path) -> None:
    """While one makes the copy others load without waiting; one that was killed is taken over from."""
    path = make(tmp_path / "m.safetensors")
    busy = child(cache, path, "stay")
    try:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "FillingReader\n"
        assert read(cache, path) == (path.read_bytes(), True)
        assert not list(cache.folder.glob("*.copy"))
    finally:
        busy.send_signal(signal.SIGKILL)
        busy.wait()
    read(cache, path)
    cache.settle()
    assert read(cache, path) == (path.read_bytes(), False)
    assert not list(cache.folder.glob("*.part"))
    with child(cache, path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "CopyReader\n"


def test_threads_at_once(cache: Cache, tmp_path: Path) -> None:
    """Many loads of few files in a cache too small for all: every byte right, whoever evicts whom."""
    tight = Cache(cache.folder, 9 * BLOCK)
    paths = [make(tmp_path / f"{seed}", seed) for seed in range(4)]
    wrong: list[Path] = []

    def load(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(8):
            path = dice.choice(paths)
            if read(tight, path)[0] != path.read_bytes():
                wrong.append(path)

    threads = [threading.Thread(target=load, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tight.settle()
    assert not wrong
    assert tight.used() <= tight.limit


@pytest.mark.parametrize(
    ("number", "gone"), [(errno.EIO, False), (errno.ESTALE, True), (errno.ENOTCONN, True)]
)
def test_a_network_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, gone: bool
) -> None:
    """A mount that went away is told apart from a read that failed, with what to do."""
    reader = FileReader(make(tmp_path / "m.safetensors"))

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(MissingFile) as error:
        reader.readv([memoryview(bytearray(10))], 2 * BLOCK)
    assert ("the storage it lies on went away after 2.1 of 3.2 MB" in str(error.value)) is gone
    assert ("try again" in str(error.value)) is not gone


MOUNTS = """\
22 1 8:1 / / rw shared:1 - ext4 /dev/root rw
30 22 0:44 / /mnt/my\\040models rw - nfs4 127.0.0.1:/ rw,vers=4.1
31 22 0:45 / /mnt/bucket rw - fuse.mount-s3 mountpoint-s3 rw
32 22 0:46 / /var/lib rw - fuse.fuse-overlayfs fuse-overlayfs rw
33 30 8:2 / /mnt/my\\040models/local rw master:2 - xfs /dev/nvme1n1 rw
broken line
"""


def test_network_storage_is_known_by_its_mount(tmp_path: Path) -> None:
    """The innermost mount counts; FUSE counts as network but for those known to be local."""
    (tmp_path / "mountinfo").write_text(MOUNTS)
    table = tmp_path / "mountinfo"
    assert file_system("/mnt/my models/Lora/a", table) == "nfs4"
    told = {
        path: is_network(path, table)
        for path in (
            "/mnt/my models/a",
            "/mnt/my models/local/a",
            "/mnt/my modelsX",
            "/mnt/bucket/a",
            "/var/lib/a",
            "/",
        )
    }
    assert [path for path, network in told.items() if network] == ["/mnt/my models/a", "/mnt/bucket/a"]
    assert not is_network("/", tmp_path / "nothing")
    assert file_system("/proc/self/status") == "proc"


def test_sizes(tmp_path: Path) -> None:
    """Bytes in words or a share of the disk; anything else is refused with what is allowed."""
    disk = os.statvfs(tmp_path)
    assert cache_size("200GB", tmp_path) == 200_000_000_000
    assert (cache_size("1.5 mb", tmp_path), cache_size("0", tmp_path)) == (1_500_000, 0)
    assert cache_size("", tmp_path) == disk.f_blocks * disk.f_frsize // 2
    for wrong in ("much", "-1GB", "120%", "10 GiB", "1e9"):
        with pytest.raises(BadCacheSize, match="allowed: bytes as 200GB"):
            cache_size(wrong, tmp_path)


def test_the_cache_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by EASEL_CACHE; a setting that cannot be used is said, and loading goes without."""
    monkeypatch.delenv("EASEL_CACHE", raising=False)
    assert cache_from_environment() is None
    monkeypatch.setenv("EASEL_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("EASEL_CACHE_SIZE", "5MB")
    found = cache_from_environment()
    assert found is not None
    assert (found.folder, found.limit) == (tmp_path / "c", 5_000_000)
    monkeypatch.setenv("EASEL_CACHE_SIZE", "lots")
    assert cache_from_environment() is None
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EASEL_CACHE", str(tmp_path / "file"))
    assert cache_from_environment() is None
