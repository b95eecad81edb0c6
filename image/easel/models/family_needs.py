"""What each family with a transformer needs beside it: text encoders and a VAE, by their roles (parts.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from easel.models.family_names import Architecture
from easel.models.parts import (
    CLIP_G,
    CLIP_L,
    MISTRAL_SMALL_24B,
    QWEN3_4B,
    QWEN3_8B,
    QWEN25_VL_7B,
    T5_XXL,
    VAE_16,
    VAE_FLUX,
    VAE_FLUX2,
    VAE_QWEN,
    VAE_SD3,
)


@dataclass(frozen=True, slots=True)
class TextNeed:
    """A text encoder that a family needs; what is `optional` may be missing."""

    role: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What a family draws with beside its transformer: text encoders in this order, and the VAE's role."""

    text_encoders: tuple[TextNeed, ...]
    vae: str


def needs_of(architecture: Architecture) -> Needs:
    """What a family needs beside its transformer. Raises KeyError for those with a UNet (`flow` is False)."""
    return _NEEDS.get(architecture.value) or _NEEDS[architecture.family]


def families_of_role(role: str) -> tuple[str, ...]:
    """The families, as `Architecture.family` spells them, that draw with a part of this role."""
    wanted = (VAE_FLUX, VAE_SD3) if role == VAE_16 else (role,)
    found = [
        name
        for one in wanted
        for name, needs in _NEEDS.items()
        if one == needs.vae or any(one == need.role for need in needs.text_encoders)
    ]
    return tuple(dict.fromkeys(Architecture(name).family if name in _SIZES else name for name in found))


# Of one family, with a text encoder for each size.
_SIZES = (Architecture.FLUX2_KLEIN_4B, Architecture.FLUX2_KLEIN_9B)
_NEEDS: Mapping[str, Needs] = {
    "flux": Needs((TextNeed(CLIP_L), TextNeed(T5_XXL)), VAE_FLUX),
    "sd3": Needs((TextNeed(CLIP_L), TextNeed(CLIP_G), TextNeed(T5_XXL, optional=True)), VAE_SD3),
    "chroma": Needs((TextNeed(T5_XXL),), VAE_FLUX),
    "z-image": Needs((TextNeed(QWEN3_4B),), VAE_FLUX),
    "flux2": Needs((TextNeed(MISTRAL_SMALL_24B),), VAE_FLUX2),
    "flux2-klein-4b": Needs((TextNeed(QWEN3_4B),), VAE_FLUX2),
    "flux2-klein-9b": Needs((TextNeed(QWEN3_8B),), VAE_FLUX2),
    "qwen-image": Needs((TextNeed(QWEN25_VL_7B),), VAE_QWEN),
}
FLOW_LABELS: Mapping[str, str] = {
    "sd3": "SD 3",
    "flux": "FLUX.1",
    "chroma": "Chroma",
    "z-image": "Z-Image",
    "flux2": "FLUX.2",
    "qwen-image": "Qwen-Image",
}
"""How people call these families."""
