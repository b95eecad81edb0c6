from __future__ import annotations

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import CutShort, FileError, LyingHeader, MissingFile, NotSafetensors, read_header
from easel.models.header import HEADER_LIMIT, read_header_from
from easel.models.header_table import read_table
from tests.models.files import Fenced, describe, raw, sparse

GOOD = describe({"a": (2, 3), "b": (4,), "empty": (0, 7), "scalar": ()}, metadata={"format": "pt"})
DATA = bytes(22)


def entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12], **changes}}


def test_reads_names_types_shapes_and_places(tmp_path: Path) -> None:
    """A header tells every tensor's type, shape and bytes, counted from the start of the file."""
    found = read_header(raw(tmp_path / "good.safetensors", GOOD, DATA))
    start = found.header_bytes
    assert {
        name: (one.dtype, one.shape, one.begin - start, one.end - start)
        for name, one in found.tensors.items()
    } == {
        "a": ("F16", (2, 3), 0, 12),
        "b": ("F16", (4,), 12, 20),
        "empty": ("F16", (0, 7), 20, 20),
        "scalar": ("F16", (), 20, 22),
    }
    assert found.tensors["a"].nbytes == 12
    assert found.tensors["a"].numel == 6
    assert found.metadata == {"format": "pt"}
    assert found.file_bytes == start + 22


def test_agrees_with_the_library(tmp_path: Path) -> None:
    """A file written by the safetensors library reads as the library reads it, padding included."""
    torch = pytest.importorskip("torch")
    from safetensors import safe_open
    from safetensors.torch import save_file

    path = tmp_path / "lib.safetensors"
    tensors = {"x": torch.zeros(3, 5, dtype=torch.bfloat16), "y": torch.zeros(7), "z": torch.arange(4)}
    save_file(tensors, path, metadata={"a": "b"})
    found = read_header(path)
    with safe_open(path, "pt") as theirs:
        assert set(found.tensors) == set(theirs.keys())
        for name in theirs.keys():  # noqa: SIM118 - not a dict
            piece = theirs.get_slice(name)
            assert (found.tensors[name].dtype, list(found.tensors[name].shape)) == (
                piece.get_dtype(),
                piece.get_shape(),
            )
    assert found.metadata == {"a": "b"}


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"", "empty"),
        (b"PK\x03\x04\x00\x00\x08\x08" + bytes(90), "zip archive"),
        (b"\x80\x02}q\x00(X\x0a\x00\x00\x00state_dictq", "pickle"),
        (b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00", "pickle"),
        (b"GGUF\x03\x00\x00\x00" + bytes(90), "GGUF"),
        (b"<!DOCTYPE html><html><body>Log in</body>", "web page"),
        (b"\n\n  <html lang=en>", "web page"),
        (b'{"error": "unauthorized"}', "JSON"),
        (b'{"a":', "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:30eb", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"Rar!\x1a\x07\x00" + bytes(40), "RAR"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (bytes(4096), "zeros"),
        (b"model" * 60, "not a safetensors file"),
        (b"a" * 257 + b"ustar" + bytes(300), "tar archive"),
    ],
)
def test_says_what_it_is_instead(tmp_path: Path, start: bytes, says: str) -> None:
    """A file that is something else is refused in words that say what it is, and names the file."""
    path = tmp_path / "dream.safetensors"
    path.write_bytes(start)
    with pytest.raises(NotSafetensors, match=says) as error:
        read_header(path)
    assert str(error.value).startswith("dream.safetensors: ")


def test_cut_short_says_how_much_there_is(tmp_path: Path) -> None:
    """A download that ended early says how much of how much arrived, and what to do."""
    path = sparse(tmp_path / "xl.safetensors", {"w": (3_450_000_000,)})
    os.truncate(path, 2_100_000_000)
    with pytest.raises(
        CutShort, match=r"^xl.safetensors: the file is cut short: 2\.1 of 6\.9 GB; download it again$"
    ):
        read_header(path)


