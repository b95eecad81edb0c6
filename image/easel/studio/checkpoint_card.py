"""A checkpoint as somebody who chooses one sees it: what it is, and what it is good for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args
from urllib.parse import quote

from pydantic import BaseModel, Field

from easel.models import Architecture, ModelFile
from easel.remark import remark
from easel.studio.checkpoint_defaults import architecture, checkpoint_defaults, known_family
from easel.studio.coded_text import CodedText
from easel.studio.engine import MAX_SHOWN, SAMPLERS, encoder_choices, of_flows
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


class EncoderChoice(BaseModel):
    """A text encoder that there are several files of."""

    label: str = Field(description="as people call it: CLIP-L, T5-XXL")
    files: list[str] = Field(description="names for forge_additional_modules")


UnetOnly = Literal["controlnet", "refiner", "tiling", "cache"]
"""What only a UNet takes: with a transformer a request for the first two is refused, the others count for
nothing."""


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
    takes_no: list[UnetOnly] = Field([], description="what a request cannot ask of it")
    samplers: list[str] | None = Field(
        None, description="those that it is drawn with, by any other name the nearest; null for all"
    )
    references: int = Field(0, description="how many pictures it looks at beside a source: reference_images")
    needs_picture: bool = Field(False, description="it draws nothing without a picture")
    text_encoders: list[EncoderChoice] = Field([], description="those that there is a choice of")
    problem: str | None = None
    remark: CodedText | None = Field(None, description="`problem` by its code")


def checkpoint_card(
    file: ModelFile, has_preview: Callable[[ModelFile], bool], text_encoders: Sequence[ModelFile] = ()
) -> CheckpointCard:
    """What there is to say of a checkpoint. Reads its header, once, and those of the store's
    `text_encoders` where it draws with such."""
    kind, defaults = architecture(file), checkpoint_defaults(file)
    family = kind.family.removesuffix("-refiner") if kind else None
    flow = known.flow if (known := known_family(file)) else None
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
        takes_no=list(get_args(UnetOnly)) if flow else [],
        samplers=[one.name for one in SAMPLERS if of_flows(one) is one] if flow else None,
        references=MAX_SHOWN if flow and flow.edits else 0,
        needs_picture=bool(flow and flow.needs_picture),
        text_encoders=[
            EncoderChoice(label=label, files=names)
            for label, names in encoder_choices(kind, text_encoders).items()
        ],
        problem=None if kind else _UNREADABLE,
        remark=None if kind else CodedText.of(_UNREADABLE),
    )


def _on_grid(side: float) -> int:
    return max(_GRID, round(side / _GRID) * _GRID)
