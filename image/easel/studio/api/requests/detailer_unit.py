"""One unit of ADetailer's, as it is sent: which areas, and how each is drawn over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import AliasChoices, Field

from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.engine.imaging import AreaChoice, AreaOrder, MergedAreas

_SEPARATOR = "[SEP]"
_PICTURES_OWN = "[PROMPT]"
_SKIP = "[SKIP]"
_SAME_SCHEDULER = "Use same scheduler"
_ORDINALS = {2: "nd", 3: "rd"}
_OWN_SIZE = ("ad_use_inpaint_width_height", False)
_OWN_SAMPLER = ("ad_use_sampler", False)
_NO_CONTROL = ("ad_controlnet_model", "None")
# Each field, its name in infotexts, and what other fields (or it) say where it is not written.
_INFOTEXT: tuple[tuple[Any, ...], ...] = (
    ("ad_model", "model"), ("ad_model_classes", "model classes", ("ad_model_classes", "")),
    ("ad_prompt", "prompt", ("ad_prompt", "")),
    ("ad_negative_prompt", "negative prompt", ("ad_negative_prompt", "")),
    ("ad_confidence", "confidence"),
    ("ad_mask_filter_method", "method to decide top k masks", ("ad_mask_k", 0)),
    ("ad_mask_k", "mask only top k", ("ad_mask_k", 0)),
    ("ad_mask_min_ratio", "mask min ratio", ("ad_mask_min_ratio", 0)),
    ("ad_mask_max_ratio", "mask max ratio", ("ad_mask_max_ratio", 1)),
    ("ad_x_offset", "x offset", ("ad_x_offset", 0)), ("ad_y_offset", "y offset", ("ad_y_offset", 0)),
    ("ad_dilate_erode", "dilate erode"),
    ("ad_mask_merge_invert", "mask merge invert", ("ad_mask_merge_invert", "None")),
    ("ad_mask_blur", "mask blur"), ("ad_denoising_strength", "denoising strength"),
    ("ad_inpaint_only_masked", "inpaint only masked"),
    ("ad_inpaint_only_masked_padding", "inpaint padding", ("ad_inpaint_only_masked", False)),
    ("ad_use_inpaint_width_height", "use inpaint width height", _OWN_SIZE),
    ("ad_inpaint_width", "inpaint width", _OWN_SIZE), ("ad_inpaint_height", "inpaint height", _OWN_SIZE),
    ("ad_use_steps", "use separate steps", ("ad_use_steps", False)),
    ("ad_steps", "steps", ("ad_use_steps", False)),
    ("ad_use_cfg_scale", "use separate CFG scale", ("ad_use_cfg_scale", False)),
    ("ad_cfg_scale", "CFG scale", ("ad_use_cfg_scale", False)),
    ("ad_use_checkpoint", "use separate checkpoint", ("ad_use_checkpoint", False)),
    ("ad_checkpoint", "checkpoint", ("ad_use_checkpoint", False)),
    ("ad_use_vae", "use separate VAE", ("ad_use_vae", False)), ("ad_vae", "VAE", ("ad_use_vae", False)),
    ("ad_use_sampler", "use separate sampler", _OWN_SAMPLER), ("ad_sampler", "sampler", _OWN_SAMPLER),
    ("ad_scheduler", "scheduler", _OWN_SAMPLER, ("ad_scheduler", _SAME_SCHEDULER)),
    ("ad_use_noise_multiplier", "use separate noise multiplier", ("ad_use_noise_multiplier", False)),
    ("ad_noise_multiplier", "noise multiplier", ("ad_use_noise_multiplier", False)),
    ("ad_use_clip_skip", "use separate CLIP skip", ("ad_use_clip_skip", False)),
    ("ad_clip_skip", "CLIP skip", ("ad_use_clip_skip", False)),
    ("ad_restore_face", "restore face", ("ad_restore_face", False)),
    ("ad_controlnet_model", "ControlNet model", _NO_CONTROL),
    ("ad_controlnet_module", "ControlNet module", _NO_CONTROL, ("ad_controlnet_module", "None")),
    ("ad_controlnet_weight", "ControlNet weight", _NO_CONTROL, ("ad_controlnet_weight", 1)),
    ("ad_controlnet_guidance_start", "ControlNet guidance start", _NO_CONTROL,
     ("ad_controlnet_guidance_start", 0)),
    ("ad_controlnet_guidance_end", "ControlNet guidance end", _NO_CONTROL, ("ad_controlnet_guidance_end", 1)),
)  # fmt: skip
INFOTEXT_TITLES: tuple[tuple[str, str], ...] = tuple((field, title) for field, title, *_ in _INFOTEXT)
"""Each field and its name in infotexts, behind "ADetailer "."""


@dataclass(frozen=True)
class AreaPrompt:
    """What one area is drawn by. `skipped`: it is not drawn at all; `own`: the picture's words are in it."""

    text: str
    skipped: bool
    own: bool


