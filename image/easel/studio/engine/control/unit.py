"""One control of a request, in the words and numbers of A1111's ControlNet extension."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from easel.remark import figure, remark
from easel.studio import allowed
from easel.studio.engine.control.preprocessors import preprocessor
from easel.studio.engine.errors import InvalidRequest, check_range
from easel.studio.engine.imaging.resize import ResizeMode

MAX_UNITS = 10
MAX_WEIGHT = 2.0
# Of an IP-Adapter of SD 1.x; a ControlNet has 13.
MAX_LAYERS = 16
MAX_IMAGES = 16


class ControlMode(StrEnum):
    """Who gives way where prompt and control disagree."""

    BALANCED = "Balanced"
    PROMPT = "My prompt is more important"
    CONTROL = "ControlNet is more important"


class ControlledPasses(StrEnum):
    """Of a picture that is drawn twice (hires fix), the passes that are controlled: `hr_option`."""

    BOTH = "Both"
    FIRST = "Low res only"
    SECOND = "High res only"


@dataclass(frozen=True, kw_only=True)
class ControlUnit:
    """One control: `model` is a file's name, `image` a picture's file; b"" is the picture that is drawn over.
    An IP-Adapter takes `more_images` beside it, and what it reads in all of them in equal parts.

    `module` is the preprocessor; `resolution` (the shorter side that it sees, pixels), `threshold_a` and
    `threshold_b` are its own where they are negative or out of its range. With `pixel_perfect` the resolution
    follows from the sizes. `mask` (a file; white) is what an inpainting control leaves open.
    `guidance_start` and `guidance_end` are shares of each pass's steps. `layer_weights` stand in the place of
    `weight`, one for each layer. `region` (a file) is where it counts, white; b"" is everywhere.
    `control_type` says to a Union model what the picture shows. With `crop_to_mask` the picture is cut as
    "only masked" cuts the one that is drawn over.
    """

    model: str
    module: str = "none"
    image: bytes = b""
    more_images: tuple[bytes, ...] = ()
    mask: bytes = b""
    weight: float = 1.0
    resize_mode: ResizeMode = ResizeMode.CROP_AND_RESIZE
    resolution: int = -1
    threshold_a: float = -1.0
    threshold_b: float = -1.0
    guidance_start: float = 0.0
    guidance_end: float = 1.0
    control_mode: ControlMode = ControlMode.BALANCED
    pixel_perfect: bool = False
    passes: ControlledPasses = ControlledPasses.BOTH
    crop_to_mask: bool = True
    layer_weights: tuple[float, ...] = ()
    control_type: str = ""
    region: bytes = b""
    show_map: bool = True

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        preprocessor(self.module)
        check_range("controlnet.weight", self.weight, 0, MAX_WEIGHT)
        check_range("controlnet.guidance_start", self.guidance_start, 0, 1)
        check_range("controlnet.guidance_end", self.guidance_end, 0, 1)
        if self.guidance_start > self.guidance_end:
            raise InvalidRequest(
                "controlnet.guidance_start",
                self.guidance_start,
                remark("up_to_end", "up to guidance_end ({end})", end=figure(self.guidance_end, "g")),
            )
        if self.resize_mode is ResizeMode.LATENT_UPSCALE:
            raise InvalidRequest("controlnet.resize_mode", int(self.resize_mode), "0, 1, 2")
        if len(self.more_images) >= MAX_IMAGES:
            raise InvalidRequest(
                "controlnet.image",
                allowed.counted_pictures(1 + len(self.more_images)),
                allowed.up_to(MAX_IMAGES),
            )
        if len(self.layer_weights) > MAX_LAYERS:
            raise InvalidRequest(
                "controlnet.advanced_weighting",
                list(self.layer_weights),
                remark("up_to_numbers", "up to {n} numbers", n=MAX_LAYERS),
            )
        for one in self.layer_weights:
            check_range("controlnet.advanced_weighting", one, -MAX_WEIGHT, MAX_WEIGHT)

    @property
    def refers(self) -> bool:
        """Whether it needs no model: the UNet is shown the picture."""
        return preprocessor(self.module).refers

    def controls(self, *, second_pass: bool) -> bool:
        """Whether it counts in this pass."""
        return self.passes is not (ControlledPasses.FIRST if second_pass else ControlledPasses.SECOND)
