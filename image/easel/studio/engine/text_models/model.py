"""What the engine wants of a text encoder, whatever is inside, and what a text becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from easel.remark import Remark


@dataclass(frozen=True, eq=False)
class EncodedText:
    """One text for one family's transformer.

    `tokens` (1, tokens, width); `mask` (1, tokens) True where one counts, None where all do; `pooled`
    (1, width) where the family wants it. `notes` say what of the text does not count.
    """

    tokens: torch.Tensor
    mask: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    notes: tuple[Remark, ...] = ()


class TextModel(Protocol):
    """One kind of text encoder. Without state of its own: the module is given."""

    def skeleton(self, config: Mapping[str, Any]) -> Any:
        """The module with this published configuration (`text_encoder*/config.json`), on the meta device.

        Only what is used of it: no head that predicts words, no layer behind the last that is attended to.
        """

    def convert(self, tensors: Mapping[str, torch.Tensor], module: Any) -> dict[str, torch.Tensor]:
        """A file's tensors under the module's names: of a single file as it was published (ComfyUI's names,
        llama.cpp's, or those of a checkpoint that holds its encoders), or of the publisher's folder. What the
        module has no place for is left out. Works on tensors that have shapes alone
        (`conversion.Traced`) as well."""
