"""What an infotext means where it says nothing of an option: the default, whatever its reader has set.

A1111 writes what differs from its defaults, so that a text without `Clip skip` was drawn with 1. What A1111
has no label for is meant so by Easel's own texts alone, which have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easel.studio.api.requests.options_table import OPTIONS, options_of_infotext, same
from easel.studio.infotext import Infotext
from easel.studio.infotext_modules import MODULE, modules_said

_OF_ALL = (
    "CLIP_stop_at_last_layers", "eta_ddim", "eta_ancestral", "eta_noise_seed_delta", "s_churn", "s_tmin",
    "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho", "always_discard_next_to_last_sigma",
    "sgm_noise_multiplier", "beta_dist_alpha", "beta_dist_beta", "skip_early_cond", "s_min_uncond",
    "s_min_uncond_all", "emphasis", "tiling", "initial_noise_multiplier", "img2img_extra_noise",
    "inpainting_mask_weight", "face_restoration",
)  # fmt: skip
_OF_EASELS = (
    "sdxl_clip_l_skip", "use_old_karras_scheduler_sigmas", "enable_quantization", "uni_pc_variant",
    "uni_pc_skip_type", "uni_pc_order", "uni_pc_lower_order_final", "img2img_color_correction",
    "upscaler_for_img2img", "img2img_background_color", "img2img_fix_steps",
    "forge_additional_modules", "sd_vae",
)  # fmt: skip
# Of Easel's texts one without a VAE was drawn with the checkpoint's own.
_MEANT = {"sd_vae": "None"}
# Labels that another module reads.
_LABELS = {"CLIP_stop_at_last_layers": "Clip skip", "face_restoration": "Face restoration", "sd_vae": "VAE"}


def silent_options(found: Infotext, own: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options that a reader has set (`own`) those that the text is silent about and that would draw
    another picture, as its silence means them; nothing of a text without parameters."""
    if not found.parameters:
        return {}
    easels = found.parameters.get("Version", "").startswith("Easel")
    names = (*_OF_ALL, *_OF_EASELS) if easels else _OF_ALL
    meant = {name: _MEANT.get(name, OPTIONS[name].default) for name in names if name in own}
    return {
        name: value
        for name, value in meant.items()
        if not _says(found, name) and not same(own[name], value) and own[name] is not None
    }


def _says(found: Infotext, name: str) -> bool:
    if name == "forge_additional_modules":
        return bool(modules_said(MODULE, found.parameters))
    if name in _LABELS:
        return _LABELS[name] in found.parameters
    return name in options_of_infotext(found.parameters)
