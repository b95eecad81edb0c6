"""A1111's requests of extras: pictures to make larger."""

from __future__ import annotations

from pydantic import Field

from easel.studio.api.requests.fields import Liberal, Text, WholeNumber
from easel.studio.engine import FaceRestoration


class ExtrasRequest(Liberal):
    """What A1111's extras have in common. Fields not listed here are passed over."""

    resize_mode: WholeNumber = Field(
        0, ge=0, le=1, description="0: by upscaling_resize; 1: to upscaling_resize_w and _h"
    )
    show_extras_results: bool = Field(True, description="taken: an answer has its pictures, as A1111's has")
    gfpgan_visibility: float = Field(
        0, ge=0, le=1, description="how much of restored faces is seen; behind the upscaler"
    )
    codeformer_visibility: float = Field(0, ge=0, le=1, description="the same; by GFPGAN, and told")
    codeformer_weight: float = Field(0, ge=0, le=1, description="taken: there is no CodeFormer")
    upscaling_resize: float = Field(2, gt=0, description="how many times larger, up to 16")
    upscaling_resize_w: WholeNumber = Field(512, ge=1, description="pixels")
    upscaling_resize_h: WholeNumber = Field(512, ge=1, description="pixels")
    upscaling_crop: bool = Field(True, description="with resize_mode 1: cut off what sticks out")
    upscaler_1: Text = Field(
        "None", description="a name of /sdapi/v1/upscalers; None leaves the picture as it is"
    )
    upscaler_2: Text = Field("None", description="another one, whose picture is laid over the first one's")
    extras_upscaler_2_visibility: float = Field(0, ge=0, le=1)
    upscale_first: bool = Field(False, description="taken: it is always first, as in A1111 1.10")

    @property
    def faces(self) -> FaceRestoration | None:
        """What faces are to be restored by."""
        if self.gfpgan_visibility:
            return FaceRestoration(model="GFPGAN", visibility=self.gfpgan_visibility)
        if self.codeformer_visibility:
            return FaceRestoration(model="CodeFormer", visibility=self.codeformer_visibility)
        return None

    def sent(self) -> list[tuple[str, str]]:
        """The pictures in base64, each with the field that it came in."""
        raise NotImplementedError


class ExtrasSingleRequest(ExtrasRequest):
    """One picture to make larger."""

    image: Text = Field("", description="base64, bare or as a data: URI")

    def sent(self) -> list[tuple[str, str]]:
        """The picture."""
        return [("image", self.image)]


class FileData(Liberal):
    """One picture of many."""

    data: Text = Field(description="base64, bare or as a data: URI")
    name: Text = ""


class ExtrasBatchRequest(ExtrasRequest):
    """Pictures to make larger."""

    imageList: list[FileData] = Field(description="the pictures")

    def sent(self) -> list[tuple[str, str]]:
        """The pictures."""
        return [("imageList", one.data) for one in self.imageList]
