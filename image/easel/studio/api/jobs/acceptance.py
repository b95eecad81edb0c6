"""What is looked at before a request is accepted, and what of that moment is kept with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from easel.models import ModelError
from easel.remark import remark
from easel.studio.api.jobs.async_job import AsyncJob, Planned, plan
from easel.studio.api.jobs.record import AcceptedBody, RequestKind
from easel.studio.engine import (
    Bound,
    Limits,
    PersonsWork,
    Queue,
    chance,
    random_seed,
    see_that_there_is_room,
)
from easel.studio.outputs import NotSaved
from easel.studio.studio import Studio


def look_at(
    studio: Studio, owner: str, kind: RequestKind, body: dict[str, Any], salt: int
) -> tuple[AcceptedBody, Planned, list[str], dict[str, Any]]:
    """The request as it is kept, what it begins with, sentences on it, and its body as it is shown. Raises
    what refuses it."""
    options = studio.options.read(owner)
    if kind in ("txt2img", "img2img"):
        # Everything is kept: there is no answer to send it by. Of A1111's words those of now count.
        body = {**body, "save_images": True, "do_not_save_samples": False}
        options = {**options, "samples_save": True}
        with contextlib.suppress(ModelError):
            options["sd_model_checkpoint"] = studio.checkpoint(owner).name
        if not body.get("script_name") and not body.get("infotext"):
            with chance(salt):
                said = {name: random_seed() for name in ("seed", "subseed") if _unsaid(body.get(name))}
            body |= said
    accepted = AcceptedBody(body=body, options=options, salt=salt)
    return accepted, *plan(studio, owner, kind, accepted)


def see_that_it_fits(
    limits: Limits, mine: Sequence[AsyncJob], others: Callable[[], Sequence[PersonsWork]], pictures: int
) -> None:
    """Raise QueueFull where somebody has so many waiting that `pictures` more would be too many, TooMuchWork
    where they are by themselves."""
    left = [job.pictures_left for job in mine]
    bounds = (
        Bound(
            remark("requests", "requests"), [1] * len(mine), 1,
            limits.requests_waiting, limits.set_by("requests_waiting"),
        ),
        Bound(
            remark("pictures", "pictures"), left, pictures,
            limits.pictures_waiting, limits.set_by("pictures_waiting"),
        ),
    )  # fmt: skip

    def queue() -> Queue:
        return Queue([(job.work_left(), one) for job, one in zip(mine, left, strict=True)], others())

    see_that_there_is_room(bounds, queue, "n_iter")


def not_written_down(error: OSError) -> NotSaved:
    """What is answered where a request could not be kept."""
    why = error.strerror or error
    return NotSaved(remark("not_written_down", "the request could not be written down: {why}", why=why))


def sizes(planned: Planned) -> dict[str, int]:
    """What a ticket says of the pictures; nothing where it is not known yet."""
    requests = [request for _, request in planned]
    if not requests:
        return {}
    last = requests[0].passes()[-1]
    return {
        "width": last.width,
        "height": last.height,
        "pictures": sum(request.pictures for request in requests),
        "steps": requests[0].steps,
    }


def _unsaid(seed: object) -> bool:
    return seed is None or str(seed).strip() == "-1"