def test_cut_short_by_a_hair_is_exact(tmp_path: Path) -> None:
    """Where both sizes would round to the same words, the bytes are given."""
    path = sparse(tmp_path / "xl.safetensors", {"w": (3_450_000_000,)})
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(CutShort, match=r"cut short: 6900000\d\d\d of 6900000\d\d\d bytes"):
        read_header(path)


@pytest.mark.parametrize("size", [1, 4, 7, 8, 9, 12, 60])
def test_cut_within_the_header(tmp_path: Path, size: int) -> None:
    """A file that ends within its header is cut short, not damaged."""
    path = raw(tmp_path / "short.safetensors", GOOD, DATA)
    os.truncate(path, size)
    with pytest.raises(CutShort, match="cut short"):
        read_header(path)


@pytest.mark.parametrize(
    ("table", "data", "says"),
    [
        (entry(shape=[2, 4]), bytes(12), "takes 12 bytes where its type and shape need 16"),
        (entry(dtype="F13"), bytes(12), "unknown type 'F13'"),
        (entry(dtype=None), bytes(12), "unknown type"),
        (entry(shape=[2, -3]), bytes(12), "no shape"),
        (entry(shape=[2.0, 3]), bytes(12), "no shape"),
        (entry(shape=[True, 6]), bytes(12), "no shape"),
        (entry(shape="23"), bytes(12), "no shape"),
        (entry(shape=[1] * 100), bytes(12), "100 dimensions"),
        (entry(shape=[2**62] * 16), bytes(12), "larger than any file"),
        (entry(data_offsets=[0]), bytes(12), "no place"),
        (entry(data_offsets=[12, 0]), bytes(12), "takes -12 bytes"),
        (entry(data_offsets=[-12, 0]), bytes(12), "no place"),
        (entry(data_offsets=[0, 2**70]), bytes(12), "no place"),
        (entry(data_offsets=[2, 14]), bytes(14), "leaves a gap"),
        ({**entry(), "b": {"dtype": "F16", "shape": [6], "data_offsets": [0, 12]}}, bytes(12), "overlaps"),
        (entry(), bytes(13), "1 bytes follow the last tensor"),
        ({"a": 3}, b"", "no description"),
        ({"__metadata__": {"a": 3}}, b"", "metadata is not text"),
        ({"__metadata__": [1]}, b"", "metadata is not text"),
        (b'{"a": NaN}', b"", "damaged"),
        (b'{"a": 1, "a": 1}', b"", "occurs twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", b"", "damaged"),
        (b'{"a": ' + b"[" * 100_000, b"", "damaged"),
        (b'{"\xff": 1}', b"", "damaged"),
        (b"{not json}", b"", "damaged"),
    ],
)
def test_lying_headers(tmp_path: Path, table: object, data: bytes, says: str) -> None:
    """A header that contradicts itself or the file is refused, and the message says where."""
    with pytest.raises(LyingHeader, match=says):
        read_header(raw(tmp_path / "liar.safetensors", table, data))


def test_a_lying_length_allocates_nothing(tmp_path: Path) -> None:
    """A header that claims to be long is compared with the file before memory is taken for it."""
    path = raw(tmp_path / "liar.safetensors", b'{"a": 1}', length=HEADER_LIMIT)
    tracemalloc.start()
    with pytest.raises(CutShort):
        read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("length", [HEADER_LIMIT + 1, 2**63, 2**64 - 1])
