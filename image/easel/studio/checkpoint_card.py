"""A checkpoint as somebody who chooses one sees it: what it is, and what it is good for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from easel.models import Architecture, ModelFile
from easel.remark import remark
from easel.studio.checkpoint_defaults import architecture, checkpoint_defaults
from easel.studio.coded_text import CodedText
from easel.studio.example_prompts import examples
from easel.studio.families import FAMILY_LABELS

# Width and height as shares of the family's own side, which keep about its pixels.
_SHAPES: tuple[tuple[Literal["square", "portrait", "landscape", "wide", "tall"], float, float], ...] = (
    ("square", 1, 1), ("portrait", 0.8125, 1.1875), ("landscape", 1.1875, 0.8125), ("wide", 1.3125, 0.75),
    ("tall", 0.75, 1.3125),
)  # fmt: skip
_GRID = 64


class SizeShape(BaseModel):
    """A size in pixels that suits the family."""

    name: Literal["square", "portrait", "landscape", "wide", "tall"]
    width: int
    height: int


class DefaultFields(BaseModel):
    """What a request is drawn with where it does not say."""

    steps: int
    cfg_scale: float
    distilled_cfg_scale: float | None = Field(None, description="null where the checkpoint takes none")
    denoising_strength: float
    sampler: str
    scheduler: str = "Automatic"


_UNREADABLE = remark(
    "checkpoint_unreadable", "It cannot be read as a checkpoint: it is broken, or of a family unknown here."
)


class CheckpointCard(BaseModel):
    """A checkpoint."""

    name: str
    title: str
    family: str | None = Field(None, description="sd1, sdxl, flux and so on; null where nobody knows")
    label: str = ""
    sides: dict[str, int]
    shapes: list[SizeShape]
    inpainting: bool = Field(False, description="made to draw what a mask shows")
    refiner: bool = Field(False, description="made to draw the end of another one's pictures")
    preview: str | None = Field(None, description="an address relative to the page")
    examples: list[str] = Field(description="prompts to try; none where anything may be asked for")
    defaults: DefaultFields
    takes_clip_skip: bool
    problem: str | None = None
    remark: CodedText | None = Field(None, description="`problem` by its code")


def checkpoint_card(file: ModelFile, has_preview: Callable[[ModelFile], bool]) -> CheckpointCard:
    """What there is to say of a checkpoint. Reads its header, once."""
    kind, defaults = architecture(file), checkpoint_defaults(file)
    family = kind.family.removesuffix("-refiner") if kind else None
    side = defaults.side
    return CheckpointCard(
        name=file.name,
        title=file.title,
        family=family,
        label=FAMILY_LABELS.get(family or "", ""),
        sides={"side": side},
        shapes=[
            SizeShape(name=name, width=_on_grid(side * wide), height=_on_grid(side * high))
            for name, wide, high in _SHAPES
        ],
        inpainting=bool(kind and kind.value.endswith("-inpaint")),
        refiner=kind is Architecture.SDXL_REFINER,
        preview=f"studio/models/files/preview?type=checkpoint&name={quote(file.name)}"
        if has_preview(file)
        else None,
        examples=list(examples(file)),
        defaults=DefaultFields(
            steps=defaults.steps,
            cfg_scale=defaults.cfg_scale,
            sampler=defaults.sampler,
            distilled_cfg_scale=defaults.distilled_guidance,
            denoising_strength=defaults.denoising_strength,
        ),
        takes_clip_skip=family in ("starter", "sd1"),
        problem=None if kind else _UNREADABLE,
        remark=None if kind else CodedText.of(_UNREADABLE),
    )


def _on_grid(side: float) -> int:
    return max(_GRID, round(side / _GRID) * _GRID)
