"""LoRAs that stand beside an IP-Adapter in one file, as FaceID's were trained:
`ip_adapter.0.to_q_lora.down.weight`, numbered by the attentions of the UNet in diffusers' order.

They count where the prompt names them, as in A1111, which has them as files of their own. Light: imports no
torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from easel.models import FileError, Header, Kind, ModelFile, Store, read_header

_PART = re.compile(r"ip_adapter\.\d+\.to_(?:q|k|v|out)_lora\.(?:down|up)\.weight")
_LAYER = re.compile(r"ip_adapter\.(\d+)\.(to_(?:q|k|v|out))")
_END = "_lora"


def lora_tensors(header: Header) -> list[str]:
    """The names of those of a LoRA in the file of an IP-Adapter; none in any other file."""
    return [name for name in header.tensors if _PART.fullmatch(name)]


def layer_by_number(base: str, processors: Sequence[str]) -> str | None:
    """The path of a layer that is named by the number of its attention among the UNet's `processors`; "" for
    a number that it has not, None for a name of another kind."""
    found = _LAYER.fullmatch(base)
    if found is None:
        return None
    number = int(found[1])
    return f"{processors[number]}.{found[2]}" if number < len(processors) else ""


def adapters_called(wanted: str, store: Store) -> list[ModelFile]:
    """The IP-Adapters of this name (in lower case; or with the end `_lora`, as their LoRAs' own files are
    called) that have a LoRA in them."""
    named = [
        one for one in store.files(Kind.CONTROLNET) if one.stem.lower() in (wanted, wanted.removesuffix(_END))
    ]
    return [one for one in named if _has_lora(one)]


def _has_lora(file: ModelFile) -> bool:
    try:
        return bool(lora_tensors(read_header(file.path)))
    except FileError:
        return False
