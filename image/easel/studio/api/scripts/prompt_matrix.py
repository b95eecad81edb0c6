"""A1111's "Prompt matrix": `a|b|c` is a with and without b and c, each combination once."""

from __future__ import annotations

from typing import Any

from easel.remark import remark
from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.labelled_grid import labelled_grid
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.api.scripts.seeds import with_fixed_seeds
from easel.studio.engine import InvalidRequest

# 1024 combinations.
MAX_PARTS = 10


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    at_start, different_seeds, kind, delimiter, margin = arguments
    field = "prompt" if kind == "positive" else "negative_prompt"
    first, *parts = getattr(asked, field).split("|")
    if len(parts) > MAX_PARTS:
        raise InvalidRequest(
            field, remark("counted_parts", "{n} parts behind |", n=len(parts)), allowed.up_to(MAX_PARTS)
        )
    between = ", " if delimiter == "comma" else " "
    return _course(asked, field, first, parts, at_start, different_seeds, between, margin)


def _course(
    asked: DrawingRequest,
    field: str,
    first: str,
    parts: list[str],
    at_start: bool,
    different_seeds: bool,
    between: str,
    margin: int,
) -> Course:
    base = with_fixed_seeds(asked)
    requests = []
    for number in range(2 ** len(parts)):
        chosen = [part.strip().strip(",") for bit, part in enumerate(parts) if number >> bit & 1]
        pieces = [*chosen, first] if at_start else [first, *chosen]
        seed = base.seed + (number if different_seeds else 0)
        fields = {field: between.join(pieces), "seed": seed, "n_iter": 1, "batch_size": 1}
        requests.append(base.model_copy(update={**fields, "do_not_save_grid": True}))
    answers = yield requests
    drawn = [picture for pictures in answers for picture in pictures]
    if len(drawn) < len(requests):  # interrupted
        return Result(drawn)
    return Result(drawn, [_grid(drawn, [part.strip() for part in parts], margin)])


def _grid(drawn: list[ResultPicture], parts: list[str], margin: int) -> ResultPicture:
    """The first half of the parts goes across, the rest down, as the bits of their numbers do."""
    across = parts[: (len(parts) + 1) // 2]
    down = parts[len(across) :]
    columns, rows = (_combinations(some) for some in (across, down))
    grid = labelled_grid([one.image for one in drawn], columns, rows, margin=margin)
    return ResultPicture(grid, drawn[0].text, drawn[0].drawn)


def _combinations(parts: list[str]) -> list[str]:
    return [
        ", ".join(part for bit, part in enumerate(parts) if number >> bit & 1)
        for number in range(2 ** len(parts))
    ]


SCRIPT = SelectableScript(
    "Prompt matrix",
    (
        Argument("Put variable parts at start of prompt", False),
        Argument("Use different seed for each picture", False),
        Argument("Select prompt", "positive", choices=("positive", "negative")),
        Argument("Select joining char", "comma", choices=("comma", "space")),
        Argument("Grid margins (px)", 0, 0, 500, 2),
    ),
    _run,
)
