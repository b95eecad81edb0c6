"""What image to image begins with: pictures, a mask, and how much of them may change, in A1111's words."""

from __future__ import annotations

from dataclasses import dataclass

from easel.remark import remark
from easel.studio import allowed
from easel.studio.engine.errors import InvalidRequest, check_range
from easel.studio.engine.imaging import MaskedContent, ResizeMode, SoftInpainting


@dataclass(frozen=True, kw_only=True)
class Mask:
    """What of the picture is drawn anew: where `image` (a file's bytes) is white, or black with `invert`.

    `blur_x`, `blur_y` soften its edge (sigma in pixels); `round_latents`: no latent pixel is half masked.
    With `only_masked` just the part around it is drawn, `padding` pixels wider on each side, at the full size
    that is asked for, and put back.
    """

    image: bytes
    invert: bool = False
    blur_x: int = 4
    blur_y: int = 4
    round_latents: bool = True
    content: MaskedContent = MaskedContent.FILL
    only_masked: bool = True
    padding: int = 0
    soft: SoftInpainting | None = None
    latent_image: bytes = b""

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        check_range("mask_blur_x", self.blur_x, 0, 256)
        check_range("mask_blur_y", self.blur_y, 0, 256)
        check_range("inpaint_full_res_padding", self.padding, 0, 2048)


@dataclass(frozen=True, kw_only=True)
class FoundNoise:
    """The noise that leads to the picture itself is looked for, in `steps` with these texts and `cfg_scale`,
    and taken in the place of the seed's; of that there is `randomness` (0 to 1) in it. For `adjusted` see
    `reversed_euler`."""

    prompt: str = ""
    negative_prompt: str = ""
    cfg_scale: float = 1.0
    steps: int = 50
    randomness: float = 0.0
    adjusted: bool = False

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        check_range("Decode CFG scale", self.cfg_scale, 0, 15)
        check_range("Decode steps", self.steps, 1, 150)
        check_range("Randomness", self.randomness, 0, 1)


@dataclass(frozen=True, kw_only=True)
class ImageToImage:
    """The pictures (files' bytes) that are drawn over, one for all or one for each of a batch.

    `denoising_strength` 0 leaves a picture as it is, 1 draws all of it anew. `noise_multiplier` scales the
    noise that it begins with. What is transparent in a picture shows `background` (a colour that Pillow
    knows). `color_correction` brings the picture's colours back behind. `mask_weight` is how much of the mask
    an inpainting checkpoint is told. `upscaler` takes the place of Lanczos where a picture grows. `init_hash`
    is what an infotext says of the picture, "" for nothing.
    """

    images: tuple[bytes, ...]
    denoising_strength: float = 0.75
    resize_mode: ResizeMode = ResizeMode.JUST_RESIZE
    mask: Mask | None = None
    noise_multiplier: float = 1.0
    background: str = "#ffffff"
    color_correction: bool = False
    mask_weight: float = 1.0
    upscaler: str | None = None
    init_hash: str = ""
    found_noise: FoundNoise | None = None

    def check(self) -> None:
        """Raise InvalidRequest for what cannot be drawn."""
        if not self.images:
            raise InvalidRequest(
                "init_images",
                allowed.NOTHING,
                remark("one_or_batch", "one picture, or one for each of the batch"),
            )
        check_range("denoising_strength", self.denoising_strength, 0, 1)
        check_range("initial_noise_multiplier", self.noise_multiplier, 0, 2)
        check_range("inpainting_mask_weight", self.mask_weight, 0, 1)
        if self.found_noise is not None:
            self.found_noise.check()
        if self.mask is not None:
            self.mask.check()
