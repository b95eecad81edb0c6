"""ONNX files with random weights that take and give what the published ones of DWPose and InsightFace do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = dict[str, np.ndarray]


def save(
    path: Path,
    size: tuple[int | str, int | str],
    outputs: Sequence[str],
    nodes: list[object],
    weights: Weights,
    axes: int = 3,
) -> None:
    """A model with the input `input` of this height and width."""
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, *size])],
        [
            helper.make_tensor_value_info(one, TensorProto.FLOAT, ["n", "of", "each"][:axes])
            for one in outputs
        ],
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


def faces(path: Path, noise: float = 0.05) -> None:
    """As `det_10g.onnx`: a face wherever the picture is red, told of at the third stride; its points follow
    from its pixels, by as much as `noise` says."""
    rng = np.random.default_rng(2)
    five = np.array([[-1.1, -0.9], [1.1, -0.9], [0.0, 0.2], [-0.9, 1.3], [0.9, 1.3]]).reshape(-1)
    weights: Weights = {f"shape{wide}": np.array([-1, wide], np.int64) for wide in (1, 4, 10)}
    nodes, outputs = [], []
    for stride in (8, 16, 32):
        how = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
        red = np.array([6.0, -3.0, -3.0]) if stride == 32 else np.zeros(3)
        for kind, wide in (("score", 1), ("box", 4), ("points", 10)):
            kernel = rng.standard_normal((2 * wide, 3, stride, stride)) * noise / stride
            if kind == "score":
                kernel += red.reshape(1, 3, 1, 1) / stride**2
                # the second of each place's two is never sure
                bias = np.array([-3.0 if stride == 32 else -9.0, -9.0])
            else:
                bias = np.tile(np.full(4, 12.0) if kind == "box" else 4 * five, 2)
            name = f"{kind}{stride}"
            weights |= {f"w_{name}": kernel.astype(np.float32), f"b_{name}": bias.astype(np.float32)}
            nodes += [
                helper.make_node("Conv", ["input", f"w_{name}", f"b_{name}"], [f"c_{name}"], **how),
                helper.make_node("Transpose", [f"c_{name}"], [f"t_{name}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t_{name}", f"shape{wide}"], [f"r_{name}"]),
                helper.make_node("Sigmoid" if kind == "score" else "Identity", [f"r_{name}"], [name]),
            ]
    outputs = [f"{kind}{stride}" for kind in ("score", "box", "points") for stride in (8, 16, 32)]
    save(path, ("high", "wide"), outputs, nodes, weights, axes=2)


def identity(path: Path, seed: int = 3, *, by_itself: bool = False) -> None:
    """As `w600k_r50.onnx`; or as MXNet exports it, which does to the pixels `by_itself` what others have done
    to them."""
    rng = np.random.default_rng(seed)
    weights: Weights = {
        "k": (rng.standard_normal((8, 3, 16, 16)) / 27).astype(np.float32),
        "m": (rng.standard_normal((392, 512)) / 19).astype(np.float32),
        "mean": np.full(1, 127.5, np.float32), "scale": np.full(1, 1 / 127.5, np.float32),
    }  # fmt: skip
    nodes = [
        helper.make_node("Sub", ["input", "mean"], ["moved"], name="_minusscalar0"),
        helper.make_node("Mul", ["moved", "scale"], ["small"], name="_mulscalar0"),
    ]
    how = {"kernel_shape": [16, 16], "strides": [16, 16]}
    nodes = [
        *(nodes if by_itself else []),
        helper.make_node("Conv", ["small" if by_itself else "input", "k"], ["c"], name="Conv_0", **how),
        helper.make_node("Relu", ["c"], ["r"], name="Relu_1"),
        helper.make_node("Flatten", ["r"], ["f"], name="Flatten_2"),
        helper.make_node("MatMul", ["f", "m"], ["683"], name="MatMul_3"),
    ]
    save(path, (112, 112), ["683"], nodes, weights, axes=2)