def test_a_length_beyond_the_format(tmp_path: Path, length: int) -> None:
    """The format's own limit on the header is kept."""
    with pytest.raises(NotSafetensors):
        read_header(raw(tmp_path / "liar.safetensors", b'{"a": 1}', length=length))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """A name that cannot be opened is an error about that name."""
    with pytest.raises(MissingFile, match=r"gone\.safetensors: cannot be read"):
        read_header(tmp_path / "gone.safetensors")
    with pytest.raises(MissingFile):
        read_header(tmp_path)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_give_a_header_or_a_file_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Whatever the bytes: a checked header, or one of our errors."""
    path = tmp_path_factory.mktemp("fuzz") / "any.safetensors"
    path.write_bytes(data)
    with suppress(FileError):
        assert read_header(path).file_bytes == len(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
COUNT = st.integers(-3, 40) | st.integers()
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F16", "F32", "U8", "F4", "I64", "XX"]) | JSON,
        "shape": st.lists(COUNT, max_size=3) | JSON,
        "data_offsets": st.lists(COUNT, min_size=2, max_size=2) | JSON,
    }
)


@settings(max_examples=400, deadline=None)
@given(table=st.dictionaries(st.text(max_size=6), ENTRY | JSON, max_size=4), size=st.integers(0, 64))
def test_any_table_is_checked(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, Any], size: int
) -> None:
    """What is accepted is whole: tensors lie side by side from the header to the end of the file."""
    path = raw(tmp_path_factory.mktemp("fuzz") / "any.safetensors", table, bytes(size))
    try:
        found = read_header(path)
    except FileError:
        return
    places = [(one.begin, one.end) for one in found.tensors.values()]
    edges = [found.header_bytes, *(end for _, end in places)]
    assert [begin for begin, _ in places] == edges[:-1]
    assert edges[-1] == found.file_bytes == path.stat().st_size


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), cut=st.integers(0, 40))
def test_damage_to_a_good_file(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: int
) -> None:
    """One changed byte, or a few missing at the end, never lead to anything but a header or our errors."""
    path = raw(tmp_path_factory.mktemp("fuzz") / "hurt.safetensors", GOOD, DATA)
    bytes_ = bytearray(path.read_bytes())
    bytes_[place % len(bytes_)] = value
    path.write_bytes(bytes_[: len(bytes_) - cut])
    with suppress(FileError):
        read_header(path)


def test_reads_the_header_only(tmp_path: Path) -> None:
    """A 6.9 GB checkpoint is looked at in no time: its weights are not touched."""
    path = sparse(tmp_path / "xl.safetensors", {f"t{index}": (1_000_000,) for index in range(3_450)})
    assert path.stat().st_size > 6_900_000_000
    began = time.perf_counter()
    assert len(read_header(path).tensors) == 3_450
    assert time.perf_counter() - began < 2


PLACE = b'"dtype":"U8","shape":[0],"data_offsets":[0,0]'
EMOJI = "\U0001f600".encode()


def members(size: int, pattern: bytes) -> bytes:
    """A table of about `size` bytes, of members that differ in their number."""
    count = size // (len(pattern) + 4)
    return b"{" + b",".join(pattern % number for number in range(count)) + b"}"


def noted(notes: bytes) -> bytes:
    return b'{"__metadata__":' + notes + b',"a":{' + PLACE + b"}}"


MONSTERS: dict[str, Callable[[int], bytes]] = {
    "lists": lambda size: b'{"a":[' + b"[]," * (size // 3) + b"[]]}",
    "tables": lambda size: b'{"a":[' + b"{}," * (size // 3) + b"{}]}",
    "nests": lambda size: b'{"a":' + b"[" * size,
    "tables in tables": lambda size: b'{"a":' * (size // 5),
    "numbers": lambda size: b'{"a":[' + b"1e9," * (size // 4) + b"1]}",
    "digits": lambda size: b'{"a":' + b"9" * size + b"}",
    "empty tensors": lambda size: members(size, b'"%07d":{' + PLACE + b"}"),
    "long names": lambda size: members(size, b'"%07d' + EMOJI + b"n" * 4000 + b'":{' + PLACE + b"}"),
    "one name": lambda size: b'{"' + b"n" * size + b'":{' + PLACE + b"}}",
    "escapes": lambda size: b'{"' + b"\\n" * (size // 2) + b'":{}}',
    "notes": lambda size: noted(members(size, b'"%07d":"x"')),
    "a long note": lambda size: noted(b'{"a":"' + b"\\u0061" * (size // 6) + EMOJI + b'"}'),
    "spaces": lambda size: b'{"a":{' + PLACE + b"}" + b" " * size + b"}",
    "many dimensions": lambda size: members(
        size, b'"%07d":{"dtype":"U8","shape":[0' + b",4611686018427387904" * 15 + b'],"data_offsets":[0,0]}'
    ),
}
"""Headers that a JSON reader would make much more of than their bytes, by what they are full of."""


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("size", "most"),
    [
        (6_000_000, 106_000_000),
        # As long as the format allows.
        pytest.param(HEADER_LIMIT - 1_000_000, 200_000_000, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("what", MONSTERS)
def test_no_header_takes_much_memory(tmp_path: Path, what: str, size: int, most: int) -> None:
    """Full of what a JSON reader makes lists of: its own bytes, and at most 100 MB beside them."""
    text = MONSTERS[what](size)
    assert size // 2 < len(text) <= HEADER_LIMIT
    path = raw(tmp_path / "monster.safetensors", text)
    del text
    tracemalloc.start()
    try:
        with suppress(FileError):
            read_header(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        path.unlink()
    assert peak < most


@settings(max_examples=300, deadline=None)
@given(
    start=st.binary(max_size=12), rest=st.binary(max_size=60), length=st.none() | st.integers(0, 2**64 - 1)
)
def test_nothing_is_read_past_the_end(start: bytes, rest: bytes, length: int | None) -> None:
    """Whatever the first bytes claim, only bytes of the file are asked for."""
    content = (start if length is None else length.to_bytes(8, "little")) + rest
    with suppress(FileError):
        read_header_from(Fenced(content), len(content), "x")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(
    table=st.dictionaries(st.text(max_size=6), PLAIN),
    notes=st.none() | st.dictionaries(st.text(max_size=6), st.text(max_size=30), max_size=4),
    indent=st.none() | st.integers(0, 3),
    plain=st.booleans(),
)
def test_agrees_with_a_json_reader(
    table: dict[str, Any], notes: dict[str, str] | None, indent: int | None, plain: bool
) -> None:
    """Piece by piece, the same names, descriptions and notes come out as a JSON reader finds."""
    text = json.dumps({**table, "__metadata__": notes}, indent=indent, ensure_ascii=plain).encode()
    found: dict[str, object] = {}
    assert read_table(text, found.__setitem__) == (notes or {})
    assert found == json.loads(json.dumps(table))


@pytest.mark.parametrize(
    ("text", "metadata"),
    [
        (b"{}", {}),
        (b"{ } ", {}),
        (b'{"__metadata__": null}', {}),
        (b'{"__metadata__": {}}', {}),
        (b'{"__metadata__": {"a": "", "b": "\\u00e9\\"{}"}}   ', {"a": "", "b": 'é"{}'}),
    ],
)
def test_what_a_header_may_look_like(text: bytes, metadata: dict[str, str]) -> None:
    """Spaces, none, braces and quotes within texts."""
    assert read_table(text, lambda name, value: pytest.fail(name)) == metadata


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b'{"a"', b'{"a":', b'{"a":{}', b'{"a":{}}}', b'{"a":{},}', b"{,}", b'{"a" {}}',
     b'{"a":{}"b":{}}',
     b'{"__metadata__":{"a":"b",}}', b'{"__metadata__":{"a":"b"', b'{"__metadata__":{"a":1}}', b'{"a":{}} x',
     b'{"__metadata__":{"a":"x\n"}}', b'{"__metadata__":{},"__metadata__":{}}', b'{"a\n":{}}', b"{'a':{}}",
     b'{"__metadata__":{"a":"x","a":"y"}}', b'{"a":{"b":1,"b":2}}', b'{"a\\x":{}}'],
)  # fmt: skip
def test_what_it_may_not(text: bytes) -> None:
    """What no JSON reader takes is not taken here either, nor a name that occurs twice."""
    with pytest.raises(ValueError, match=r"."):
        read_table(text, lambda name, value: None)
