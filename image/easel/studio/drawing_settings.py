"""A1111's options that decide how a picture is drawn, or put into words, as fields of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine import (
    RANDN_SOURCES,
    EmphasisMode,
    Interrogation,
    Interrogator,
    InvalidRequest,
    SamplerSettings,
    TextToImage,
    UpscalerTiles,
)
from easel.studio.settings import clip_l_skip, clip_skip, number_in, yes_in

_A1111S_TILES = {"ESRGAN_tile": 192, "SWIN_tile": 192, "DAT_tile": 192, "SCUNET_tile": 256}
SAMPLER_OPTIONS = tuple(one.name for one in fields(SamplerSettings))


def drawing_fields(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of TextToImage, all that options decide: what is not set has A1111's default, or Easel's.

    Raises InvalidRequest for a value of the wrong kind; ranges are checked by `TextToImage.resolved`.
    """
    own = TextToImage()
    return {
        "clip_skip": clip_skip(settings),
        "sdxl_clip_l_skip": clip_l_skip(settings),
        "emphasis": EmphasisMode(_word(settings, "emphasis", tuple(EmphasisMode), own.emphasis)),
        "randn_source": _word(settings, "randn_source", RANDN_SOURCES, own.randn_source),
        "eta_noise_seed_delta": _whole(settings, "eta_noise_seed_delta", own.eta_noise_seed_delta),
        "sampling": _sampler_settings(settings),
        "upscaler_tiles": upscaler_tiles(settings),
    }


def upscaler_tiles(settings: Mapping[str, Any]) -> tuple[UpscalerTiles, ...]:
    """How upscalers cut a picture, for each option. A1111's own default stands for the device's own: clients
    send it back with all other options. Raises InvalidRequest."""
    return tuple(_tiles(settings, option, default) for option, default in _A1111S_TILES.items())


def interrogation(settings: Mapping[str, Any], by: Interrogator) -> Interrogation:
    """How a picture is put into words. Raises InvalidRequest for a value of the wrong kind."""
    own = Interrogation(by=by)
    threshold = number_in(settings, "interrogate_deepbooru_score_threshold")
    return replace(
        own,
        beams=_whole(settings, "interrogate_clip_num_beams", own.beams),
        shortest=_whole(settings, "interrogate_clip_min_length", own.shortest),
        longest=_whole(settings, "interrogate_clip_max_length", own.longest),
        threshold=own.threshold if threshold is None else threshold,
        list_limit=_whole(settings, "interrogate_clip_dict_limit", own.list_limit),
        skipped_lists=_names(settings, "interrogate_clip_skip_categories"),
        left_out=str(settings.get("deepbooru_filter_tags") or ""),
        ranks=yes_in(settings, "interrogate_return_ranks", default=own.ranks),
        by_alphabet=yes_in(settings, "deepbooru_sort_alpha", default=own.by_alphabet),
        spaces=yes_in(settings, "deepbooru_use_spaces", default=own.spaces),
        escaped=yes_in(settings, "deepbooru_escape", default=own.escaped),
    )


def _names(settings: Mapping[str, Any], option: str) -> tuple[str, ...]:
    value = settings.get(option) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidRequest(option, value, remark("list_of_names", "a list of names"))
    return tuple(value)


def _tiles(settings: Mapping[str, Any], option: str, default: int) -> UpscalerTiles:
    side = _whole(settings, option, default)
    overlap = _whole(settings, f"{option}_overlap", UpscalerTiles.overlap)
    return UpscalerTiles(None if side == default else side, overlap, option)


def _sampler_settings(settings: Mapping[str, Any]) -> SamplerSettings:
    own = SamplerSettings()
    return SamplerSettings(
        **{name: _like(settings, name, getattr(own, name)) for name in SAMPLER_OPTIONS if name in settings}
    )


def _like(settings: Mapping[str, Any], key: str, default: Any) -> Any:
    """The value under `key` as what its default is: yes or no, a number, or a word."""
    if settings[key] is None:
        return default
    if isinstance(default, bool):
        return yes_in(settings, key)
    if isinstance(default, int):
        return _whole(settings, key, default)
    if isinstance(default, float):
        return number_in(settings, key)
    if not isinstance(settings[key], str):
        raise InvalidRequest(key, settings[key], allowed.WORD)
    return settings[key].strip()


def _whole(settings: Mapping[str, Any], key: str, default: int) -> int:
    value = settings.get(key)
    if value is None:
        return default
    try:
        # a number of many digits would lose some as a decimal one
        return int(value) if isinstance(value, int | str) else int(float(value))
    except (TypeError, ValueError, OverflowError) as e:
        raise InvalidRequest(key, value, allowed.WHOLE_NUMBER) from e


def _word(settings: Mapping[str, Any], key: str, words: Sequence[str], default: str) -> str:
    value = settings.get(key)
    if value is None:
        return default
    known = {word.lower(): word for word in words}
    found = known.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise InvalidRequest(key, value, ", ".join(words))
    return found
