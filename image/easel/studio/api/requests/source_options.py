"""A1111's options that decide how pictures are drawn over, and which pictures an answer has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easel.studio import allowed
from easel.studio.engine import InvalidRequest, check_range
from easel.studio.settings import name_in, number_in, yes_in

_WHITE = "#ffffff"
_NUMBERS = {
    "initial_noise_multiplier": ("noise_multiplier", 1.0, 2.0),
    "inpainting_mask_weight": ("mask_weight", 1.0, 1.0),
}
_WORDS = ("tiling", "return_grid", "grid_only_if_multiple", "grid_prevent_empty_spots", "save_init_img")


def source_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the engine's ImageToImage that options say. Raises InvalidRequest."""
    fields: dict[str, Any] = {
        "background": _color(settings),
        "color_correction": yes_in(settings, "img2img_color_correction", default=False),
        "upscaler": name_in(settings, "upscaler_for_img2img"),
    }
    for option, (field, default, most) in _NUMBERS.items():
        value = number_in(settings, option)
        if value is not None:
            check_range(option, value, 0, most)
        fields[field] = default if value is None else value
    return fields


def check_source_options(settings: Mapping[str, Any]) -> None:
    """Raise InvalidRequest for an option that no picture could be drawn by."""
    source_fields(settings)
    for option in _WORDS:
        yes_in(settings, option)
    noise = number_in(settings, "img2img_extra_noise")
    if noise is not None:
        check_range("img2img_extra_noise", noise, 0, 1)
    rows = number_in(settings, "n_rows")
    if rows is not None:
        check_range("n_rows", rows, -1, 100)


def _color(settings: Mapping[str, Any]) -> str:
    from PIL import ImageColor

    said = settings.get("img2img_background_color") or _WHITE
    try:
        ImageColor.getrgb(said)
    except (ValueError, TypeError, AttributeError) as e:
        raise InvalidRequest("img2img_background_color", said, allowed.COLOUR) from e
    return str(said)
