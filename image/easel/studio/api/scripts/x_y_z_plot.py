"""A1111's "X/Y/Z plot": a request for each combination of up to three axes, and a grid of all."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from easel.remark import remark
from easel.studio import allowed
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result, ResultPicture
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.labelled_grid import labelled_grid
from easel.studio.api.scripts.plot_axes import NOTHING, SEEDS, PlotAxis, axis_named, fixed_seeds
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.api.scripts.seeds import with_fixed_seeds
from easel.studio.engine import InvalidRequest
from easel.studio.engine.imaging import image_grid, rows_of_grid
from easel.studio.infotext import parse, write

# As many as one request may ask for without a script.
MAX_CELLS = 1600


@dataclass(frozen=True)
class _Line:
    """An axis, the values it goes through, and what they are called."""

    axis: PlotAxis
    values: list[Any]
    asked: str

    @property
    def labels(self) -> list[str]:
        return [self.axis.shown(self.axis.label, value) for value in self.values]


@dataclass(frozen=True)
class _Plot:
    """The script's arguments, understood."""

    lines: tuple[_Line, _Line, _Line]
    draw_legend: bool
    include_lone_images: bool
    include_sub_grids: bool
    no_fixed_seeds: bool
    vary_seeds: tuple[bool, bool, bool]
    margin_size: int

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """All cells (x, y, z), row by row, z last."""
        x, y, z = (range(len(line.values)) for line in self.lines)
        return [(across, down, deep) for deep, down, across in product(z, y, x)]

    def request(self, base: DrawingRequest, place: tuple[int, int, int]) -> DrawingRequest:
        """The request of one cell."""
        asked = base
        for line, number in zip(self.lines, place, strict=True):
            asked = asked.model_copy(update=line.axis.change(asked, line.values[number], line.values))
        step, seed = 1, asked.seed
        for line, number, varied in zip(self.lines, place, self.vary_seeds, strict=True):
            if varied:
                seed += number * step
                step *= len(line.values)
        return asked.model_copy(update={"seed": seed, "do_not_save_grid": True})

    def slowest_first(self) -> list[tuple[int, int, int]]:
        """The cells in the order to draw them: what is slow to change, as the checkpoint, changes least."""
        order = sorted(range(3), key=lambda number: -self.lines[number].axis.cost)
        return sorted(self.places, key=lambda place: [place[number] for number in order])


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    return _course(asked, _understood(asked, arguments))


def _course(asked: DrawingRequest, plot: _Plot) -> Course:
    base = asked if plot.no_fixed_seeds else with_fixed_seeds(asked)
    order = plot.slowest_first()
    answers = yield [plot.request(base, place) for place in order]
    cells = dict(zip(order, answers, strict=True))
    drawn = [picture for place in plot.places for picture in cells[place]]
    if not drawn:
        return Result([])
    return Result(drawn, _grids(plot, cells, drawn[0]), plot.include_lone_images)


def _understood(asked: DrawingRequest, arguments: list[Any]) -> _Plot:
    *axes, legend, lone, sub, no_fixed_seeds, vary_x, vary_y, vary_z, margin, csv_mode = arguments
    lines = []
    for letter, (kind, text, chosen) in zip("XYZ", (axes[:3], axes[3:6], axes[6:]), strict=True):
        axis = axis_named(asked.TAB, 0 if kind is None else kind, f"script_args.{letter} type")
        if not isinstance(text, str):
            text, chosen = "", text
        values = axis.values(text, chosen, as_text=csv_mode)
        said = text if text else _comma_separated(values)
        lines.append(_Line(axis, values if no_fixed_seeds else fixed_seeds(axis, values), said))
    x, y, z = lines
    cells = len(x.values) * len(y.values) * len(z.values)
    if cells > MAX_CELLS:
        raise InvalidRequest(
            "script_args", remark("combinations", "{n} combinations", n=cells), allowed.up_to(MAX_CELLS)
        )
    return _Plot((x, y, z), legend, lone, sub, no_fixed_seeds, (vary_x, vary_y, vary_z), margin)


def _grids(
    plot: _Plot, cells: dict[tuple[int, int, int], list[ResultPicture]], first: ResultPicture
) -> list[ResultPicture]:
    """The grid of all, and behind it one for each z where they are asked for."""
    x, y, z = plot.lines
    flat = []
    for deep in range(len(z.values)):
        places = [(across, down, deep) for down in range(len(y.values)) for across in range(len(x.values))]
        sheet = labelled_grid(
            [_cell(cells[place], first) for place in places],
            x.labels,
            y.labels,
            margin=plot.margin_size,
            legend=plot.draw_legend,
        )
        pictures = [picture for place in places for picture in cells[place]]
        flat.append(ResultPicture(sheet, _text(plot, pictures[0] if pictures else first, 2), first.drawn))
    whole = flat[0].image  # no second copy of what may be 200 MB
    if len(flat) > 1 or any(z.labels):
        whole = labelled_grid([one.image for one in flat], z.labels, [""], legend=plot.draw_legend)
    main = ResultPicture(whole, _text(plot, first, 3), first.drawn)
    return [main, *(flat if plot.include_sub_grids else ())]


def _cell(pictures: Sequence[ResultPicture], like: ResultPicture) -> Any:
    """A cell's picture: a small grid where it has several, black where it has none."""
    from PIL import Image

    if not pictures:
        return Image.new("RGB", like.image.size)
    if len(pictures) == 1:
        return pictures[0].image
    return image_grid([one.image for one in pictures], rows_of_grid(len(pictures)))


def _text(plot: _Plot, picture: ResultPicture, axes: int) -> str:
    """The picture's infotext with what A1111 says of the plot, of so many axes."""
    found = parse(picture.text)
    said = dict(found.parameters)
    version = said.pop("Version", None)
    said["Script"] = SCRIPT.title
    for letter, line in zip("XYZ"[:axes], plot.lines, strict=False):
        if line.axis.label == NOTHING:
            continue
        said[f"{letter} Type"] = line.axis.label
        said[f"{letter} Values"] = line.asked
        if line.axis.label in SEEDS and not plot.no_fixed_seeds:
            said[f"Fixed {letter} Values"] = ", ".join(map(str, line.values))
    if version:
        said["Version"] = version
    return write(found.prompt, found.negative_prompt, said)


def _comma_separated(values: Sequence[Any]) -> str:
    with io.StringIO() as text:
        csv.writer(text).writerow(values)
        return text.getvalue().strip()


SCRIPT = SelectableScript(
    "X/Y/Z plot",
    (
        Argument("X type", 1, free=True), Argument("X values", ""), Argument("X values"),
        Argument("Y type", 0, free=True), Argument("Y values", ""), Argument("Y values"),
        Argument("Z type", 0, free=True), Argument("Z values", ""), Argument("Z values"),
        Argument("Draw legend", True), Argument("Include Sub Images", False),
        Argument("Include Sub Grids", False), Argument("Keep -1 for seeds", False),
        Argument("Vary seeds for X", False), Argument("Vary seeds for Y", False),
        Argument("Vary seeds for Z", False), Argument("Grid margins (px)", 0, 0, 500, 2),
        Argument("Use text inputs instead of dropdowns", False),
    ),
    _run,
)  # fmt: skip
