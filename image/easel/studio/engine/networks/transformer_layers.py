"""Where a checkpoint with a transformer has the layers that are named in a network's file.

`transformers/lora_names.py` knows the transformers' own. Text encoders are numbered: kohya's scripts number
them as in SD 3, where T5 is the third, also where CLIP-G is missing (`lora_te1`, `lora_te3` of FLUX.1,
sd-scripts' `lora_flux.py` and `lora_sd3.py`); diffusers, PEFT and OneTrainer count those that a family has;
ComfyUI calls them by name. Language models (of Z-Image, Flux.2, Qwen-Image) are trained by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.networks.layer import layers_of
from easel.studio.engine.networks.names import UNET, FindHomes, Homes
from easel.studio.engine.transformers.lora_names import LoraPlace, LoraPlaces, layer_path
from easel.studio.engine.transformers.table import transformer_of

_T5 = "t5-xxl"
_TRAINED = ("clip-l", "clip-g", _T5)
_NUMBERED = re.compile(r"(?:lora_te|text_encoder_?)(\d?)[._]")
_NAMED = re.compile(r"(?:text_encoders\.)?(clip_l|clip_g|t5xxl)\.(?:transformer\.)?")
_ROLES = {"clip_l": "clip-l", "clip_g": "clip-g", "t5xxl": _T5}
# Up to the first number: `transformer_blocks_12_`.
_BLOCK = re.compile(r"[A-Za-z0-9_]*?_\d+_")


def transformer_homes(checkpoint: Checkpoint) -> FindHomes:
    """Tells the homes of layers in the checkpoint's transformer and in those of its text encoders that are
    there."""
    places = _places(checkpoint)
    roles = [one.role for one in checkpoint.family.text_encoders]
    texts = {
        index: layers_of(module)
        for index, module in enumerate(checkpoint.text_encoders)
        if module is not None and roles[index] in _TRAINED
    }

    def home(base: str) -> tuple[tuple[str, LoraPlace], ...]:
        named = _text_encoder(base, roles)
        if named is None:
            return tuple((UNET, place) for place in places.get(layer_path(base), ()))
        index, path = named
        module = texts.get(index, {}).get(path.replace(".", "_"))
        return () if module is None else ((f"text_encoder_{index}", LoraPlace(module)),)

    def find(bases: Collection[str]) -> Homes:
        return {base: found for base in bases if (found := home(base))}

    return find


def in_transformer(bases: Iterable[str], checkpoint: Checkpoint) -> list[str]:
    """Those that are no text encoder's."""
    roles = [one.role for one in checkpoint.family.text_encoders]
    return [base for base in bases if _text_encoder(base, roles) is None]


def has_other_blocks(bases: Iterable[str], checkpoint: Checkpoint) -> bool:
    """Whether one of these layers of a transformer is in a block that this checkpoint's does not have.

    Of what has no place here, that tells another family from this one, trained with more layers of the same
    blocks (SD 3.5 medium's second attention, FLUX.1's modulations on Chroma): several families have blocks
    of one name and width.
    """
    own = {_block(path) for path in _places(checkpoint)}
    return any(block not in own for base in bases if (block := _block(layer_path(base))))


def _places(checkpoint: Checkpoint) -> LoraPlaces:
    return transformer_of(checkpoint.family.architecture).lora_places(checkpoint.backbone)


def _block(path: str) -> str:
    found = _BLOCK.match(path)
    return found.group() if found else ""


def _text_encoder(base: str, roles: Sequence[str]) -> tuple[int, str] | None:
    """Which text encoder a layer is of, and its path there; None for one of the transformer. An index that no
    text encoder has stands for one that this family does not have."""
    base = base.removeprefix("base_model.model.")
    if named := _NAMED.match(base):
        role = _ROLES[named.group(1)]
        return roles.index(role) if role in roles else len(roles), base[named.end() :]
    numbered = _NUMBERED.match(base)
    if numbered is None:
        return None
    number = int(numbered.group(1) or 1)
    index = roles.index(_T5) if number == 3 and _T5 in roles else number - 1
    return index, base[numbered.end() :]
