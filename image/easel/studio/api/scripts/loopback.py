"""A1111's "Loopback": each picture is drawn over the one before."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.image_to_image_request import STRENGTH, ImageToImageRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, PictureToInterrogate, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.api.scripts.seeds import with_fixed_seeds
from easel.studio.drawing_settings import interrogation
from easel.studio.engine import Interrogation, Interrogator, InvalidRequest, MaskedContent
from easel.studio.engine.imaging import image_grid
from easel.studio.settings import yes_in

_CURVES: dict[str, Callable[[float], float]] = {
    "Aggressive": lambda progress: math.sin(progress * math.pi / 2),
    "Linear": lambda progress: progress,
    "Lazy": lambda progress: 1 - math.cos(progress * math.pi / 2),
}


_INTERROGATORS = {"CLIP": Interrogator.CLIP, "DeepBooru": Interrogator.DEEPDANBOORU}


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    loops, final_strength, curve, appended = arguments
    if not isinstance(asked, ImageToImageRequest):
        raise InvalidRequest("script_name", SCRIPT.title, allowed.ONLY_TEXT)
    options = ordering.options(asked)
    by = _INTERROGATORS.get(appended)
    return _course(
        asked, loops, final_strength, curve, yes_in(options, "return_grid"),
        interrogation(options, by) if by else None,
    )  # fmt: skip


def _course(
    asked: ImageToImageRequest,
    loops: int,
    final_strength: float,
    curve: str,
    wants_grid: bool,
    words: Interrogation | None,
) -> Course:
    first = STRENGTH if asked.denoising_strength is None else asked.denoising_strength
    base = with_fixed_seeds(asked).model_copy(update={"batch_size": 1, "n_iter": 1, "do_not_save_grid": True})
    history: list[ResultPicture] = []
    seed = base.seed
    for _ in range(asked.n_iter):
        request, last = base.model_copy(update={"seed": seed}), None
        for loop in range(loops):
            if words is not None:
                said = yield PictureToInterrogate(request.sent.images[0], request.sent.size, words)
                prompt = f"{base.prompt}, {said}" if base.prompt else said
                request = request.model_copy(update={"prompt": prompt})
            [pictures] = yield [request]
            if not pictures:
                return _result(history, wants_grid=False)
            last, seed = pictures[0], seed + 1
            if asked.n_iter == 1:
                history.append(last)
            part = _CURVES[curve]((loop + 1) / (loops - 1)) if loops > 1 else 0.0
            request = base.over(
                base.sent.with_image(last.image),
                seed=seed,
                denoising_strength=first + (final_strength - first) * part,
                inpainting_fill=MaskedContent.ORIGINAL.value,
            )
        if asked.n_iter > 1 and last:
            history.append(last)
    return _result(history, wants_grid=wants_grid and len(history) > 1)


def _result(history: list[ResultPicture], *, wants_grid: bool) -> Result:
    if not wants_grid:
        return Result(history)
    grid = image_grid([one.image for one in history], 1)
    return Result(history, [ResultPicture(grid, history[0].text, history[0].drawn)])


SCRIPT = SelectableScript(
    "Loopback",
    (
        Argument("Loops", 4, 1, 32, 1),
        Argument("Final denoising strength", 0.5, 0, 1, 0.01),
        Argument("Denoising strength curve", "Linear", choices=tuple(_CURVES)),
        Argument("Append interrogated prompt at each iteration", "None", choices=("None", *_INTERROGATORS)),
    ),
    _run,
    ("img2img",),
)
