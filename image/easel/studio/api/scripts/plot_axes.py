"""The axes of A1111's X/Y/Z plot: what there is to vary, in A1111's order, which its clients count by."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, permutations
from typing import Any, TypeAlias

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.engine import InvalidRequest, check_replaced, random_seed

MAX_VALUES = 1000
# Of a number or a range: more is looked at by nobody, and letter by letter it would take its square.
_LONGEST_NUMBER = 200
_NUMBER = r"([+-]?\s*\d+(?:\.\d*)?)"
# "1-5", "1-9 (+2)", "1-10 [5]"
_RANGE = re.compile(rf"\s*{_NUMBER}\s*-\s*{_NUMBER}(?:\s*\(([+-]\d+(?:\.\d*)?)\s*\)|\s*\[(\d+)\s*\])?\s*")

Change: TypeAlias = Callable[[DrawingRequest, Any, Sequence[Any]], dict[str, Any]]
"""From a request, the value of a cell and all values of its axis: the fields to change."""


@dataclass(frozen=True)
class PlotAxis:
    """One thing that can be varied. `kind` is of its values; `cost` says how slowly it is changed, 0 to 1;
    `chosen`: A1111's page has a list to choose from."""

    label: str
    kind: type[int] | type[float] | type[str]
    change: Change
    shown: Callable[[str, Any], str]
    tab: str | None = None
    cost: float = 0.0
    chosen: bool = False

    def values(self, text: str, chosen: Any, *, as_text: bool) -> list[Any]:
        """What the axis goes through. Raises InvalidRequest."""
        if self.label == NOTHING:
            return [None]
        if self.chosen and not as_text and isinstance(chosen, list) and chosen:
            parts = [str(one) for one in chosen]
        else:
            parts = _parted(self.label, text)
        if self.label == _ORDER:
            return [list(one) for one in islice(permutations(parts), MAX_VALUES)]
        found = parts if self.kind is str else [one for part in parts for one in self._numbers(part)]
        if not found:
            raise InvalidRequest(
                f"script_args.{self.label}", text, remark("one_value", "one value or more, parted by commas")
            )
        if len(found) > MAX_VALUES:
            raise InvalidRequest(
                f"script_args.{self.label}",
                remark("counted_values", "{n} values", n=len(found)),
                remark("up_to_values", "up to {n} values", n=MAX_VALUES),
            )
        return found

    def _numbers(self, part: str) -> list[Any]:
        whole = self.kind is int
        try:
            if len(part) > _LONGEST_NUMBER:
                raise ValueError(part)
            if match := _RANGE.fullmatch(part):
                begin, end = (float(match[group].replace(" ", "")) for group in (1, 2))
                numbers = (
                    _spread(begin, end, int(match[4]))
                    if match[4]
                    else _steps(begin, end, match[3], whole=whole)
                )
                return [int(one) if whole else round(one, 10) for one in numbers]
            return [int(part) if whole else float(part)]
        except (ValueError, OverflowError) as e:
            allowed = remark("numbers", "numbers, and ranges as 1-5, 1-9 (+2) or 1-10 [5]")
            if whole:
                words = "whole numbers, and ranges as 1-5, 1-9 (+2) or 1-10 [5]"
                allowed = remark("whole_numbers", words)
            raise InvalidRequest(f"script_args.{self.label}", part, allowed) from e


def _parted(label: str, text: str) -> list[str]:
    try:
        return [part.strip() for row in csv.reader(io.StringIO(text)) for part in row]
    except csv.Error as e:  # a value longer than any prompt, or a quote that never closes
        raise InvalidRequest(
            f"script_args.{label}", text, remark("one_value", "one value or more, parted by commas")
        ) from e


def _steps(begin: float, end: float, step: str | None, *, whole: bool) -> list[float]:
    by = float(step) if step else 1.0
    if whole:
        by = float(int(by))
    if not by:
        raise ValueError("a step of nothing")
    count = math.floor((end - begin) / by + 1e-9) + 1
    return [begin + number * by for number in range(min(max(count, 0), MAX_VALUES + 1))]


def _spread(begin: float, end: float, count: int) -> list[float]:
    count = min(count, MAX_VALUES + 1)
    if count < 2:
        return [begin] * count
    return [begin + (end - begin) * number / (count - 1) for number in range(count)]


