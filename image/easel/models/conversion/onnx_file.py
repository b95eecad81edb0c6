"""ONNX files: a network as a graph of ONNX' own operators, with its weights.

No program, so it is not read in a cell as a pickle is; but it may name other files of the machine as the
place of its weights, and such a one is refused. The store keeps it as safetensors with one tensor, `ONNX`,
which is the file byte by byte: so it is listed, hashed, moved and checked as every other.
The format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, read by hand as protobuf's wire format.
"""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from easel.models.conversion.cell import safetensors_header
from easel.models.conversion.convert import Converted, NotConverted, bring_in
from easel.models.file_signatures import looks_like_onnx
from easel.models.kind import Kind
from easel.models.store import Store

ONNX = "onnx"
"""The tensor that holds the file."""
_VARINT, _FIXED, _BYTES, _SMALL = 0, 1, 2, 5
_WIDTHS = {_FIXED: 8, _SMALL: 4}
_DEEPEST = 32
# Messages by the numbers of their fields, as far as they lead to tensors.
_WITHIN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_GRAPH, _NODE = 7, 1
# Of a node.
_NAME = 3
# Of a tensor: where its numbers are if not here.
_ELSEWHERE = (13, 14)


class OnnxRefused(ValueError):
    """Why this is no ONNX file that may be run."""


class _Field(NamedTuple):
    number: int
    begin: int
    end: int
    value: int


def is_onnx(source: Path) -> bool:
    """Whether a file begins as ONNX files do."""
    with open(source, "rb") as file:
        return looks_like_onnx(file.read(16))


def check_onnx(data: Any) -> None:
    """Raise OnnxRefused unless these bytes (anything that is indexed) are one whole ONNX model that needs no
    other file."""
    if not any(field.number == _GRAPH for field in _fields(data, 0, len(data))):
        raise OnnxRefused("there is no graph in it")
    _check(data, "model", 0, len(data), 0)


def first_nodes(data: Any, most: int) -> list[str]:
    """Names of the first operators of a model (any bytes that are indexed): they tell who exported it.

    Raises OnnxRefused for what is no model.
    """
    graphs = [one for one in _fields(data, 0, len(data)) if one.number == _GRAPH]
    nodes = (one for graph in graphs for one in _fields(data, graph.begin, graph.end) if one.number == _NODE)
    return [_name_of(data, one) for one in islice(nodes, most)]


def convert_onnx(
    source: Path,
    store: Store,
    *,
    kind: Kind | None = None,
    folder: str = "",
    name: str = "",
    quota: int | None = None,
) -> Converted:
    """Bring the ONNX file `source` into `store`; `kind` None: with what makes maps, which alone runs any.

    Raises what `convert_pickle` does.
    """
    kind = kind or Kind.IMAGE_ENCODER
    return bring_in(
        source, store, partial(_wrapped, source), kind=kind, folder=folder, name=name, quota=quota
    )


def _wrapped(source: Path, made: Path) -> dict[str, Any]:
    size = source.stat().st_size
    try:
        with open(source, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check_onnx(data)
    except OnnxRefused as error:
        raise NotConverted(source.name, f"this is no ONNX file that can be run: {error}") from error
    header = {
        "__metadata__": {"format": ONNX},
        ONNX: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]},
    }
    with open(source, "rb") as read, open(made, "xb") as out:
        out.write(safetensors_header(header))
        shutil.copyfileobj(read, out, 1 << 20)
    return {"tensors": 1, "left_out": 0, "cut_off": "unread"}


def _name_of(data: Any, node: _Field) -> str:
    names = (one for one in _fields(data, node.begin, node.end) if one.number == _NAME)
    return next((bytes(data[one.begin : one.end]).decode(errors="replace") for one in names), "")


def _check(data: Any, message: str, begin: int, end: int, depth: int) -> None:
    if depth > _DEEPEST:
        raise OnnxRefused("it is nested too deep")
    for field in _fields(data, begin, end):
        if message == "tensor" and field.number in _ELSEWHERE and (field.end > field.begin or field.value):
            raise OnnxRefused("its weights are in other files; take one that has them itself")
        within = _WITHIN[message].get(field.number)
        if within is not None:
            _check(data, within, field.begin, field.end, depth + 1)


def _fields(data: Any, at: int, end: int) -> Iterator[_Field]:
    while at < end:
        tag, at = _number(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _number(data, at, end)
            yield _Field(number, at, at, value)
            continue
        if wire == _BYTES:
            width, at = _number(data, at, end)
        elif wire in _WIDTHS:
            width = _WIDTHS[wire]
        else:
            raise OnnxRefused("it is damaged, or something else")
        if not number or at + width > end:
            raise OnnxRefused("it is damaged, or was cut short")
        yield _Field(number, at, at + width, 0)
        at += width


def _number(data: Any, at: int, end: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = data[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
    raise OnnxRefused("it is damaged, or was cut short")
