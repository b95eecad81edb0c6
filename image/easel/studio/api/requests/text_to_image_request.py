"""A1111's txt2img request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.fields import Text, WholeNumber
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.engine import HiresFix
from easel.studio.settings import is_name, modules_in

# A1111's, where a second pass says nothing; its page begins at 0.7.
_STRENGTH = 0.75
_MODULES = "hr_additional_modules"


class TextToImageRequest(DrawingRequest):
    """Draw pictures from words. Every field may be left out; fields not listed here are kept and echoed."""

    TAB: ClassVar[str] = "txt2img"
    PROMPTS: ClassVar[tuple[str, ...]] = (*DrawingRequest.PROMPTS, "hr_prompt", "hr_negative_prompt")

    enable_hr: bool = Field(False, description="hires fix: draw small, enlarge, draw over it again")
    firstphase_width: WholeNumber = Field(
        0, description="width of the first pass; `width` is the picture's then, unless hr_scale is sent"
    )
    firstphase_height: WholeNumber = Field(0, description="height of the first pass, likewise")
    hr_scale: float = Field(2.0, description="1 to 8; how many times larger the second pass is")
    hr_upscaler: Text | None = Field(
        None,
        description="a name of /sdapi/v1/latent-upscale-modes or /sdapi/v1/upscalers; Latent if not said",
    )
    hr_second_pass_steps: WholeNumber = Field(0, description="0: as many as the first pass")
    hr_resize_x: WholeNumber = Field(0, description="width in pixels, in place of hr_scale")
    hr_resize_y: WholeNumber = Field(0, description="height in pixels, in place of hr_scale")
    hr_checkpoint_name: Text | None = Field(
        None, description="the second pass's, the first one's if not said"
    )
    hr_sampler_name: Text | None = None
    hr_scheduler: Text | None = None
    hr_prompt: Text = Field("", description="the second pass's, the first one's if empty")
    hr_negative_prompt: Text = ""
    hr_cfg: float | None = Field(None, description="Forge's: cfg_scale of the second pass")
    hr_additional_modules: list[Text] | None = Field(
        None, description="Forge's: text encoders of the second pass, the first one's if none is named"
    )
    firstpass_image: Any = Field(None, description="not taken: send it to /sdapi/v1/img2img")

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of the engine's request that this kind of request has besides. Raises Unsupported and
        InvalidRequest."""
        if self.firstpass_image is not None:
            raise Unsupported(
                "firstpass_image",
                remark(
                    "as_init_images",
                    "send it as `init_images` to /sdapi/v1/img2img, with the full size and `resize_mode` 3",
                ),
            )
        if not self.enable_hr:
            return {}
        first_width = self.firstphase_width or self.width or 0
        first_height = self.firstphase_height or self.height or 0
        resize = (self.hr_resize_x, self.hr_resize_y)
        if self._says_a_first_pass() and not any(resize) and "hr_scale" not in self.model_fields_set:
            resize = (self.width or 0, self.height or 0)
        return {
            "width": first_width,
            "height": first_height,
            "hires": HiresFix(
                denoising_strength=_STRENGTH if self.denoising_strength is None else self.denoising_strength,
                upscaler=(self.hr_upscaler or "").strip() or "Latent",
                scale=self.hr_scale,
                resize_x=resize[0],
                resize_y=resize[1],
                steps=self.hr_second_pass_steps,
                sampler=_own(self.hr_sampler_name),
                schedule_type=_own(self.hr_scheduler),
                checkpoint=_own(self.hr_checkpoint_name) if is_name(self.hr_checkpoint_name) else None,
                modules=modules_in({_MODULES: self.hr_additional_modules}, _MODULES),
                prompt=self.hr_prompt,
                negative_prompt=self.hr_negative_prompt,
                cfg_scale=self.hr_cfg,
            ),
        }

    def _says_a_first_pass(self) -> bool:
        return bool(self.firstphase_width or self.firstphase_height)


def _own(name: str | None) -> str | None:
    """A name of the second pass's own; None for none, and for what A1111's page says in its place."""
    said = (name or "").strip()
    return None if not said or said.lower().startswith("use same ") else said