def fixed_seeds(axis: PlotAxis, values: list[Any]) -> list[Any]:
    """The values, with a seed in the place of each -1."""
    if axis.label not in SEEDS:
        return values
    return [random_seed() if one == -1 else one for one in values]


def _labelled(label: str, value: Any) -> str:
    return f"{label}: {_short(value)}"


def _alone(label: str, value: Any) -> str:
    return str(_short(value))


def _joined(label: str, value: Any) -> str:
    return ", ".join(value)


def _file_name(label: str, value: Any) -> str:
    return str(value).replace("\\", "/").rpartition("/")[2]


def _blank(label: str, value: Any) -> str:
    return ""


def _short(value: Any) -> Any:
    return round(value, 8) if isinstance(value, float) else value


def _field(name: str) -> Change:
    return lambda asked, value, values: {name: value}


def _option(name: str, *, yes: bool = False) -> Change:
    def change(asked: DrawingRequest, value: Any, values: Sequence[Any]) -> dict[str, Any]:
        said = str(value).lower() == "true" if yes else value
        return {"override_settings": {**asked.override_settings, name: said}}

    return change


def _replaced(asked: DrawingRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    """Prompt S/R: the first value is what is looked for."""
    first = values[0]
    if first not in asked.prompt and first not in asked.negative_prompt:
        raise InvalidRequest(
            "script_args.Prompt S/R",
            first,
            remark("piece_first", "a piece of prompt or negative prompt comes first"),
        )
    for field in ("prompt", "negative_prompt"):
        check_replaced(field, getattr(asked, field), first, value)
    return {
        "prompt": asked.prompt.replace(first, value),
        "negative_prompt": asked.negative_prompt.replace(first, value),
    }


def _ordered(asked: DrawingRequest, value: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """Prompt order: the pieces change places."""
    prompt = asked.prompt
    places = sorted((prompt.find(piece), piece) for piece in value)
    if missing := [piece for place, piece in places if place < 0]:
        raise InvalidRequest(
            "script_args.Prompt order", missing[0], remark("pieces_of_prompt", "pieces of the prompt")
        )
    text, done = "", 0
    for (place, old), new in zip(places, value, strict=True):
        text += prompt[done:place] + new
        done = max(done, place + len(old))
    return {"prompt": text + prompt[done:]}


def _sized(asked: DrawingRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    width, _, height = value.lower().partition("x")
    try:
        return {"width": int(width), "height": int(height)}
    except ValueError as e:
        raise InvalidRequest(
            "script_args.Size", value, remark("sides_as", "width and height as 512x768")
        ) from e


def _with_styles(asked: DrawingRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    return {"styles": [*asked.styles, *value.split(",")]}


def _restored(asked: DrawingRequest, value: str, values: Sequence[str]) -> dict[str, Any]:
    return {"restore_faces": value.lower() in ("true", "yes", "y", "1", "codeformer", "gfpgan")}


def _unchanged(asked: DrawingRequest, value: Any, values: Sequence[Any]) -> dict[str, Any]:
    return {}


NOTHING = "Nothing"
SEEDS = ("Seed", "Var. seed")
_ORDER = "Prompt order"
_TXT, _IMG = "txt2img", "img2img"

AXES: tuple[PlotAxis, ...] = (
    PlotAxis(NOTHING, str, _unchanged, _blank),
    PlotAxis("Seed", int, _field("seed"), _labelled),
    PlotAxis("Var. seed", int, _field("subseed"), _labelled),
    PlotAxis("Var. strength", float, _field("subseed_strength"), _labelled),
    PlotAxis("Steps", int, _field("steps"), _labelled),
    PlotAxis("Hires steps", int, _field("hr_second_pass_steps"), _labelled, _TXT),
    PlotAxis("CFG Scale", float, _field("cfg_scale"), _labelled),
    PlotAxis("Image CFG Scale", float, _field("image_cfg_scale"), _labelled, _IMG),
    PlotAxis("Prompt S/R", str, _replaced, _alone),
    PlotAxis(_ORDER, str, _ordered, _joined),
    PlotAxis("Sampler", str, _field("sampler_name"), _alone, _TXT, chosen=True),
    PlotAxis("Hires sampler", str, _field("hr_sampler_name"), _labelled, _TXT, chosen=True),
    PlotAxis("Sampler", str, _field("sampler_name"), _alone, _IMG, chosen=True),
    PlotAxis("Checkpoint name", str, _option("sd_model_checkpoint"), _file_name, cost=1.0, chosen=True),
    PlotAxis("Negative Guidance minimum sigma", float, _field("s_min_uncond"), _labelled),
    PlotAxis("Sigma Churn", float, _field("s_churn"), _labelled),
    PlotAxis("Sigma min", float, _field("s_tmin"), _labelled),
    PlotAxis("Sigma max", float, _field("s_tmax"), _labelled),
    PlotAxis("Sigma noise", float, _field("s_noise"), _labelled),
    PlotAxis("Schedule type", str, _field("scheduler"), _labelled, chosen=True),
    PlotAxis("Schedule min sigma", float, _option("sigma_min"), _labelled),
    PlotAxis("Schedule max sigma", float, _option("sigma_max"), _labelled),
    PlotAxis("Schedule rho", float, _option("rho"), _labelled),
    PlotAxis("Skip Early CFG", float, _option("skip_early_cond"), _labelled),
    PlotAxis("Beta schedule alpha", float, _option("beta_dist_alpha"), _labelled),
    PlotAxis("Beta schedule beta", float, _option("beta_dist_beta"), _labelled),
    PlotAxis("Eta", float, _field("eta"), _labelled),
    PlotAxis("Clip skip", int, _option("CLIP_stop_at_last_layers"), _labelled),
    PlotAxis("Denoising", float, _field("denoising_strength"), _labelled),
    PlotAxis("Initial noise multiplier", float, _field("initial_noise_multiplier"), _labelled),
    PlotAxis("Extra noise", float, _option("img2img_extra_noise"), _labelled),
    PlotAxis("Hires upscaler", str, _field("hr_upscaler"), _labelled, _TXT, chosen=True),
    PlotAxis("Cond. Image Mask Weight", float, _option("inpainting_mask_weight"), _labelled, _IMG),
    PlotAxis("VAE", str, _option("sd_vae"), _labelled, cost=0.7, chosen=True),
    PlotAxis("Styles", str, _with_styles, _labelled, chosen=True),
    PlotAxis("UniPC Order", int, _option("uni_pc_order"), _labelled),
    PlotAxis("Face restore", str, _restored, _alone),
    PlotAxis("Token merging ratio", float, _option("token_merging_ratio"), _labelled),
    PlotAxis("Token merging ratio high-res", float, _option("token_merging_ratio_hr"), _labelled),
    PlotAxis("Always discard next-to-last sigma", str, _option("always_discard_next_to_last_sigma", yes=True),
             _labelled, chosen=True),
    PlotAxis("SGM noise multiplier", str, _option("sgm_noise_multiplier", yes=True), _labelled, chosen=True),
    PlotAxis("Refiner checkpoint", str, _field("refiner_checkpoint"), _file_name, cost=1.0, chosen=True),
    PlotAxis("Refiner switch at", float, _field("refiner_switch_at"), _labelled),
    PlotAxis("RNG source", str, _option("randn_source"), _labelled, chosen=True),
    PlotAxis("FP8 mode", str, _option("fp8_storage"), _labelled, chosen=True),
    PlotAxis("Size", str, _sized, _labelled),
)  # fmt: skip


def axes_of(tab: str) -> list[PlotAxis]:
    """Those of txt2img or img2img, in the order that A1111 numbers them by."""
    return [axis for axis in AXES if axis.tab in (None, tab)]


def axis_named(tab: str, said: Any, field: str) -> PlotAxis:
    """By its number or its label. Raises InvalidRequest."""
    axes = axes_of(tab)
    if isinstance(said, str) and not said.strip().isdigit():
        for axis in axes:
            if axis.label.lower() == said.strip().lower():
                return axis
    elif not isinstance(said, bool):
        try:
            if 0 <= int(said) < len(axes):
                return axes[int(said)]
        except (TypeError, ValueError):
            pass
    raise InvalidRequest(field, said, ", ".join(f"{number} {one.label}" for number, one in enumerate(axes)))
