"""Scripts that a request names by `script_name`: which there are, and their arguments."""

from __future__ import annotations

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.refusals import UnknownScript
from easel.studio.api.requests.result import Course
from easel.studio.api.scripts import (
    img2img_alternative,
    loopback,
    mk2_outpainting,
    poor_mans_outpainting,
    prompt_matrix,
    prompts_from_file,
    sd_upscale,
    x_y_z_plot,
)
from easel.studio.api.scripts.detailing import detailed
from easel.studio.api.scripts.plain import plain
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.settings import is_name

SELECTABLE: tuple[SelectableScript, ...] = (
    prompt_matrix.SCRIPT,
    prompts_from_file.SCRIPT,
    x_y_z_plot.SCRIPT,
    loopback.SCRIPT,
    mk2_outpainting.SCRIPT,
    poor_mans_outpainting.SCRIPT,
    sd_upscale.SCRIPT,
    img2img_alternative.SCRIPT,
)


def course_of(asked: DrawingRequest, ordering: Ordering) -> Course:
    """How a request is drawn: by its script, or without one, and what ADetailer does then. Raises
    UnknownScript and InvalidRequest."""
    course = _course(asked, ordering)
    return course if ordering.detailing is None else detailed(course, ordering.detailing, ordering)


def _course(asked: DrawingRequest, ordering: Ordering) -> Course:
    if not is_name(asked.script_name):
        return plain(asked, ordering.options(asked))
    name = str(asked.script_name).strip().lower()
    here = [script for script in SELECTABLE if asked.TAB in script.tabs]
    for script in here:
        if script.name == name:
            return script.run(asked, script.understood(asked.script_args), ordering)
    raise UnknownScript(
        remark("script_not_found", "Script '{name}' not found", name=str(asked.script_name)[:60]),
        [one.title for one in here],
    )
