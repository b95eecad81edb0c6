"""`multipart/form-data` of an edit: the fields, the picture, and where it is to be drawn anew."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from easel.studio.api.openai.image_request import ImageRequest, as_refusal
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.refusals import Unsupported
from easel.studio.api.requests.sent_picture import BadPicture, decoded
from easel.studio.picture_bounds import FORMATS
from easel.studio.png import encode

if TYPE_CHECKING:
    from PIL.Image import Image

_FILES = ("image", "image[]", "mask", "markup")
# Of a picture that is to be kept: colours and places stay, details change.
_FAITHFUL = 0.5


class EditRequest(ImageRequest):
    """Draw over a picture. Fields that OpenAI has not are A1111's, by the rules of /sdapi/v1/img2img."""

    size: str = Field("auto", description="auto, or WIDTHxHEIGHT in pixels; auto is the picture's own")
    input_fidelity: Literal["high", "low"] = Field("low", description="high keeps more of the picture")


@dataclass(frozen=True)
class EditForm:
    """What was sent: the fields, the picture, and a mask that is white where it is drawn anew; files in
    base64. `others` are pictures that a model which edits looks at beside the first."""

    asked: EditRequest
    image: str
    mask: str | None
    others: tuple[str, ...] = ()

    @classmethod
    async def read(cls, request: Request) -> EditForm:
        """The form of a request. Raises RequestValidationError, Unsupported and BadPicture."""
        async with request.form(max_files=20, max_fields=200) as form:
            said = {key: value for key, value in form.items() if isinstance(value, str) and key not in _FILES}
            try:
                asked = EditRequest.model_validate(said)
            except ValidationError as e:
                raise as_refusal(e) from e
            pictures = [*_files(form, "image"), *_files(form, "image[]")]
            if "markup" in form:
                raise Unsupported("markup", "say in the prompt what to draw, and by a mask where")
            if not pictures:
                raise BadPicture("image", "is missing: send one as a file of multipart/form-data")
            image, *others = [await one.read() for one in pictures]
            masks = _files(form, "mask")
            mask = await masks[0].read() if masks else None
        more = tuple(base64.b64encode(one).decode() for one in others)
        return cls(asked, *_prepared(image, mask), more)

    def a1111(self, **fields: Any) -> ImageToImageRequest:
        """The request as A1111's img2img, with these `fields` of it."""
        said: dict[str, Any] = {}  # of the strength too: what the checkpoint is drawn over with
        if self.mask:
            # OpenAI's mask is a hole: what was in it is gone, and all of it is new.
            said |= {"denoising_strength": 1.0, "inpainting_fill": 0, "inpaint_full_res": False}
        elif self.asked.input_fidelity == "high":
            said["denoising_strength"] = _FAITHFUL
        own = {name: value for name, value in said.items() if name not in (self.asked.model_extra or {})}
        return self.asked.a1111(
            ImageToImageRequest, **own, **fields,
            init_images=[self.image], mask=self.mask, reference_images=list(self.others),
        )  # fmt: skip


def _files(form: FormData, name: str) -> list[UploadFile]:
    return [one for one in form.getlist(name) if isinstance(one, UploadFile)]


def _prepared(image: bytes, mask: bytes | None) -> tuple[str, str | None]:
    """Both as base64. Without a mask the picture's own clear pixels are one. Raises BadPicture."""
    picture = _open(image, "image")
    hole = _hole(picture)
    if mask is not None:
        cut = _open(mask, "mask")
        if cut.size != picture.size:
            raise BadPicture(
                "mask", f"is of {_size(cut)}, and the picture of {_size(picture)}: make them alike"
            )
        hole = _hole(cut)
        if hole is None:
            raise BadPicture("mask", "has no clear pixels: what is to be drawn anew must be transparent")
    return _text(picture), _text(hole) if hole else None


def _open(data: bytes, field: str) -> Image:
    from io import BytesIO

    from PIL import Image as pillow

    plain, _ = decoded(base64.b64encode(data).decode(), field)
    return pillow.open(BytesIO(plain), formats=FORMATS)


def _hole(picture: Image) -> Image | None:
    """White where the picture is wholly transparent; None where it is nowhere."""
    if picture.mode != "RGBA":
        return None
    hole = picture.getchannel("A").point(lambda alpha: 255 if alpha == 0 else 0)
    return hole if hole.getbbox() else None


def _size(picture: Image) -> str:
    return f"{picture.width}x{picture.height}"


def _text(picture: Image) -> str:
    return base64.b64encode(encode(picture)).decode()
