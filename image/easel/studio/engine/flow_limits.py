"""What of a request cannot be done, or counts for nothing, with a family that predicts a flow."""

from __future__ import annotations

from collections.abc import Iterator

from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.queue.job import Job
from easel.studio.engine.sampling.samplers import of_flows, resolve
from easel.studio.families import Family


def flow_notes(job: Job, family: Family) -> Iterator[str]:
    """What to tell whoever asked. Raises InvalidRequest for what would be another picture without."""
    request, name = job.request, family.name
    _refuse_what_is_of_unets(job, name)
    if family.flow is not None and family.flow.needs_picture and request.source is None and not job.shown:
        words = "a picture (img2img): {family} changes what it is shown"
        allowed = remark("picture_to_change", words, family=name)
        raise InvalidRequest("init_images", remark("no_picture", "no picture"), allowed)
    second = request.hires.sampler if request.hires else None
    for sampler in dict.fromkeys([request.sampler, second or request.sampler]):
        drawn = of_flows(resolve(sampler)[0]).name
        if drawn != sampler:
            yield remark(
                "sampler_of_flows",
                "{sampler} reckons with noise that {family} does not have: {drawn} was taken, the nearest "
                "that does not.",
                about="sampler_name",
                sampler=sampler,
                family=name,
                drawn=drawn,
            )
    if request.clip_skip > 1:
        yield remark(
            "clip_skip_of_flows",
            "Clip skip {n} counts for nothing with {family}: it reads the layers that it was trained on.",
            about="CLIP_stop_at_last_layers",
            n=request.clip_skip,
            family=name,
        )
    if request.cache_every > 1:
        words = "The cache counts for nothing with {family}: there is no deep part to leave out."
        yield remark("cache_of_flows", words, about="cache", family=name)
    if request.tiling:
        words = "Tiling is for UNets: the edges of a picture of {family} do not meet."
        yield remark("tiling_of_flows", words, about="tiling", family=name)


def _refuse_what_is_of_unets(job: Job, name: str) -> None:
    source = job.request.source
    found = (
        ("controlnet", bool(job.controls or job.image_prompts or job.references), "no ControlNets"),
        ("refiner_checkpoint", job.refiner is not None, "no refiner"),
        ("script", source is not None and source.found_noise is not None, "no way back to a picture's noise"),
    )
    for field, asked, words in found:
        if asked:
            raise InvalidRequest(
                field,
                remark("with_family", "with {family}", family=name),
                remark("of_unets_only", "SD 1.x, SD 2.x or SDXL; for {family} there is {words} here",
                       family=name, words=words),
            )  # fmt: skip
