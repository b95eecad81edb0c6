"""The families of models that the studio draws with: one folder of configuration each, no weights.

A folder holds what the family's published repository holds beside its weights (`model_index.json`,
`scheduler/`, `unet/`, `vae/`, `text_encoder/`), so that no hub has to be asked for them, and `preview.json`,
which turns latents into small pictures without the VAE. README.md says where each came from. The one
tokenizer that all share is in `tokenizer/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from easel.models import FLOW_LABELS, Architecture, needs_of
from easel.studio.families.latents import latent_shape

HERE = Path(__file__).parent
TOKENIZER_FOLDER = HERE / "tokenizer"
_PATCH = 4  # latent pixels that become one token
FAMILY_LABELS: Mapping[str, str] = {
    "starter": "Starter",
    "sd1": "SD 1.5",
    "sd2": "SD 2",
    "sdxl": "SDXL",
    "sdxl-refiner": "SDXL refiner",
    **FLOW_LABELS,
}
"""How people call the families, whatever of a family was trained differently."""


@dataclass(frozen=True)
class Preview:
    """A linear guess of what a latent shows: colour = latent · factors + bias.

    One row of factors for each latent channel. The latent as the UNet sees it (after
    `vae.config.scaling_factor`), the colours red, green, blue in -1..1, one pixel for each latent pixel.
    """

    factors: tuple[tuple[float, float, float], ...]
    bias: tuple[float, float, float]


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder: its folder, whether it ends in a projection, and whether OpenCLIP trained it.

    `role` is what a transformer's family calls it (`easel.models.needs_of`); "" for a UNet's.
    """

    folder: str
    projected: bool
    open_clip: bool
    role: str = ""

    @property
    def pad_token(self) -> str:
        """What texts are padded with in training: OpenCLIP's with token 0, OpenAI's with the end token."""
        return "!" if self.open_clip else "<|endoftext|>"


@dataclass(frozen=True)
class Flow:
    """What is fixed for a family that predicts a flow, beside its configuration: its `drawing.json`.

    `native` is the side in pixels that it was trained on, `multiple` what sides are multiples of. Its
    publisher draws with `sampler`, `steps`, `cfg_scale`, and tells a distilled model
    `distilled_guidance` (None: it takes none). `tokens` are those of the longest text. `edits`: it looks at
    pictures that it is given beside the one that it draws; with `needs_picture` it draws nothing without.
    `rescales`: what guidance makes is brought to the length of the prompt's own answer.
    """

    native: int
    multiple: int
    sampler: str
    steps: int
    cfg_scale: float
    distilled_guidance: float | None
    tokens: int
    edits: bool = False
    needs_picture: bool = False
    rescales: bool = False


@dataclass(frozen=True)
class Family:
    """What the engine has to know of a family beyond the weights.

    `native` is the side in pixels that the family was trained on. `prediction_type` is "epsilon" or
    "v_prediction", `scheduler_config` the published scheduler configuration. `pooled`: the UNet also takes
    the last text encoder's pooled embedding and numbers on size and crop (`time_ids`): original size, crop,
    and target size, or with `aesthetic_score` that score instead of the target size. `penultimate`: the
    family attends to the text encoder's layer before last, without the final norm. `zero_empty`: an empty
    negative prompt is all zeros rather than an encoded empty text. `inpaint`: the UNet takes mask and masked
    picture as five more channels. `flow` is of families whose network is a transformer that predicts a flow
    (`prediction_type` is "flow" then); None for those with a UNet. Where such a one inpaints it takes
    `extra_channels` beside the latents.
    """

    architecture: Architecture
    folder: Path
    latent_channels: int
    downscale: int
    native: int
    prediction_type: str
    scheduler_config: Mapping[str, Any]
    text_encoders: tuple[TextEncoder, ...]
    pooled: bool
    aesthetic_score: bool
    penultimate: bool
    zero_empty: bool
    inpaint: bool
    preview: Preview
    flow: Flow | None = None
    extra_channels: int = 0

    @property
    def name(self) -> str:
        """The family's name, which is its folder's in the package."""
        return self.architecture.value

    @property
    def multiple(self) -> int:
        """What width and height are multiples of, in pixels."""
        return self.flow.multiple if self.flow else self.downscale


@cache
def family(architecture: Architecture) -> Family:
    """The family of this architecture, read from its folder in the package once."""
    return read_family(HERE / architecture.value, architecture)


