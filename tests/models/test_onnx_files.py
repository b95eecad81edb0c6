"""ONNX files: what is one comes in byte by byte; what names other files, or is none, does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from easel.models import (
    ONNX,
    Kind,
    NameTaken,
    NotConverted,
    OnnxRefused,
    OverQuota,
    Store,
    check_onnx,
    convert_onnx,
    first_nodes,
    is_onnx,
    read_header,
)
from easel.models.file_signatures import foreign_format
from easel.models.precision import precision_of
from tests.models.conftest import leftovers


def model() -> ModelProto:
    """x + 1, the 1 once as a weight and once as an attribute of a branch within."""
    one = numpy_helper.from_array(np.ones(1, np.float32), "one")
    value = helper.make_tensor_value_info
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=one)], "b", [], [value("c", TensorProto.FLOAT, [1])]
    )
    nodes = [
        helper.make_node("If", ["yes"], ["d"], then_branch=branch, else_branch=branch),
        helper.make_node("Add", ["x", "one"], ["e"]),
        helper.make_node("Add", ["e", "d"], ["y"]),
    ]
    yes = numpy_helper.from_array(np.array(True), "yes")
    infos = [value("x", TensorProto.FLOAT, [1])], [value("y", TensorProto.FLOAT, [1])]
    return helper.make_model(helper.make_graph(nodes, "g", *infos, [one, yes]), producer_name="tests")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(model().SerializeToString())
    return path


def test_it_comes_in_byte_by_byte(store: Store, source: Path) -> None:
    """Under its name, with a record, beside what makes maps; never over another, within the quota."""
    assert is_onnx(source)
    with pytest.raises(OverQuota):
        convert_onnx(source, store, quota=10)
    done = convert_onnx(source, store)
    assert (done.file.kind, done.file.name, done.tensors) == (Kind.IMAGE_ENCODER, "net.safetensors", 1)
    header = read_header(done.file.path)
    begin, end = header.tensors[ONNX].begin, header.tensors[ONNX].end
    assert done.file.path.read_bytes()[begin:end] == source.read_bytes()
    assert precision_of(header) == "", "its bytes are another file's"
    assert store.record(done.file.path).sha256 == done.sha256 == store.hash_now(done.file.path)
    with pytest.raises(NameTaken):
        convert_onnx(source, store)
    assert not leftovers(store.root)


@pytest.mark.parametrize("place", ["weight", "attribute"])
@pytest.mark.parametrize("how", ["location", "data"])
def test_weights_elsewhere_are_refused(store: Store, source: Path, place: str, how: str) -> None:
    """A file may name any other of the machine as the place of its weights, wherever a tensor may be."""
    made = model()
    tensor = made.graph.initializer[0]
    if place == "attribute":
        tensor = made.graph.node[0].attribute[1].g.node[0].attribute[0].t
    if how == "location":
        tensor.data_location = TensorProto.EXTERNAL
    else:
        tensor.external_data.add(key="location", value="/etc/passwd")
    source.write_bytes(made.SerializeToString())
    with pytest.raises(NotConverted, match="in other files"):
        convert_onnx(source, store)
    assert not leftovers(store.root)


def test_what_is_none_is_refused(store: Store, source: Path) -> None:
    """Cut short at any byte, damaged, empty of a graph, nested without an end."""
    whole = source.read_bytes()
    check_onnx(whole)
    tails = [len(whole) - len(whole) // 3, len(whole) - 1, 40, 3]
    for data in [
        *(whole[:end] for end in tails),
        b"\x08\x08\x12\x00",
        b"",
        b"\x08\x08\x3b\x01",
        b"\xff" * 30,
    ]:
        with pytest.raises(OnnxRefused):
            check_onnx(data)
    deep = b""
    for _ in range(60):  # graph > node > attribute > graph …
        for tag in (0x32, 0x2A, 0x0A):
            deep = bytes([tag]) + _varint(len(deep)) + deep
    with pytest.raises(OnnxRefused, match="deep"):
        check_onnx(b"\x08\x08\x3a" + _varint(len(deep)) + deep)
    source.write_bytes(whole[:-1])
    with pytest.raises(NotConverted, match=r"net\.onnx"):
        convert_onnx(source, store)


def test_a_dropped_one_is_told_the_way() -> None:
    """Who sends an ONNX file as it is learns of the command."""
    assert "easel models convert" in str(foreign_format(model().SerializeToString()[:64], 1000))


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def test_its_first_operators() -> None:
    """By their names, as many as there are; one without a name has none."""
    graph = model()
    graph.graph.node[1].name = "_minusscalar0"
    assert first_nodes(graph.SerializeToString(), 2) == ["", "_minusscalar0"]
    assert len(first_nodes(graph.SerializeToString(), 8)) == 3
    with pytest.raises(OnnxRefused):
        first_nodes(b"no model", 8)
