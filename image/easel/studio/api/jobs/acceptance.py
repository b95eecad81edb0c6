"""What is looked at before a request is accepted, and what of that moment is kept with it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from easel.models import ModelError
from easel.remark import remark
from easel.studio.api.jobs.async_job import AsyncJob, Planned, plan
from easel.studio.api.jobs.record import AcceptedBody, RequestKind
from easel.studio.engine import Limits, QueueFull, chance, random_seed, setting
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


def see_that_it_fits(limits: Limits, mine: Sequence[AsyncJob], pictures: int) -> None:
    """Raise QueueFull where somebody has so many waiting that `pictures` more would be too many."""
    waiting = sum(job.pictures_left for job in mine)
    requests_said, pictures_said = remark("requests", "requests"), remark("pictures", "pictures")
    for unit, have, more, field in (
        (requests_said, len(mine), 1, "requests_waiting"),
        (pictures_said, waiting, pictures, "pictures_waiting"),
    ):
        most = getattr(limits, field)
        if have + more > most:
            raise QueueFull(
                remark(
                    "too_many_waiting",
                    "you have {have} {unit} waiting, and {more} more would pass the {most} that one "
                    "person may have; wait for some of them, or cancel them; the operator sets the limit by "
                    "{setting}",
                    unit=unit,
                    have=f"{have:,}",
                    more=f"{more:,}",
                    most=f"{most:,g}",
                    setting=setting(field),
                )
            )


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