def as_trained(family: Family, prediction: str, zero_snr: bool | None) -> Family:
    """The family with what a file says of its own training; "" and None leave the family's own.

    With zero-terminal SNR the schedule begins at the very last step, as diffusers' guide asks for
    (`using-diffusers/scheduler_features`): before it there is something of the picture.
    """
    config = dict(family.scheduler_config)
    if not prediction and zero_snr is None:
        return family
    if prediction:
        config["prediction_type"] = prediction
    if zero_snr is not None and zero_snr != bool(config.get("rescale_betas_zero_snr")):
        config["rescale_betas_zero_snr"] = zero_snr
        config["timestep_spacing"] = "trailing" if zero_snr else "leading"
    return replace(family, prediction_type=prediction or family.prediction_type, scheduler_config=config)


def text_widths(family: Family) -> tuple[int, ...]:
    """How wide the vectors of each text encoder are."""
    configs = [_json(family.folder / one.folder / "config.json") for one in family.text_encoders]
    return tuple(int(config["hidden_size"]) for config in configs)


def read_family(folder: Path, architecture: Architecture) -> Family:
    """A family from a folder of configuration; tests give their own, shrunk folders."""
    if (folder / "transformer").is_dir():
        return _read_flow(folder, architecture)
    index = _json(folder / "model_index.json")
    unet, vae = _json(folder / "unet/config.json"), _json(folder / "vae/config.json")
    scheduler = _json(folder / "scheduler/scheduler_config.json")
    preview = _json(folder / "preview.json")
    pooled = unet.get("addition_embed_type") == "text_time"
    latent_channels, downscale = latent_shape(vae)
    return Family(
        architecture=architecture,
        folder=folder,
        latent_channels=latent_channels,
        downscale=downscale,
        native=unet["sample_size"] * downscale,
        prediction_type=scheduler.get("prediction_type", "epsilon"),
        scheduler_config=scheduler,
        text_encoders=tuple(_text_encoders(folder, index)),
        pooled=pooled,
        aesthetic_score=bool(index.get("requires_aesthetics_score", False)),
        # Of the published families, those with a pooled embedding were trained on the layer before last.
        penultimate=pooled,
        zero_empty=bool(index.get("force_zeros_for_empty_prompt", False)),
        inpaint=unet["in_channels"] > latent_channels,
        preview=Preview(tuple(tuple(row) for row in preview["factors"]), tuple(preview["bias"])),
    )


def _read_flow(folder: Path, architecture: Architecture) -> Family:
    vae, transformer = _json(folder / "vae/config.json"), _json(folder / "transformer/config.json")
    flow, preview = Flow(**_json(folder / "drawing.json")), _json(folder / "preview.json")
    latent_channels, downscale = latent_shape(vae)
    # more than the latents in their patches: masked picture and mask
    beside = max(0, transformer["in_channels"] // _PATCH - latent_channels)
    needs = needs_of(architecture)
    folders = ("text_encoder", "text_encoder_2", "text_encoder_3")
    return Family(
        architecture=architecture,
        folder=folder,
        latent_channels=latent_channels,
        downscale=downscale,
        native=flow.native,
        prediction_type="flow",
        scheduler_config=_json(folder / "scheduler/scheduler_config.json"),
        text_encoders=tuple(
            TextEncoder(name, need.role == "clip-g", need.role == "clip-g", need.role)
            for name, need in zip(folders, needs.text_encoders, strict=False)
        ),
        pooled=False,
        aesthetic_score=False,
        penultimate=False,
        zero_empty=False,
        inpaint=beside > 0,
        extra_channels=beside,
        preview=Preview(tuple(tuple(row) for row in preview["factors"]), tuple(preview["bias"])),
        flow=flow,
    )


def _text_encoders(folder: Path, index: Mapping[str, Any]) -> list[TextEncoder]:
    found = []
    for name in ("text_encoder", "text_encoder_2"):
        cls = (index.get(name) or [None, None])[1]
        if cls is None:
            continue
        config = _json(folder / name / "config.json")
        # OpenAI's encoders have the quick kind of GELU; no field of the configuration names the origin.
        found.append(TextEncoder(name, cls == "CLIPTextModelWithProjection", config["hidden_act"] == "gelu"))
    return found


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
