"""A1111's infotext: how a picture says in words how it was made, and how that is read again.

    a red circle on blue
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 1, Size: 128x128, …

The prompt, then the negative prompt when there is one, then one line of parameters. A value with a comma, a
colon or a line break in it is written as a JSON string. Keys and their order are A1111's: Civitai, sd-parsers
and A1111 itself read this.

Read is what A1111 reads, by its rules: space around the text and around each line is none of it (other
programs end lines with CR LF, pad them, or end the text with a line break), and a last line with three pairs
or more is the parameters. Beyond that, lines after one that begins with `Steps:` belong to it: extensions
write their own below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from easel.remark import remark
from easel.studio.checkpoint_defaults import predicts_flow
from easel.studio.engine import Drawn
from easel.studio.infotext_drawing import (
    plain,
    sampling_parameters,
    schedule_type,
    seed_parameters,
)
from easel.studio.infotext_modules import MODULE, module_parameters, modules_said
from easel.studio.infotext_passes import KEYS, STRENGTH, pass_fields, pass_parameters, strength
from easel.studio.version import VERSION as EASEL

NEGATIVE = "Negative prompt:"
MAX_INFOTEXT = 1_000_000
"""Characters that are read of one; those that programs write have some thousands."""
VERSION = f"Easel {EASEL}"

# Keys are short; the bound keeps the search linear on a line somebody made to be slow.
_KEY = re.compile(r"(\w[\w \-/]{1,60}):[ \t]*")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])*"')
# A quoted value ends there; in `"a" b` the quotes are two characters of it.
_ENDS = re.compile(r"[ \t]*(?:,|$)")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
# Fewer pairs than this, and the last line is a part of the prompt that happens to have a colon in it.
_LEAST_PAIRS = 3


@dataclass(frozen=True)
class Infotext:
    """A parsed infotext: the two prompts, and every parameter as text, in the order of the text."""

    prompt: str = ""
    negative_prompt: str = ""
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def checkpoints(self) -> list[str]:
        """Names for the checkpoint, the surest first: name and hash, hash, name."""
        name, digest = self.parameters.get("Model"), self.parameters.get("Model hash")
        both = f"{name} [{digest}]" if name and digest else None
        return [one for one in (both, digest, name) if one]

    def passed_over(self) -> list[str]:
        """Sentences on what the text says and Easel does not draw, so that nobody takes the picture for the
        same one. Options that A1111 has under a name of their own are not among them."""
        notes: list[str] = []
        rest = [key for key in self.parameters if not (_UNDERSTOOD.fullmatch(key) or KEYS.fullmatch(key))]
        for pattern, why in _NOT_DRAWN:
            if found := [key for key in rest if pattern.fullmatch(key)]:
                words = "{keys} of the infotext: {why}."
                notes.append(remark("infotext_keys", words, keys=_some(found), why=why))
                rest = [key for key in rest if key not in found]
        return notes

    @property
    def randn_source(self) -> str | None:
        """Where its noise came from, None where nothing tells.

        A1111 and Forge write nothing where it was the GPU's: then it was an NVIDIA card's, for nearly
        everybody, and those numbers can be had on any machine. Easel writes nothing where it was its own's.
        """
        version = self.parameters.get("Version", "")
        silent = "GPU" if version.startswith("Easel") else "NV" if _A1111.match(version) else None
        return self.parameters.get("RNG", silent)

    def request(self) -> dict[str, Any]:
        """The same as fields of A1111's requests; checkpoint, VAE and clip skip as overrides.

        Only what is there and can be read; a number that is none is left out.
        """
        said = self.parameters
        fields: dict[str, Any] = {"prompt": self.prompt, "negative_prompt": self.negative_prompt}
        for key, name, kind in _REQUEST_FIELDS:
            value = _number(said.get(key), kind) if kind else said.get(key)
            if value is not None:
                fields[name] = value
        for key, width, height in _SIZE_FIELDS:
            if size := _SIZE.fullmatch(said.get(key, "")):
                fields[width], fields[height] = int(size[1]), int(size[2])
        fields |= pass_fields(said)
        overrides: dict[str, Any] = {}
        if self.checkpoints:
            overrides["sd_model_checkpoint"] = self.checkpoints[0]
        if said.get("Face restoration"):
            fields["restore_faces"] = True
            overrides["face_restoration_model"] = said["Face restoration"]
        if said.get("VAE"):
            overrides["sd_vae"] = said["VAE"]
        if modules := modules_said(MODULE, said):
            overrides["forge_additional_modules"] = modules
        clip_skip = _number(said.get("Clip skip"), int)
        if clip_skip is not None:
            overrides["CLIP_stop_at_last_layers"] = clip_skip
        if overrides:
            fields["override_settings"] = overrides
        return fields


_A1111 = re.compile(r"[vf]\d")
_UNDERSTOOD = re.compile(
    r"Steps|Sampler|Schedule type|CFG scale|Seed|Size|Model|Model hash|VAE|VAE hash|Clip skip"
    r"|Variation seed|Variation seed strength|Seed resize from|Lora hashes|TI hashes|Hashes|Version|User"
    r"|Template|Negative Template|Face restoration|Module \d+"
)
# What changes a picture, and why it does not here. Keys are A1111's and its best known extensions'.
_NOT_DRAWN = tuple(
    (re.compile(keys), why)
    for keys, why in (
        (r"Hires .*|First pass size|Old prompt .*", "the second pass has nothing like it here"),
        (r"Image CFG scale", "InstructPix2Pix is not drawn here"),
        (r"ControlNet.*", "its picture is not in the text; a unit that is sent with it is filled in"),
        (
            r"ADetailer.*",
            "a unit that names no detector, or a number that is none, is not followed",
        ),
        (r"Decode .*|Randomness|Sigma Adjustment", "it is the script img2img alternative test's: name that"),
        (r"Hypernet.*|AddNet.*", "there is nothing like it here yet"),
    )
)

_REQUEST_FIELDS: tuple[tuple[str, str, type[int] | type[float] | None], ...] = (
    ("Steps", "steps", int),
    ("Sampler", "sampler_name", None),
    ("Schedule type", "scheduler", None),
    ("CFG scale", "cfg_scale", float),
    ("Distilled CFG Scale", "distilled_cfg_scale", float),
    ("Seed", "seed", int),
    ("Variation seed", "subseed", int),
    ("Variation seed strength", "subseed_strength", float),
)
_SIZE_FIELDS = (
    ("Size", "width", "height"),
    ("Seed resize from", "seed_resize_from_w", "seed_resize_from_h"),
)


def describe(drawn: Drawn, others: Mapping[str, object] = MappingProxyType({})) -> str:
    """The infotext of one picture. `others` are parameters of what was done to it besides."""
    return write(drawn.request.prompt, drawn.request.negative_prompt, parameters(drawn, others))


def parameters(drawn: Drawn, others: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
    """The parameters of one picture under A1111's keys, in A1111's order."""
    request, guidance = drawn.request, drawn.request.distilled_guidance
    flow = predicts_flow(drawn.drawn_with)
    found: dict[str, object | None] = {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "Schedule type": schedule_type(request, flow=flow),
        "CFG scale": plain(request.cfg_scale),
        # as Forge writes it
        "Distilled CFG Scale": None if guidance is None else plain(guidance),
        "Seed": drawn.seed,
        "Face restoration": request.faces.model if request.faces else None,
        "Size": f"{request.width}x{request.height}",
        "Model hash": drawn.drawn_with.hash,
        "Model": drawn.drawn_with.model_name,
        "VAE hash": drawn.vae.hash if drawn.vae else None,
        "VAE": drawn.vae.name if drawn.vae else None,
        # as Forge writes it
        **module_parameters(MODULE, request.modules),
        "Variation seed": drawn.subseed if request.subseed_strength else None,
        "Variation seed strength": plain(request.subseed_strength) if request.subseed_strength else None,
        STRENGTH: strength(request),
        **seed_parameters(request, flow=flow, others=others),
        **sampling_parameters(request, flow=flow, others=others),
        **pass_parameters(request, flow=flow),
        **others,
        "Lora hashes": lora_hashes(drawn),
        "TI hashes": ti_hashes(drawn),
        # as sd-dynamic-prompts writes what the words were drawn from
        "Template": drawn.template[0],
        "Negative Template": drawn.template[1],
        "Version": VERSION,
    }
    return {key: value for key, value in found.items() if value is not None and value != ""}


def lora_hashes(drawn: Drawn) -> str:
    """A1111's `Lora hashes`: "name: AutoV3, …" of those whose hash is known."""
    # one with different limits (`lbw=` and the like) may be named more than once
    return ", ".join(dict.fromkeys(f"{_bare(use.name)}: {use.hash}" for use in drawn.loras if use.hash))


