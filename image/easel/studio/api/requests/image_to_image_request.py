"""A1111's img2img request: pictures that are drawn over, a mask, and how much may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, TypeVar

from pydantic import Field, PrivateAttr
from starlette.exceptions import HTTPException

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.fields import Text, WholeNumber
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.api.requests.sent_picture import SentPictures
from easel.studio.api.requests.soft_inpainting import soft_inpainting
from easel.studio.api.requests.source_options import source_fields
from easel.studio.checkpoint_defaults import CheckpointDefaults
from easel.studio.engine import (
    MAX_SIDE,
    MIN_SIDE,
    FoundNoise,
    ImageToImage,
    InvalidRequest,
    Mask,
    MaskedContent,
    ResizeMode,
)
from easel.studio.settings import yes_in

STRENGTH = 0.75
"""Denoising strength where nothing is said."""
# What A1111's page sends of itself; it means something to InstructPix2Pix checkpoints alone.
_IMAGE_CFG = 1.5
_PIXELS = 8
_Choice = TypeVar("_Choice", ResizeMode, MaskedContent)


class ImageToImageRequest(DrawingRequest):
    """Draw over pictures. Every field but `init_images` may be left out; fields not listed here are kept and
    echoed."""

    TAB: ClassVar[str] = "img2img"

    init_images: list[Text] | None = Field(
        None,
        description="as base64, bare or as data: URIs: one for all, or one for each of a batch. No addresses",
    )
    resize_mode: WholeNumber = Field(
        0, description="0 stretch, 1 crop, 2 fill, 3 stretch the latents: how they come to width and height"
    )
    image_cfg_scale: float | None = Field(
        None, description="taken and told: InstructPix2Pix is not drawn here"
    )
    mask: Text | None = Field(None, description="as base64: where it is white, or opaque, is drawn anew")
    mask_blur: WholeNumber | None = Field(None, description="sigma in pixels, for mask_blur_x and _y")
    mask_blur_x: WholeNumber = 4
    mask_blur_y: WholeNumber = 4
    mask_round: bool = Field(True, description="no pixel of the latents is half masked")
    inpainting_fill: WholeNumber = Field(
        0, description="what is under the mask: 0 fill, 1 original, 2 latent noise, 3 latent nothing"
    )
    inpaint_full_res: bool = Field(True, description="draw only what is masked, at width and height")
    inpaint_full_res_padding: WholeNumber = Field(0, description="pixels around it that are drawn with it")
    inpainting_mask_invert: WholeNumber = Field(0, description="1: what is not masked is drawn anew")
    initial_noise_multiplier: float | None = None
    latent_mask: Any = Field(None, description="not taken; A1111's API cannot read it either")
    include_init_images: bool = Field(False, description="send init_images and mask back in `parameters`")

    _sent: SentPictures | None = PrivateAttr(default=None)
    _found_noise: FoundNoise | None = PrivateAttr(default=None)

    @property
    def sent(self) -> SentPictures:
        """Its pictures. Raises BadPicture, and A1111's 404 where there is none."""
        if self._sent is None:
            if not self.init_images:
                raise HTTPException(404, "Init image not found")
            self._sent = SentPictures.read(self.init_images, self.mask)
        return self._sent

    def over(self, sent: SentPictures, **fields: Any) -> Self:
        """The request with other pictures, and some fields changed."""
        copy = self.model_copy(update=fields)
        copy._sent = sent
        return copy

    def from_found_noise(self, found: FoundNoise) -> Self:
        """The request for one picture, begun with the noise that leads to what was sent."""
        copy = self.model_copy(update={"batch_size": 1})
        copy._found_noise = found
        return copy

    def settled(self, defaults: CheckpointDefaults) -> Self:
        """See `DrawingRequest.settled`; all of the picture is drawn anew where the checkpoint looks at it."""
        settled = super().settled(defaults)
        if self.denoising_strength is not None or defaults.denoising_strength == STRENGTH:
            return settled
        return settled.model_copy(update={"denoising_strength": defaults.denoising_strength})

    def own_size(self, side: int) -> tuple[int, int]:
        """The first picture's own, or what fits of its shape; with "only masked" the checkpoint's own, which
        is what the part around the mask is drawn at."""
        if self.mask and self.inpaint_full_res:
            return side, side
        width, height = self.sent.size
        if self.width:
            factor = self.width / width
        elif self.height:
            factor = self.height / height
        else:
            factor = min(1.0, MAX_SIDE / max(width, height))
        return _side(width * factor), _side(height * factor)

    def parts(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of the engine's request that this kind of request has besides. Raises Unsupported and
        InvalidRequest."""
        if self.latent_mask is not None:
            raise Unsupported("latent_mask", remark("masks_follow", "latents follow the mask; leave it out"))
        fields = source_fields(settings)
        if self.initial_noise_multiplier is not None:
            fields["noise_multiplier"] = self.initial_noise_multiplier
        source = ImageToImage(
            images=self.sent.images,
            denoising_strength=STRENGTH if self.denoising_strength is None else self.denoising_strength,
            resize_mode=_one_of(ResizeMode, "resize_mode", self.resize_mode),
            mask=self._mask(),
            init_hash=self.sent.init_hash if yes_in(settings, "save_init_img", default=False) else "",
            found_noise=self._found_noise,
            **fields,
        )
        return {"source": source, "batch_size": self._batch_size()}

    def passed_over(self) -> Iterator[str]:
        """Sentences on what the request says and nothing here does."""
        yield from super().passed_over()
        if self.image_cfg_scale not in (None, _IMAGE_CFG):
            yield remark(
                "image_cfg_scale",
                "image_cfg_scale was not followed: it is for InstructPix2Pix, which is not drawn here.",
            )

    def echo(self) -> dict[str, Any]:
        """The request as it is sent back, without the pictures unless they are asked for."""
        sent: dict[str, Any] = {"init_images": None, "mask": None, "reference_images": []}
        return {**self.model_dump(), **({} if self.include_init_images else sent)}

    def _mask(self) -> Mask | None:
        if not self.sent.mask:
            return None
        blur_x, blur_y = self.mask_blur_x, self.mask_blur_y
        if self.mask_blur is not None:
            blur_x = blur_y = self.mask_blur
        soft = soft_inpainting(self.alwayson_scripts)
        return Mask(
            image=self.sent.mask,
            latent_image=self.sent.latent_mask,
            invert=bool(self.inpainting_mask_invert),
            blur_x=blur_x,
            blur_y=blur_y,
            round_latents=self.mask_round and soft is None,
            content=_one_of(MaskedContent, "inpainting_fill", self.inpainting_fill),
            only_masked=self.inpaint_full_res,
            padding=self.inpaint_full_res_padding,
            soft=soft,
        )

    def _batch_size(self) -> int:
        """A1111's rule: several pictures are one batch. Raises InvalidRequest where fewer are asked for."""
        count = len(self.sent.images)
        if count == 1:
            return self.batch_size
        if "batch_size" in self.model_fields_set and self.batch_size < count:
            raise InvalidRequest(
                "batch_size",
                self.batch_size,
                remark("as_many_as_sent", "{n} or more: so many init_images were sent", n=count),
            )
        return count


def _side(pixels: float) -> int:
    return min(MAX_SIDE, max(MIN_SIDE, round(pixels) // _PIXELS * _PIXELS))


def _one_of(kind: type[_Choice], field: str, value: int) -> _Choice:
    try:
        return kind(value)
    except ValueError as e:
        raise InvalidRequest(
            field, value, ", ".join(f"{one.value} ({one.name.lower()})" for one in kind)
        ) from e
