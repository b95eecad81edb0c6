"""GGUF's header, read by hand: as the format's own library reads it, and nothing that a stranger claims."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import (
    CutShort,
    FileError,
    Header,
    LyingHeader,
    NotSafetensors,
    read_header,
    read_model_header,
)
from easel.models.gguf_header import GGML_TYPES
from easel.models.model_header import LookAgain, read_arrived_header, read_model_header_from
from tests.models.files import Fenced, describe, raw
from tests.models.gguf_files import (
    ARRAY,
    NUMBERS,
    STRING,
    UINT32,
    entry,
    gguf_bytes,
    nbytes,
    start,
    tensor,
    text,
)

gguf = pytest.importorskip("gguf", reason="the format's own library is the judge")


def read(content: bytes, name: str = "x.gguf") -> Header:
    """Of a file with a fence behind its end."""
    return read_model_header_from(Fenced(content), len(content), name)


def whole(found: Header, content: bytes) -> None:
    """Tensors lie in the order of their bytes, each in its own, up to the end."""
    edge = found.header_bytes
    for one in found.tensors.values():
        assert edge <= one.begin <= one.end <= len(content)
        edge = one.end
    assert found.file_bytes == len(content)


def test_the_types_are_those_of_the_library() -> None:
    """Numbers, names, weights in a block and bytes of it."""
    theirs = {one.value: (one.name, *sizes) for one, sizes in gguf.GGML_QUANT_SIZES.items()}
    assert dict(GGML_TYPES) == theirs


SIDES = st.integers(1, 4)
TENSORS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12),
    st.tuples(st.sampled_from(sorted(NUMBERS)), st.lists(SIDES, max_size=3), SIDES),
    min_size=1,
    max_size=6,
)
VALUES = (
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    | st.integers(0, 2**32 - 1)
    | st.booleans()
    | st.lists(st.integers(0, 9), min_size=1, max_size=5)
    | st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=5)
)
NOTES = st.dictionaries(st.text("abc.d", min_size=1, max_size=8), VALUES, max_size=5)


@settings(max_examples=150, deadline=None)
@given(made=TENSORS, notes=NOTES, alignment=st.sampled_from([32, 64, 256]))
def test_agrees_with_the_library(
    tmp_path_factory: pytest.TempPathFactory,
    made: dict[str, tuple[str, list[int], int]],
    notes: dict[str, object],
    alignment: int,
) -> None:
    """A file that the library writes reads as the library reads it: names, types, shapes, bytes, texts."""
    path = tmp_path_factory.mktemp("theirs") / "x.gguf"
    writer = gguf.GGUFWriter(path, "flux")
    writer.add_custom_alignment(alignment)
    for key, value in notes.items():
        name = f"n.{key}"
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        else:
            writer.add_array(name, value)
    shapes = {}
    for name, (dtype, sides, rows) in made.items():
        _, block, size = GGML_TYPES[NUMBERS[dtype]]
        shapes[name] = (*sides, rows * block)
        data = np.zeros((*sides, rows * size), np.uint8)
        writer.add_tensor(name, data, raw_dtype=gguf.GGMLQuantizationType(NUMBERS[dtype]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_model_header(path)
    theirs = gguf.GGUFReader(path)
    assert {name: one.shape for name, one in found.tensors.items()} == shapes
    assert {name: (one.dtype, one.begin, one.nbytes) for name, one in found.tensors.items()} == {
        one.name: (one.tensor_type.name, int(one.data_offset), int(one.n_bytes)) for one in theirs.tensors
    }
    assert found.header_bytes == theirs.data_offset
    assert found.metadata["general.architecture"] == "flux"
    assert found.metadata["general.alignment"] == str(alignment)
    for key, value in notes.items():
        assert found.metadata.get(f"n.{key}") == as_text(value)


def as_text(value: object) -> str | None:
    """What is kept of an entry: of a list nothing."""
    if isinstance(value, list):
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_an_original_shape() -> None:
    """Where rows fill no blocks ComfyUI-GGUF folds the tensor and notes its shape; no other is believed."""
    shape = struct.pack("<IQiii", 5, 3, 6, 4, 32)
    notes = [entry(f"comfy.gguf.orig_shape.{name}", ARRAY, shape) for name in ("a", "b")]
    described = [tensor("a", (256, 3), NUMBERS["Q4_K"], 0), tensor("b", (256, 2), NUMBERS["Q4_K"], 448)]
    head = start(described, notes)
    content = head + bytes(-len(head) % 32 + 448 + 288)
    assert {name: one.shape for name, one in read(content).tensors.items()} == {
        "a": (6, 4, 32),
        "b": (2, 256),
    }


GOOD_SHAPES = {"a.weight": (2, 64), "a.bias": (64,), "b": (3, 5)}
GOOD = gguf_bytes(GOOD_SHAPES, metadata={"general.name": "it"}, types={"a.weight": "Q8_0"})


def test_what_a_good_one_says() -> None:
    """Shapes in torch's order, bytes by blocks, places from the start; the last padding may be missing."""
    found = read(GOOD)
    assert {name: (one.dtype, one.shape, one.nbytes) for name, one in found.tensors.items()} == {
        "a.weight": ("Q8_0", (2, 64), 136), "a.bias": ("F16", (64,), 128), "b": ("F16", (3, 5), 30),
    }  # fmt: skip
    assert found.metadata == {"general.name": "it"}
    whole(found, GOOD)
    assert read(GOOD[:-2]).tensors == found.tensors
    assert found.tensors["b"].numel == 15


