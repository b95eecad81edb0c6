"""ADetailer: what a detector finds in each finished picture is drawn over, one area after the other."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageChops

from easel.remark import remark
from easel.studio import infotext
from easel.studio.api.requests.detailer import Detailing
from easel.studio.api.requests.detailer_unit import DetailerUnit
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import (
    Course,
    Drafts,
    FacesToFind,
    FinishedPictures,
    ResultPicture,
    Step,
    Touches,
)
from easel.studio.api.requests.sent_picture import SentPictures
from easel.studio.engine import MAX_SEED, InvalidRequest
from easel.studio.engine.imaging import AreaOrder, FaceArea, area_masks, mask_from

_NOISE = "initial_noise_multiplier"
_ORDER, _SAME_SEED = "ad_bbox_sortby", "ad_same_seed_for_each_tab"
_Pictures = Generator[Step, Any, list[list[ResultPicture]]]
_OF_THE_PICTURE = (
    "subseed_strength", "seed_resize_from_w", "seed_resize_from_h", "tiling", "disable_extra_networks",
    # as the options of the same names would: an infotext tells them apart no more
    "eta", "s_churn", "s_tmin", "s_tmax", "s_noise", "s_min_uncond", "distilled_cfg_scale", "exact",
)  # fmt: skip
_BLANK = Image.new("RGB", (64, 64))
_ALL = Image.new("L", (64, 64), 255)


def detailed(course: Course, wanted: Detailing, ordering: Ordering) -> Course:
    """The same, with ADetailer at work on each picture that it has drawn."""
    detailer = _Detailer(wanted, ordering)
    step = next(course)
    while True:
        answers = (yield from detailer.pictures(step)) if isinstance(step, list) else (yield step)
        try:
            step = course.send(answers)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


@dataclass
class _Picture:
    """One on its way: `image` is what it is by now."""

    request: DrawingRequest
    drawn: ResultPicture
    image: Image.Image

    def finished(self) -> ResultPicture:
        return replace(self.drawn, image=self.image)


class _Detailer:
    def __init__(self, wanted: Detailing, ordering: Ordering) -> None:
        self._wanted, self._ordering = wanted, ordering

    def pictures(self, requests: Sequence[DrawingRequest]) -> _Pictures:
        """The pictures of each request, finished."""
        for request in requests:
            self._look_at(request)
        drawn: list[list[ResultPicture]] = yield Drafts([self._draft(one) for one in requests])
        found = [
            [self._begun(request, one) for one in pictures]
            for request, pictures in zip(requests, drawn, strict=True)
        ]
        every = [one for pictures in found for one in pictures]
        for number, unit in enumerate(self._wanted.units, 1):
            yield from self._follow(number, unit, [one for one in every if not one.drawn.kept])
        yield FinishedPictures([one.finished() for one in every])
        return [[one.finished() for one in pictures] for pictures in found]

    def _look_at(self, request: DrawingRequest) -> None:
        """Before anything is drawn, raise for a unit of which no area could be."""
        body, *_ = self._ordering.settle(request)
        for unit in self._wanted.units:
            size = body.width or 64, body.height or 64
            self._ordering.look_at(_touch(unit, body, _Area(_BLANK, _ALL, *size)))
        order = self._ordering.options(request).get(_ORDER) or AreaOrder.SUREST
        if order not in list(AreaOrder):
            raise InvalidRequest(_ORDER, order, ", ".join(AreaOrder))

    def _draft(self, request: DrawingRequest) -> DrawingRequest:
        """What is drawn first; the least where what was sent is to be drawn over in places only."""
        if not self._instead(request):
            return request
        return request.model_copy(update={"steps": 1, "sampler_name": "Euler", "sampler_index": None})

    def _instead(self, request: DrawingRequest) -> bool:
        return self._wanted.instead and isinstance(request, ImageToImageRequest)

    def _begun(self, request: DrawingRequest, drawn: ResultPicture) -> _Picture:
        if not self._instead(request) or drawn.kept:
            return _Picture(request, drawn, drawn.image)
        assert isinstance(request, ImageToImageRequest)  # noqa: S101 - see `_instead`
        settled, settings, _ = self._ordering.settle(request)
        asked = settled.to_engine(settings).resolved()
        said = replace(
            drawn.drawn.request, steps=asked.steps, sampler=asked.sampler, schedule_type=asked.schedule_type
        )
        meant = replace(drawn.drawn, request=said)
        text = infotext.describe(meant, self._ordering.parameters)
        images = request.sent.images
        image = _opened(images[meant.index % request.batch_size % len(images)]).convert("RGB")
        return _Picture(request, replace(drawn, drawn=meant, text=text), image)

    def _follow(
        self, number: int, unit: DetailerUnit, pictures: list[_Picture]
    ) -> Generator[Step, Any, None]:
        areas: list[Sequence[FaceArea]] = yield FacesToFind(
            [one.image for one in pictures], unit.ad_confidence
        )
        masks = [self._masks(unit, one, found) for one, found in zip(pictures, areas, strict=True)]
        if pictures and not any(masks):
            self._ordering.notes.append(
                remark("nothing_found", "ADetailer: unit {n} found nothing to draw over.", n=number)
            )
        for index in range(max(map(len, masks), default=0)):
            touched, requests = [], Touches()
            for picture, found in zip(pictures, masks, strict=True):
                if index < len(found) and (request := self._touch(unit, picture, index, found[index])):
                    touched.append(picture)
                    requests.append(request)
            if not requests:
                continue
            answers: list[list[ResultPicture]] = yield requests
            for picture, drawn in zip(touched, answers, strict=True):
                if drawn:
                    picture.image = drawn[0].image

    def _masks(self, unit: DetailerUnit, picture: _Picture, areas: Sequence[FaceArea]) -> list[Image.Image]:
        order = AreaOrder(self._ordering.options(picture.request).get(_ORDER) or AreaOrder.SUREST)
        masks = area_masks(areas, picture.image.size, unit.choice(order))
        request = picture.request
        if not isinstance(request, ImageToImageRequest) or not request.sent.mask:
            return masks
        within = mask_from(_opened(request.sent.mask)).resize(picture.image.size)
        if request.inpainting_mask_invert:
            within = ImageChops.invert(within)
        return [one for one in masks if ImageChops.darker(one, within).getbbox()]

    def _touch(
        self, unit: DetailerUnit, picture: _Picture, index: int, mask: Image.Image
    ) -> ImageToImageRequest | None:
        """The request that draws over one area; None for one that is to be left."""
        asked = picture.drawn.drawn.request
        prompt, negative = unit.prompts(index, (asked.prompt, asked.negative_prompt))
        if prompt.skipped:
            return None
        same_seed = self._ordering.options(picture.request).get(_SAME_SEED) is True
        onward = 0 if same_seed else index
        area = _Area(
            picture.image, mask, asked.width, asked.height, prompt.text, negative.text,
            min(MAX_SEED, picture.drawn.drawn.seed + onward),
            min(MAX_SEED, picture.drawn.drawn.subseed + onward),
            styles=not prompt.own and not negative.own,
        )  # fmt: skip
        body = picture.request.model_copy(
            update={
                "steps": asked.steps, "cfg_scale": asked.cfg_scale, "sampler_name": asked.sampler,
                "scheduler": asked.schedule_type,
            }
        )  # fmt: skip
        return _touch(unit, body, area)


@dataclass(frozen=True)
class _Area:
    """What is drawn over: where in which picture, how large it is drawn, by which words and seeds."""

    image: Image.Image
    mask: Image.Image
    width: int
    height: int
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    subseed: int = 0
    styles: bool = False


def _touch(unit: DetailerUnit, body: DrawingRequest, area: _Area) -> ImageToImageRequest:
    size = {"width": area.width, "height": area.height} if unit.ad_inpaint_only_masked else {}
    if unit.ad_use_inpaint_width_height:
        size = {"width": unit.ad_inpaint_width, "height": unit.ad_inpaint_height}
    fields = {name: getattr(body, name) for name in _OF_THE_PICTURE}
    fields[_NOISE] = getattr(body, _NOISE, None)
    sampling = {name: getattr(body, name) for name in ("steps", "cfg_scale", "sampler_name", "scheduler")}
    request = ImageToImageRequest(
        **{**fields, **sampling, **unit.sampling},
        **size,
        prompt=area.prompt,
        negative_prompt=area.negative_prompt,
        styles=body.styles if area.styles else [],
        seed=area.seed,
        subseed=area.subseed,
        denoising_strength=unit.ad_denoising_strength,
        mask_blur=unit.ad_mask_blur,
        inpainting_fill=1,
        inpaint_full_res=unit.ad_inpaint_only_masked,
        inpaint_full_res_padding=unit.ad_inpaint_only_masked_padding,
        restore_faces=unit.ad_restore_face,
        override_settings={**body.override_settings, **unit.options},
        alwayson_scripts=unit.control,
    )
    return request.over(SentPictures.of([area.image], area.mask))


def _opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))
