"""Networks that are published as ONNX, run by ONNX Runtime on the processor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from easel.models import ONNX, check_onnx


class OnnxNetwork:
    """One picture in, some tables out. `tensors` are those of a file that `easel models convert` made."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        import onnxruntime

        data = tensors[ONNX].numpy()
        check_onnx(data.data)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # a map now and then: what it took in between is somebody else's memory
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            data.tobytes(), options, providers=["CPUExecutionProvider"]
        )
        self._weights = torch.empty(data.nbytes, dtype=torch.uint8, device="meta")
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise ValueError("it takes something else than one picture")
        self._input = inputs[0].name
        self._sides: tuple[Any, Any] = tuple(inputs[0].shape[2:])

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of pictures that it takes; these where it takes any."""
        sides = zip(self._sides, (height, width), strict=True)
        found = [side if isinstance(side, int) and side > 0 else other for side, other in sides]
        return found[0], found[1]

    def run(self, pixels: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What it gives of (1, 3, height, width)."""
        found: list[NDArray[np.float32]] = self._session.run(None, {self._input: pixels})
        return found

    def load_state_dict(self, tensors: Mapping[str, Any]) -> None:
        """Raise ValueError where it does not give what a subclass reads."""
        raise NotImplementedError

    def parameters(self) -> Iterator[Tensor]:
        """As many bytes as it has, without their values."""
        yield self._weights

    def to(self, device: torch.device) -> Self:
        """Itself: it stays on the processor."""
        return self

    def eval(self) -> Self:
        """Itself."""
        return self
