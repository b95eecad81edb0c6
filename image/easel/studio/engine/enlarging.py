"""How a picture is made larger: passes of an upscaler, made by the device in its turns."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from PIL import Image

from easel.studio.engine.calls.device_calls import DeviceCall, UpscaleCall
from easel.studio.engine.course import Course
from easel.studio.engine.faces.face_files import FaceRestoration
from easel.studio.engine.faces.face_run import FaceRun, FaceSearch
from easel.studio.engine.imaging import Prepared, ResizeMode, resized, upscaling
from easel.studio.engine.interrogation.question import Interrogation
from easel.studio.engine.interrogation.ranking import Ranking
from easel.studio.engine.interrogation.run import InterrogationRun
from easel.studio.engine.upscaling.enlargement import Enlargement, tiles_of
from easel.studio.engine.upscaling.upscale_runs import FilterRun, UpscaleRun

Images = Generator[DeviceCall, Any, Image.Image]


def enlarged(course: Course, image: Image.Image, upscaler: str, factor: float) -> Images:
    """The picture about `factor` times as large; see `imaging.upscaling`."""
    passes = upscaling(image, factor)
    try:
        image = next(passes)
        while True:
            answer = yield UpscaleCall(_run(course, image, upscaler, factor))
            image = passes.send(answer)
    except StopIteration as end:
        whole: Image.Image = end.value
        return whole


def _run(course: Course, image: Image.Image, upscaler: str, factor: float) -> UpscaleRun | FilterRun:
    """One pass, by a file where the name is one's."""
    model = course.upscalers.get(upscaler)
    if model is None:
        return FilterRun(image, upscaler, factor)
    run = UpscaleRun(image, model, tiles_of(course.request.upscaler_tiles, model.architecture.id))
    if run.note:
        course.job.note(run.note)
    return run


def enlarged_to(course: Course, image: Image.Image, upscaler: str, width: int, height: int) -> Images:
    """The picture stretched to exactly this size, in pixels."""
    factor = max(width / image.width, height / image.height)
    larger = yield from enlarged(course, image, upscaler, factor)
    return resized(larger, ResizeMode.JUST_RESIZE, width, height)


def ready_source(course: Course) -> Generator[DeviceCall, Any, Prepared]:
    """The picture to draw over, made larger first where that is an upscaler's."""
    source = course.source
    if isinstance(source, Prepared):
        return source
    larger = yield from enlarged(course, source.image, source.upscaler, source.times)
    prepared = source.prepare(lambda *_: larger)
    course.keep_prepared(prepared)
    if prepared.comment:
        course.job.note(prepared.comment)
    return prepared


def enlarge(course: Course, asked: Enlargement) -> Images:
    """All of what A1111's extras ask for."""
    source = image = course.prepared().image
    if asked.sure is not None:
        return (yield from _looked_for_faces(course, image, asked.sure))
    if asked.interrogation is not None:
        return (yield from _put_into_words(course, image, asked.interrogation))
    if asked.enlarges:
        image = yield from _enlarged_by_both(course, source, asked)
    return (yield from with_faces(course, image, asked.faces))


def with_faces(course: Course, image: Image.Image, asked: FaceRestoration | None) -> Images:
    """The picture with its faces restored, where that is asked for."""
    if asked is None or course.faces is None:
        return image
    restored: Image.Image = yield UpscaleCall(FaceRun(image, course.faces, asked.visibility))
    return restored


def _looked_for_faces(course: Course, image: Image.Image, sure: float) -> Images:
    """The picture as it is; the job says where its faces are."""
    assert course.faces is not None  # noqa: S101 - see `Engine`
    search = FaceSearch(image, course.faces, sure)
    found: Image.Image = yield UpscaleCall(search)
    course.job.face_areas = tuple(search.areas)
    return found


def _put_into_words(course: Course, image: Image.Image, asked: Interrogation) -> Images:
    """The picture as it is; the job says what is in it."""
    assert course.interrogator is not None  # noqa: S101 - see `Engine`
    ranking = None
    if course.ranker is not None and course.job.ranked_words is not None:
        lists = course.job.ranked_words.lists
        ranking = Ranking(image.convert("RGB"), course.ranker, lists, ranks=asked.ranks)
    run = InterrogationRun(image, course.interrogator, asked, ranking)
    seen: Image.Image = yield UpscaleCall(run)
    course.job.words = run.answer
    return seen


def _enlarged_by_both(course: Course, source: Image.Image, asked: Enlargement) -> Images:
    image = yield from _fitted(course, source, asked, asked.upscaler)
    if asked.second_at_work:
        second = yield from _fitted(course, source, asked, asked.second_upscaler)
        image = Image.blend(image, second.convert(image.mode), asked.second_share)
    return image


def _fitted(course: Course, source: Image.Image, asked: Enlargement, upscaler: str) -> Images:
    image = yield from enlarged(course, source, upscaler, asked.times)
    if asked.cover is None or not asked.crop:
        return image
    # As A1111 crops: black where rounding left the picture a few pixels short.
    width, height = asked.cover
    cropped = Image.new("RGB", (width, height))
    cropped.paste(image, (width // 2 - image.width // 2, height // 2 - image.height // 2))
    return cropped