class DetailerUnit(Liberal):
    """Names, defaults and ranges are those of ADetailer 25.3."""

    ad_model: Text = "None"
    ad_model_classes: Text = ""
    ad_prompt: Text = ""
    ad_negative_prompt: Text = ""
    ad_confidence: float = Field(0.3, ge=0, le=1)
    ad_mask_filter_method: Literal["Area", "Confidence"] = "Area"
    ad_mask_k: WholeNumber = Field(0, ge=0, validation_alias=AliasChoices("ad_mask_k", "ad_mask_k_largest"))
    ad_mask_min_ratio: float = Field(0.0, ge=0, le=1)
    ad_mask_max_ratio: float = Field(1.0, ge=0, le=1)
    ad_x_offset: WholeNumber = Field(0, ge=-8192, le=8192)
    ad_y_offset: WholeNumber = Field(0, ge=-8192, le=8192)
    ad_dilate_erode: WholeNumber = Field(4, ge=-512, le=512)
    ad_mask_merge_invert: MergedAreas = MergedAreas.NONE
    ad_mask_blur: WholeNumber = Field(4, ge=0)
    ad_denoising_strength: float = Field(0.4, ge=0, le=1)
    ad_inpaint_only_masked: bool = True
    ad_inpaint_only_masked_padding: WholeNumber = Field(32, ge=0)
    ad_use_inpaint_width_height: bool = False
    ad_inpaint_width: WholeNumber = Field(512, gt=0)
    ad_inpaint_height: WholeNumber = Field(512, gt=0)
    ad_use_steps: bool = False
    ad_steps: WholeNumber = Field(28, gt=0)
    ad_use_cfg_scale: bool = False
    ad_cfg_scale: float = Field(7.0, ge=0)
    ad_use_checkpoint: bool = False
    ad_checkpoint: Text | None = None
    ad_use_vae: bool = False
    ad_vae: Text | None = None
    ad_use_sampler: bool = False
    ad_sampler: Text = "DPM++ 2M Karras"
    ad_scheduler: Text = _SAME_SCHEDULER
    ad_use_noise_multiplier: bool = False
    ad_noise_multiplier: float = Field(1.0, ge=0.5, le=1.5)
    ad_use_clip_skip: bool = False
    ad_clip_skip: WholeNumber = Field(1, ge=1, le=12)
    ad_restore_face: bool = False
    ad_controlnet_model: Text = "None"
    ad_controlnet_module: Text = "None"
    ad_controlnet_weight: float = Field(1.0, ge=0, le=1)
    ad_controlnet_guidance_start: float = Field(0.0, ge=0, le=1)
    ad_controlnet_guidance_end: float = Field(1.0, ge=0, le=1)

    def choice(self, order: AreaOrder) -> AreaChoice:
        """Which areas it draws over."""
        return AreaChoice(
            least=self.ad_mask_min_ratio,
            most=self.ad_mask_max_ratio,
            count=self.ad_mask_k,
            by_confidence=self.ad_mask_filter_method == "Confidence",
            order=order,
            right=self.ad_x_offset,
            up=self.ad_y_offset,
            grown=self.ad_dilate_erode,
            merged=self.ad_mask_merge_invert,
        )

    def prompts(self, number: int, own: Sequence[str]) -> tuple[AreaPrompt, AreaPrompt]:
        """Prompt and negative prompt of one area, by its number; `own` are the picture's."""
        return _prompt(self.ad_prompt, number, own[0]), _prompt(self.ad_negative_prompt, number, own[1])

    @property
    def sampling(self) -> dict[str, Any]:
        """Fields of a request for what it draws otherwise than the picture."""
        found: dict[str, Any] = {}
        if self.ad_use_steps:
            found["steps"] = self.ad_steps
        if self.ad_use_cfg_scale:
            found["cfg_scale"] = self.ad_cfg_scale
        if self.ad_use_sampler:
            if self.ad_sampler != "Use same sampler":
                found["sampler_name"], found["scheduler"] = self.ad_sampler, "Automatic"
            if self.ad_scheduler != _SAME_SCHEDULER:
                found["scheduler"] = self.ad_scheduler
        if self.ad_use_noise_multiplier:
            found["initial_noise_multiplier"] = self.ad_noise_multiplier
        return found

    @property
    def options(self) -> dict[str, Any]:
        """Options for what it draws with."""
        found: dict[str, Any] = {}
        if self.ad_use_clip_skip:
            found["CLIP_stop_at_last_layers"] = self.ad_clip_skip
        if self.ad_use_checkpoint and self.ad_checkpoint not in (None, "", "None", "Use same checkpoint"):
            found["sd_model_checkpoint"] = self.ad_checkpoint
        if self.ad_use_vae and self.ad_vae not in (None, "", "None", "Use same VAE"):
            found["sd_vae"] = self.ad_vae
        return found

    @property
    def control(self) -> dict[str, Any]:
        """`alwayson_scripts` for what it draws."""
        if self.ad_controlnet_model in ("", "None"):
            return {}
        unit = {
            "enabled": True, "model": self.ad_controlnet_model, "module": self.ad_controlnet_module,
            "weight": self.ad_controlnet_weight, "guidance_start": self.ad_controlnet_guidance_start,
            "guidance_end": self.ad_controlnet_guidance_end, "pixel_perfect": True,
            "resize_mode": "Crop and Resize", "save_detected_map": False,
        }  # fmt: skip
        return {"ControlNet": {"args": [unit]}}

    def parameters(self, number: int) -> dict[str, object]:
        """Its part of an infotext. What is off or as it always is is left out, as ADetailer does."""
        unit = self.model_dump(mode="json")
        end = "" if number == 0 else f" {number + 1}{_ORDINALS.get(number + 1, 'th')}"
        return {
            f"ADetailer {title}{end}": unit[key]
            for key, title, *silent in _INFOTEXT
            if not any(unit[other] == value for other, value in silent)
        }


def _prompt(said: str, number: int, own: str) -> AreaPrompt:
    parts = _parts(said)
    part = parts[min(number, len(parts) - 1)]
    text = part.replace(_PICTURES_OWN, f" {own} ") if part else own
    return AreaPrompt(text, skipped=text.strip() == _SKIP, own=not part or _PICTURES_OWN in part)


def _parts(said: str) -> list[str]:
    """What stands between separators, without the space around these; the text's own ends stay."""
    parts = said.split(_SEPARATOR)
    last = len(parts) - 1
    left = [part.lstrip() if number else part for number, part in enumerate(parts)]
    return [part.rstrip() if number < last else part for number, part in enumerate(left)]
