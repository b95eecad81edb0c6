"""The units of A1111's ControlNet extension, in every shape that clients send, as the engine's controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from easel.remark import remark
from easel.studio import allowed
from easel.studio.api.requests.field_faults import fault_words
from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.api.requests.sent_picture import decoded
from easel.studio.engine import ControlledPasses, ControlMode, ControlUnit, InvalidRequest, ResizeMode

TITLE = "ControlNet"
_RESIZE_MODES = {
    "just resize": ResizeMode.JUST_RESIZE,
    "resize": ResizeMode.JUST_RESIZE,
    "crop and resize": ResizeMode.CROP_AND_RESIZE,
    "inner fit (scale to fit)": ResizeMode.CROP_AND_RESIZE,
    "scale to fit (inner fit)": ResizeMode.CROP_AND_RESIZE,
    "resize and fill": ResizeMode.RESIZE_AND_FILL,
    "outer fit (shrink to fit)": ResizeMode.RESIZE_AND_FILL,
    "envelope (outer fit)": ResizeMode.RESIZE_AND_FILL,
}
# What would make another picture, and is not done.
_REFUSED = {
    "ipadapter_input": remark(
        "not_pickled", "what an image encoder made is not read (it comes as a pickle): send the picture"
    ),
    "batch_images": remark("picture_per_unit", "send one picture for each unit"),
}
_Choice = TypeVar("_Choice", ControlMode, ControlledPasses)


class SentUnit(Liberal):
    """One unit as it is sent. Fields of the extension's page that say nothing of the picture are taken."""

    enabled: bool = True
    module: Text = "none"
    model: Text = "None"
    weight: float = 1.0
    image: Any = None
    input_image: Any = None
    mask: Any = None
    mask_image: Any = None
    resize_mode: int | Text = ResizeMode.CROP_AND_RESIZE.value
    processor_res: WholeNumber = -1
    threshold_a: float = -1.0
    threshold_b: float = -1.0
    guidance: float | None = None
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    control_mode: int | Text = 0
    guessmode: bool = False
    pixel_perfect: bool = False
    hr_option: int | Text = 0
    inpaint_crop_input_image: bool = True
    advanced_weighting: list[float] = Field([])
    union_control_type: Text = ""
    effective_region_mask: Text = ""
    save_detected_map: bool = True


def control_units(always_on: Mapping[str, Any], older: Sequence[Any]) -> tuple[ControlUnit, ...]:
    """The units that are on: of `alwayson_scripts`, and of the older field `controlnet_units`.

    Raises InvalidRequest, Unsupported and BadPicture.
    """
    sent = [
        *older,
        *(unit for title, script in always_on.items() if is_title(title) for unit in _sent(script)),
    ]
    return tuple(unit for number, one in enumerate(sent) for unit in _read(f"controlnet.{number}", one))


def is_title(title: str) -> bool:
    """Whether this is ControlNet's title among `alwayson_scripts`."""
    return title.strip().lower() == TITLE.lower()


def _sent(script: Any) -> list[Any]:
    args = script.get("args", []) if isinstance(script, dict) else script
    units = list(args.values()) if isinstance(args, dict) and not _is_unit(args) else args
    if isinstance(units, dict):
        return [units]
    if not isinstance(units, list):
        raise InvalidRequest(f"alwayson_scripts.{TITLE}", units, '{"args": [{"model": ..., "image": ...}]}')
    return units


def _is_unit(args: Mapping[str, Any]) -> bool:
    return bool({"model", "module", "image", "input_image"} & set(args))


def _read(field: str, unit: Any) -> Iterator[ControlUnit]:
    """The unit, if it is on."""
    if not isinstance(unit, dict):
        if unit in (None, False):
            return
        raise InvalidRequest(
            field,
            unit,
            remark(
                "control_unit",
                "a unit, as {as_written}",
                as_written='{"model": ..., "module": ..., "image": ...}',
            ),
        )
    if str(unit.get("enabled", True)).strip().lower() in ("false", "0", "no", "off", "none"):
        return
    for name, why in _REFUSED.items():
        if unit.get(name):
            raise Unsupported(f"{field}.{name}", why)
    try:
        sent = SentUnit(**{str(key): value for key, value in unit.items()})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{field}.{first['loc'][0]}", first.get("input"), fault_words(first)) from error
    yield _unit(field, sent)