def test_every_cut(tmp_path: Path) -> None:
    """A file that ends too early is said to be cut short, wherever it ends."""
    last = read(GOOD).tensors["b"].end
    for length in range(4, last):
        with pytest.raises(CutShort):
            read(GOOD[:length])


def test_a_header_that_is_still_coming() -> None:
    """Until all of it is there the answer is none, and not a byte behind what is there is read."""
    begin = read(GOOD).header_bytes
    seen = None
    for there in range(len(GOOD) + 1):
        found = read_arrived_header(Fenced(GOOD[:there]), there, len(GOOD), "x.gguf")
        assert found is not None or there < begin
        seen = seen or (found and there)
    assert seen
    assert begin - 32 < seen <= begin


def test_a_header_is_not_read_again_and_again() -> None:
    """A header of 16 MB that comes in pieces of 64 kB is looked at a dozen times, not 256."""
    look = LookAgain()
    assert sum(look.is_due(there, 1 << 34) for there in range(1 << 16, 1 << 24, 1 << 16)) < 12
    assert LookAgain().is_due(3, 10)
    last = LookAgain()
    assert last.is_due(6, 10)
    assert not last.is_due(9, 10)
    assert last.is_due(10, 10)  # all is there, though it is not twice as much


def described(**changes: object) -> bytes:
    said = {"name": "a", "sizes": (64,), "kind": 1, "offset": 0, **changes}
    head = start([tensor(said["name"], said["sizes"], said["kind"], said["offset"])], [])  # type: ignore[arg-type]
    return head + bytes(-len(head) % 32 + 128)


def noted(*notes: bytes) -> bytes:
    head = start([], list(notes))
    return head + bytes(-len(head) % 32)


def lists_in_lists(depth: int) -> bytes:
    return entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * depth + struct.pack("<IQB", 0, 1, 7))


