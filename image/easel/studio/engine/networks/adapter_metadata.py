"""The alpha of a LoRA that diffusers wrote: in the header's `lora_adapter_metadata`, beside no tensor.

It is PEFT's configuration of each part in JSON: `unet.lora_alpha`, `transformer.lora_alpha` and so on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from easel.studio.engine.networks.names import UNET

_KEY = "lora_adapter_metadata"
_PARTS = {
    UNET: ("unet.", "transformer."), "text_encoder_0": ("text_encoder.",),
    "text_encoder_1": ("text_encoder_2.",), "text_encoder_2": ("text_encoder_3.",),
}  # fmt: skip


class AdapterMetadata:
    """What a file's header says of its alphas."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        try:
            found = json.loads(metadata.get(_KEY, "{}"))
        except (ValueError, RecursionError):
            found = {}
        self._said: dict[str, Any] = found if isinstance(found, dict) else {}

    def alpha(self, part: str, module: str, rank: int) -> float | None:
        """The alpha of a layer, None where none is said. Rank-stabilized ones count per √rank."""
        prefixes = _PARTS[part]
        prefix = next((one for one in prefixes if f"{one}lora_alpha" in self._said), prefixes[0])
        own = self._said.get(f"{prefix}alpha_pattern")
        # PEFT takes these for patterns; they are compared as they are, since a stranger wrote them
        layers = own if isinstance(own, dict) else {}
        alpha = next(
            (one for name, one in layers.items() if f".{module}".endswith(f".{name}")),
            self._said.get(f"{prefix}lora_alpha"),
        )
        if isinstance(alpha, bool) or not isinstance(alpha, int | float):
            return None
        return alpha * math.sqrt(rank) if self._said.get(f"{prefix}use_rslora") is True else float(alpha)
