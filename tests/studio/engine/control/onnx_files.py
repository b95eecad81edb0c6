"""ONNX files with random weights that take and give what DWPose's two published ones do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, np.ndarray]


def save(
    path: Path, size: tuple[int, int], outputs: Sequence[str], nodes: list[object], weights: Weights
) -> None:
    """A model with the input `input` of this height and width."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", "of", "each"]) for one in outputs],
        [numpy_helper.from_array(one, name) for name, one in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def people(path: Path, sure: float = 0.0) -> None:
    """As `yolox_l.onnx`: what it says of a place follows from its pixels; the surer, the more boxes."""
    rng = np.random.default_rng(0)
    weights: Weights = {"split": np.array([4, 81], np.int64), "shape": np.array([1, 85, -1], np.int64)}
    nodes = []
    for stride in (8, 16, 32):
        kernel = rng.standard_normal((85, 3, stride, stride)) / (3 * stride**2) ** 0.5 / 25
        bias = rng.standard_normal(85) * 0.3
        bias[2:4] += 2.0
        bias[4] += sure
        bias[5] += 1.0
        weights |= {f"w{stride}": kernel.astype(np.float32), f"b{stride}": bias.astype(np.float32)}
        how = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        nodes += [
            helper.make_node("Conv", ["input", f"w{stride}", f"b{stride}"], [f"c{stride}"], **how),
            helper.make_node("Reshape", [f"c{stride}", "shape"], [f"r{stride}"]),
        ]
    nodes += [
        helper.make_node("Concat", ["r8", "r16", "r32"], ["all"], axis=2),
        helper.make_node("Split", ["all", "split"], ["boxes", "raw"], axis=1),
        helper.make_node("Sigmoid", ["raw"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["both"], axis=1),
        helper.make_node("Transpose", ["both"], ["output"], perm=[0, 2, 1]),
    ]
    save(path, (640, 640), ["output"], nodes, weights)


def points(path: Path, sure: float = 0.0) -> None:
    """As `dw-ll_ucoco_384.onnx`: columns and rows of each point follow from the picture's means."""
    rng = np.random.default_rng(1)
    nodes, weights = [], {}
    for name, axis, side in (("x", 2, 288), ("y", 3, 384)):
        weights |= {
            f"a{name}": rng.standard_normal((133, 3)).astype(np.float32),
            f"b{name}": (rng.standard_normal((side, 2 * side)) / side**0.5).astype(np.float32),
            f"c{name}": np.full(1, sure - 2.5, np.float32),
        }
        nodes += [
            helper.make_node("ReduceMean", ["input"], [f"m{name}"], axes=[axis], keepdims=0),
            helper.make_node("MatMul", [f"a{name}", f"m{name}"], [f"p{name}"]),
            helper.make_node("MatMul", [f"p{name}", f"b{name}"], [f"q{name}"]),
            helper.make_node("Add", [f"q{name}", f"c{name}"], [f"r{name}"]),
            helper.make_node("Sigmoid", [f"r{name}"], [f"simcc_{name}"]),
        ]
    save(path, (384, 288), ["simcc_x", "simcc_y"], nodes, weights)