def ti_hashes(drawn: Drawn) -> str:
    """A1111's `TI hashes`: "name: 12 digits of the SHA-256, …"."""
    return ", ".join(f"{_bare(use.name)}: {use.hash}" for use in drawn.embeddings if use.hash)


def write(prompt: str, negative_prompt: str, values: Mapping[str, object]) -> str:
    """Put an infotext together; `values` keep their order."""
    lines = [prompt]
    if negative_prompt:
        lines.append(f"{NEGATIVE} {negative_prompt}")
    # A1111 writes a key that equals its value as the bare key.
    lines.append(
        ", ".join(key if key == value else f"{key}: {quote(value)}" for key, value in values.items())
    )
    return "\n".join(lines)


def parse(text: str) -> Infotext:
    """Read an infotext. Text without parameters is all prompt; nothing is an error."""
    lines = [line.strip() for line in text.strip().split("\n")]
    lines, pairs = _parted(lines)
    prompt, negative = lines, []
    for number, line in enumerate(lines):
        if line.startswith(NEGATIVE):
            prompt, negative = lines[:number], lines[number:]
            # A1111 takes the words off any further line that begins so.
            negative = [line.removeprefix(NEGATIVE).strip() for line in negative]
            break
    return Infotext("\n".join(prompt).strip(), "\n".join(negative).strip(), pairs)


