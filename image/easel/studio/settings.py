"""A1111's options that decide what is drawn, read from a dictionary that somebody sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easel.studio import allowed
from easel.studio.engine import InvalidRequest

# A1111's words for "what the checkpoint brings along".
_NO_NAME = {"", "none", "automatic"}
_MOST_MODULES = 20
# Forge's, and what it says of a second pass.
_NO_MODULE = {"built-in", "built in", "use same choices"}


def clip_skip(settings: Mapping[str, Any]) -> int:
    """`CLIP_stop_at_last_layers`, 1 where it is not set. Raises InvalidRequest for what is no number."""
    value = settings.get("CLIP_stop_at_last_layers")
    if value is None:
        return 1
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise InvalidRequest("CLIP_stop_at_last_layers", value, allowed.LAYERS) from e


def clip_l_skip(settings: Mapping[str, Any]) -> bool:
    """`sdxl_clip_l_skip`: whether clip skip counts for OpenAI's encoder of SDXL. Raises InvalidRequest."""
    return settings.get("sdxl_clip_l_skip") is not None and yes_in(settings, "sdxl_clip_l_skip")


def number_in(settings: Mapping[str, Any], key: str) -> float | None:
    """The number under `key`, None where it is not set. Raises InvalidRequest for what is no number."""
    value = settings.get(key)
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise InvalidRequest(key, value, allowed.NUMBER) from e


def yes_in(settings: Mapping[str, Any], key: str, *, default: bool = True) -> bool:
    """Whether what is under `key` says yes; `default` where nothing is set. Raises InvalidRequest."""
    value = settings.get(key)
    said = {None: default, "true": True, "1": True, "false": False, "0": False}
    found = said.get(value if value is None else str(value).strip().lower())
    if found is None:
        raise InvalidRequest(key, value, allowed.YES_OR_NO)
    return found


def name_in(settings: Mapping[str, Any], key: str) -> str | None:
    """The name under `key`; None for none and for A1111's "Automatic" and "None". Raises InvalidRequest."""
    value = settings.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(key, value, allowed.NAME)
    return value if is_name(value) else None


def vae_in(settings: Mapping[str, Any]) -> str | None:
    """`sd_vae`: a name, "None" for the checkpoint's own, None for "Automatic". Raises InvalidRequest."""
    value = settings.get("sd_vae")
    if isinstance(value, str) and value.strip().lower() == "none":
        return "None"
    return name_in(settings, "sd_vae")


def modules_in(settings: Mapping[str, Any], key: str = "forge_additional_modules") -> tuple[str, ...]:
    """Names of text encoders and VAEs under `key`, without Forge's words for none. Raises InvalidRequest."""
    value = settings.get(key)
    if isinstance(value, str):
        value = [value]
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise InvalidRequest(key, value, allowed.NAMES)
    if len(value) > _MOST_MODULES:
        raise InvalidRequest(key, len(value), allowed.up_to(_MOST_MODULES))
    return tuple(one.strip() for one in value if is_name(one) and one.strip().lower() not in _NO_MODULE)


def is_name(name: str | None) -> bool:
    """Whether this names something, rather than being one of A1111's words for nothing."""
    return name is not None and name.strip().lower() not in _NO_NAME