def _unit(field: str, sent: SentUnit) -> ControlUnit:
    pictures, mask = _pictures(field, sent)
    mode = _one_of(ControlMode, f"{field}.control_mode", sent.control_mode)
    return ControlUnit(
        model=sent.model,
        module=sent.module,
        image=_file(pictures[0], f"{field}.image"),
        more_images=tuple(_file(one, f"{field}.image") for one in pictures[1:]),
        mask=_file(mask, f"{field}.mask"),
        weight=sent.weight,
        resize_mode=_resize_mode(f"{field}.resize_mode", sent.resize_mode),
        resolution=sent.processor_res,
        threshold_a=sent.threshold_a,
        threshold_b=sent.threshold_b,
        guidance_start=sent.guidance_start,
        guidance_end=sent.guidance_end if sent.guidance is None else sent.guidance,
        control_mode=ControlMode.CONTROL if sent.guessmode else mode,
        pixel_perfect=sent.pixel_perfect,
        passes=_one_of(ControlledPasses, f"{field}.hr_option", sent.hr_option),
        crop_to_mask=sent.inpaint_crop_input_image,
        layer_weights=tuple(sent.advanced_weighting),
        control_type="" if sent.union_control_type.strip().lower() == "unknown" else sent.union_control_type,
        region=_file(sent.effective_region_mask, f"{field}.effective_region_mask"),
        show_map=sent.save_detected_map,
    )


def _file(text: str, field: str) -> bytes:
    return decoded(text, field)[0] if text else b""


def _pictures(field: str, sent: SentUnit) -> tuple[list[str], str]:
    """Pictures (one, but for IP-Adapters) and mask in base64, "" where there is none: each by itself, as a
    pair, as an object, or as a list of pictures or objects."""
    image = sent.input_image if sent.image is None else sent.image
    mask = sent.mask_image if sent.mask is None else sent.mask
    several = image if isinstance(image, list) else [image]
    if len(several) == 2 and not _is_pictures(several, sent.module):
        several = [{"image": several[0], "mask": several[1]}]
    pictures: list[str] = []
    for one in several:
        if isinstance(one, dict):
            mask, one = one.get("mask") or mask, one.get("image")
        pictures.append(_base64(f"{field}.image", one))
    return [one for one in pictures if one] or [""], _base64(f"{field}.mask", mask)


def _is_pictures(pair: list[Any], module: str) -> bool:
    """Whether two are two pictures, and not a picture and its mask."""
    name = module.lower().replace("-", "")
    return (
        any(isinstance(one, dict) for one in pair)
        or "ipadapter" in name
        or "instantid" in name.replace("_", "")
    )


def _base64(field: str, value: Any) -> str:
    if value and not isinstance(value, str):
        raise InvalidRequest(field, type(value).__name__, allowed.BASE64_PICTURE)
    return value or ""


def _resize_mode(field: str, said: int | str) -> ResizeMode:
    modes = tuple(ResizeMode)[:3]
    text = str(said).strip().lower()
    if text.isdecimal() and int(text) < len(modes):
        return modes[int(text)]
    if text not in _RESIZE_MODES:
        raise InvalidRequest(field, said, "0 (Just Resize), 1 (Crop and Resize), 2 (Resize and Fill)")
    return _RESIZE_MODES[text]


def _one_of(kind: type[_Choice], field: str, said: int | str) -> _Choice:
    """By its words, its name, or its number."""
    choices: Sequence[_Choice] = tuple(kind)
    text = str(said).strip().lower()
    for number, one in enumerate(choices):
        if text in (one.value.lower(), one.name.lower(), str(number), f"{kind.__name__}.{one.name}".lower()):
            return one
    raise InvalidRequest(
        field, said, ", ".join(f"{number} ({one.value})" for number, one in enumerate(choices))
    )