LIES: dict[str, tuple[bytes, type[FileError], str]] = {
    "version 1": (start([], [], version=1) + bytes(64), LyingHeader, "of version 1"),
    "the other end first": (start([], [], version=3 << 24) + bytes(64), LyingHeader, "the high byte first"),
    "a number of tensors": (start([], [], counts=(2**62, 0)), LyingHeader, "claims 4611686018427387904"),
    "a number of entries": (start([], [], counts=(0, 2**64 - 1)), LyingHeader, "claims"),
    "more tensors than are there": (start([], [], counts=(3, 0)), CutShort, "cut short"),
    "a long name": (
        start([struct.pack("<Q", 2**63)], [], counts=(1, 0)) + bytes(64), LyingHeader, "has 92233720368547"
    ),
    "a name that is no text": (described(name=b"\xff\xfe"), LyingHeader, "is no text"),
    "dimensions": (
        start([text("a") + struct.pack("<I", 2**32 - 1)], []) + bytes(640), LyingHeader, "4294967295 dim"
    ),
    "sizes": (described(sizes=(2**63, 2**63, 2**63)), LyingHeader, "larger than any file"),
    "more bytes than there are": (described(sizes=(65536,)), CutShort, "cut short"),
    "fewer bytes": (described(sizes=(8,)), LyingHeader, "96 bytes follow"),
    "a type": (described(kind=36), LyingHeader, "unknown type 36"),
    "rows that are no blocks": (described(sizes=(33,), kind=8), LyingHeader, "no whole blocks of Q8_0"),
    "a block without a row": (described(sizes=(), kind=8), LyingHeader, "no whole blocks of Q8_0"),
    "an offset": (described(offset=32), LyingHeader, "does not lie behind"),
    "an offset that wraps": (described(offset=2**64 - 32), LyingHeader, "does not lie behind"),
    "a name twice": (start(
        [tensor("a", (16,), 1, 0), tensor("a", (16,), 1, 32)], []) + bytes(128), LyingHeader, "occurs twice"),
    "an entry twice": (noted(entry("k", 0, b"\1"), entry("k", 0, b"\1")), LyingHeader, "occurs twice"),
    "an entry's type": (noted(entry("k", 13, bytes(8))), LyingHeader, "unknown type 13"),
    "an entry's text": (noted(entry("k", STRING, struct.pack("<Q", 2**63))), LyingHeader, "longer than"),
    "a list of numbers": (noted(entry("k", ARRAY, struct.pack("<IQ", 10, 2**63))), LyingHeader, "longer"),
    "a list of texts": (noted(entry("k", ARRAY, struct.pack("<IQ", 8, 2**64 - 1))), LyingHeader, "too long"),
    "lists in lists": (noted(lists_in_lists(30)), LyingHeader, "too deep"),
    "a list of nothing known": (noted(entry("k", ARRAY, struct.pack("<IQ", 99, 1))), LyingHeader, "unknown"),
    "no alignment": (
        noted(entry("general.alignment", UINT32, bytes(4))), LyingHeader, "its alignment is 0"
    ),
    "an odd alignment": (
        noted(entry("general.alignment", UINT32, struct.pack("<I", 48))), LyingHeader, "no power of two"
    ),
    "an alignment of gigabytes": (
        noted(entry("general.alignment", UINT32, struct.pack("<I", 2**31))), LyingHeader, "no power of two"
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_lies(lie: str) -> None:
    """Each is told for what it is, with nothing read for it and no memory taken."""
    content, error, says = LIES[lie]
    tracemalloc.start()
    try:
        with pytest.raises(error, match=says):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_lists_may_lie_in_a_list() -> None:
    """As the format allows, to some depth; a vocabulary is gone past, a long text left out."""
    long = entry("tokenizer.chat_template", STRING, text("x" * 7_000_000))
    words = entry("tokenizer.tokens", ARRAY, struct.pack("<IQ", STRING, 3) + text("a") + text("") + text("é"))
    found = read(noted(lists_in_lists(2), long, words, entry("k", STRING, text("v"))))
    assert dict(found.metadata) == {"k": "v"}
    assert not found.tensors


def test_a_long_vocabulary_takes_no_memory() -> None:
    """A hundred thousand words: gone past in a moment, none of them kept."""
    words = struct.pack("<IQ", STRING, 100_000) + text("word") * 100_000
    content = noted(entry("tokenizer.merges", ARRAY, words))
    began = time.process_time()
    tracemalloc.start()
    try:
        assert not read_model_header_from(io.BytesIO(content), len(content), "x.gguf").metadata
        assert tracemalloc.get_traced_memory()[1] < len(content) + 2_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 30


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_header_or_a_file_error(data: bytes) -> None:
    """Whatever follows the four letters: a checked header, or one of our errors."""
    content = b"GGUF\x03\x00\x00\x00" + data
    with suppress(FileError):
        whole(read(content), content)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(4, len(GOOD) - 1), value=st.integers(0, 255), cut=st.integers(0, 40))
def test_damage_to_a_good_file(place: int, value: int, cut: int) -> None:
    """One changed byte, or a few missing at the end: a header that holds together, or our errors."""
    content = bytearray(GOOD)
    content[place] = value
    hurt = bytes(content[: len(content) - cut])
    with suppress(FileError):
        whole(read(hurt), hurt)


NUMBER = st.sampled_from([0, 1, 2, 32, 64, 256, 2**31, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)


@settings(max_examples=400, deadline=None)
@given(
    made=st.lists(
        st.tuples(st.text("ab", max_size=2), st.lists(NUMBER, max_size=4), st.integers(0, 45), NUMBER),
        max_size=3,
    ),
    size=st.integers(0, 700),
)
def test_any_table_is_checked(made: list[tuple[str, list[int], int, int]], size: int) -> None:
    """What is accepted is whole, with true bytes for each type and shape."""
    head = start([tensor(*one) for one in made], [])
    content = head + bytes(-len(head) % 32 + size)
    try:
        found = read(content)
    except FileError:
        return
    whole(found, content)
    for one in found.tensors.values():
        assert one.nbytes == nbytes(one.shape, one.dtype)


def test_by_the_first_bytes(tmp_path: Path) -> None:
    """Either format is read by one door; under the other's ending it is refused, for it goes by its name."""
    table, weights = describe({"a": (2,)}), bytes(4)
    plain = raw(tmp_path / "a.safetensors", table, weights)
    assert read_model_header(plain) == read_header(plain)
    (tmp_path / "b.gguf").write_bytes(GOOD)
    assert set(read_model_header(tmp_path / "b.gguf").tensors) == set(GOOD_SHAPES)
    (tmp_path / "c.safetensors").write_bytes(GOOD)
    with pytest.raises(NotSafetensors, match=r"this is a GGUF file: give it the ending \.gguf"):
        read_model_header(tmp_path / "c.safetensors")
    with pytest.raises(NotSafetensors, match=r"this is a safetensors file: give it the ending"):
        read_model_header(raw(tmp_path / "d.gguf", table, weights))
    (tmp_path / "e.gguf").write_bytes(b"<!DOCTYPE html><html>" + bytes(2000))
    with pytest.raises(NotSafetensors, match="web page"):
        read_model_header(tmp_path / "e.gguf")
    with pytest.raises(NotSafetensors, match="read as a checkpoint, text encoder or VAE only"):
        read_header(tmp_path / "b.gguf")