def _parted(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """The prompts' lines, and the pairs of the lines below them."""
    pairs = dict(_pairs(lines[-1]))
    if len(pairs) >= _LEAST_PAIRS:
        return lines[:-1], pairs
    for number in range(len(lines) - 2, 0, -1):
        # What is below is read once: a text of such lines, each with all below it, would take its square.
        if lines[number].startswith("Steps: ") and len(dict(_pairs(lines[number]))) >= _LEAST_PAIRS:
            return lines[:number], dict(_pairs(", ".join(lines[number:])))
    return lines, {}


def quote(value: object) -> str:
    """A value as it stands in the parameter line."""
    text = str(value)
    if re.search(r'[,:\n\r]|^[\s"]|\s$', text):
        return json.dumps(text, ensure_ascii=False)
    return text


def unquote(text: str) -> str:
    """What `quote` was given, as text."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    position, closed = 0, True
    while match := _KEY.search(line, position):
        start = match.end()
        quoted = _QUOTED.match(line, start) if closed and line.startswith('"', start) else None
        if quoted and _ENDS.match(line, quoted.end()):
            end = quoted.end()
        else:
            # One quote that never closes is looked for once, not once for each key.
            closed = closed and (quoted is not None or not line.startswith('"', start))
            comma = line.find(",", start)
            end = len(line) if comma < 0 else comma
        yield match[1].strip(), unquote(line[start:end].strip())
        position = end + 1


def _number(text: str | None, kind: type[int] | type[float]) -> int | float | None:
    if text is None or len(text) > 40:
        return None
    try:
        return kind(text)
    except ValueError:
        return None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _bare(name: str) -> str:
    """A name without what separates names and hashes, as A1111 writes it."""
    return name.replace(":", "").replace(",", "")
