"""A1111's "Prompts from file or textbox": a request for each line, which may set fields as `--steps 20`."""

from __future__ import annotations

import shlex
from typing import Any

from easel.remark import remark
from easel.studio.api.requests.drawing_request import DrawingRequest
from easel.studio.api.requests.ordering import Ordering
from easel.studio.api.requests.result import Course, Result
from easel.studio.api.requests.script_argument import Argument
from easel.studio.api.scripts.script import SelectableScript
from easel.studio.engine import InvalidRequest, check_length, random_seed

MAX_LINES = 1600
# Characters of all lines: each is read letter by letter.
_LONGEST = 1_000_000
_WHOLE, _NUMBER, _YES, _TEXT = int, float, "yes", str
# What a line may say, by A1111's names; where files go on the server is not among them.
_TAGS: dict[str, Any] = {
    "sd_model": _TEXT, "prompt": _TEXT, "negative_prompt": _TEXT, "styles": _TEXT, "seed": _WHOLE,
    "subseed_strength": _NUMBER, "subseed": _WHOLE, "seed_resize_from_h": _WHOLE,
    "seed_resize_from_w": _WHOLE, "sampler_name": _TEXT, "scheduler": _TEXT, "batch_size": _WHOLE,
    "n_iter": _WHOLE, "steps": _WHOLE, "cfg_scale": _NUMBER, "width": _WHOLE, "height": _WHOLE,
    "restore_faces": _YES, "tiling": _YES, "do_not_save_samples": _YES, "do_not_save_grid": _YES,
}  # fmt: skip
_IGNORED = {"outpath_samples", "outpath_grids", "prompt_for_display", "sampler_index"}
_PROMPTS = ("prompt", "negative_prompt")


def _run(asked: DrawingRequest, arguments: list[Any], ordering: Ordering) -> Course:
    iterate, same_seed, position, text = arguments
    if not isinstance(text, str):
        raise InvalidRequest(
            "script_args.List of prompt inputs",
            text,
            remark("prompt_a_line", "a text, a prompt in each line"),
        )
    check_length("script_args.List of prompt inputs", len(text), _LONGEST)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        check_length("script_args.List of prompt inputs", len(line))
    if not 0 < len(lines) <= MAX_LINES:
        raise InvalidRequest(
            "script_args.List of prompt inputs",
            remark("counted_lines", "{n} lines", n=len(lines)),
            remark("from_to", "{low} to {high}", low=1, high=MAX_LINES),
        )
    return _course(asked, [_parsed(line) for line in lines], iterate, iterate or same_seed, position)


def _course(
    asked: DrawingRequest, lines: list[dict[str, Any]], iterate: bool, fixed: bool, position: str
) -> Course:
    seed = random_seed() if fixed and asked.seed == -1 else asked.seed
    requests = []
    for line in lines:
        fields = {"seed": seed, "do_not_save_grid": True, **line}
        for name in _PROMPTS:
            whole, own = getattr(asked, name), line.get(name)
            if own and whole:
                fields[name] = f"{own} {whole}" if position == "start" else f"{whole} {own}"
        if checkpoint := fields.pop("sd_model", None):
            fields["override_settings"] = {**asked.override_settings, "sd_model_checkpoint": checkpoint}
        requests.append(asked.model_copy(update=fields))
        if iterate:
            seed += asked.batch_size * asked.n_iter
    answers = yield requests
    return Result([picture for pictures in answers for picture in pictures])


def _parsed(line: str) -> dict[str, Any]:
    """The fields that a line sets; one that cannot be read so is a prompt, as in A1111."""
    if "--" not in line:
        return {"prompt": line}
    try:
        return _tagged(shlex.split(line))
    except (ValueError, KeyError, IndexError):
        return {"prompt": line}


def _tagged(words: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    place = 0
    while place < len(words):
        if not words[place].startswith("--"):
            raise ValueError(words[place])
        tag, value, place = words[place][2:], words[place + 1], place + 2
        while tag in _PROMPTS and place < len(words) and not words[place].startswith("--"):
            value, place = f"{value} {words[place]}", place + 1
        if tag not in _IGNORED:
            fields[tag] = _value(_TAGS[tag], value)
    if "styles" in fields:
        fields["styles"] = fields["styles"].split(",")
    return fields


def _value(kind: Any, text: str) -> Any:
    return text.lower() == "true" if kind is _YES else kind(text)


SCRIPT = SelectableScript(
    "Prompts from file or textbox",
    (
        Argument("Iterate seed every line", False),
        Argument("Use same random seed for all lines", False),
        Argument("Insert prompts at the", "start", choices=("start", "end")),
        Argument("List of prompt inputs", ""),
    ),
    _run,
)
