"""A checkpoint as a folder, the way diffusers saves it: `model_index.json`, and a folder for each part.

Which file of a part is read: the half precision one (`….fp16.safetensors`) where half precision is wanted and
it is there, else the full one, else whichever there is; sharded ones by their `….index.json`. Names in these
files come from strangers: one that leads out of the part's folder is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.models import evidence
from easel.models.architecture import CheckpointIdentity, facts_beside, named_beside, trained
from easel.models.errors import (
    FileError,
    Incomplete,
    LyingHeader,
    MissingFile,
    NotSafetensors,
    UnknownArchitecture,
)
from easel.models.family_names import Architecture
from easel.models.header import Header, read_header
from easel.models.sidecar import Sidecar, read_sidecar
from easel.models.training import EPSILON, Fact, facts_of_table, weigh
from easel.models.transformer_architecture import DRAWN, one_of_pair
from easel.models.transformer_config import PIPELINES, architecture_of_config

INDEX = "model_index.json"
_LARGEST_JSON = 50_000_000
_STEMS = ("diffusion_pytorch_model", "model", "pytorch_model")
_DRAWN = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline",
          "StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline",
          "StableDiffusionXLInpaintPipeline")  # fmt: skip
# Width of what the UNet attends to, and of its first layer; how many channels it takes.
_FAMILIES: Mapping[tuple[object, ...], Architecture] = {
    (768, 320, 4): Architecture.SD1,
    (768, 320, 9): Architecture.SD1_INPAINT,
    (1024, 320, 4): Architecture.SD2,
    (1024, 320, 9): Architecture.SD2_INPAINT,
    (2048, 320, 4): Architecture.SDXL,
    (2048, 320, 9): Architecture.SDXL_INPAINT,
    (1280, 384, 4): Architecture.SDXL_REFINER,
}


@dataclass(frozen=True, slots=True)
class Piece:
    """One safetensors file of a part."""

    path: Path
    header: Header


def is_diffusers_folder(path: Path) -> bool:
    """Whether a folder is a checkpoint."""
    return (path / INDEX).is_file()


def folder_state(path: Path) -> tuple[int, float]:
    """Bytes of all weights in the folder, and when the last of its files changed. Raises OSError."""
    files = [one for one in path.glob("*/*") if one.suffix in (".safetensors", ".json")]
    states = [one.stat() for one in (*files, path / INDEX)]
    size = sum(one.stat().st_size for one in files if one.suffix == ".safetensors")
    return size, max(one.st_mtime for one in states)


def identify_folder(path: Path) -> CheckpointIdentity:
    """The family of the checkpoint in the folder `path`, as its configuration says.

    Raises UnknownArchitecture, LyingHeader, MissingFile.
    """
    name = path.name
    said = read_sidecar(path)
    named = named_beside(said, name)
    facts = facts_beside(said)
    if named is not None:
        return trained(named, weigh(facts), name, evidence.BESIDE)
    pipeline = str(_json(path / INDEX, name).get("_class_name", ""))
    if pipeline in PIPELINES:
        return _identify_transformer(path, pipeline, said)
    if pipeline not in _DRAWN:
        what = f"a model for diffusers' {pipeline[:80]}" if pipeline else "no model that says what it is"
        raise UnknownArchitecture(
            name,
            f"this is {what}, which the studio does not draw with; it draws with {DRAWN}",
        )
    unet = _json(path / "unet" / "config.json", name)
    widths = unet.get("block_out_channels")
    shape = (unet.get("cross_attention_dim"), widths[0] if isinstance(widths, list) and widths else None,
             unet.get("in_channels"))  # fmt: skip
    # By type too: a list in a stranger's file is no key.
    known = _FAMILIES.get(shape) if all(isinstance(one, int) for one in shape) else None
    if known is None:
        what = f"its UNet is {shape[1]} channels wide, takes {shape[2]} and attends to {shape[0]}"
        raise UnknownArchitecture(name, f"{what}, as none of the known families (SD 1.x, SD 2.x, SDXL)")
    try:
        schedule = _json(path / "scheduler" / "scheduler_config.json", name)
    except MissingFile:
        return trained(known, weigh(facts), name, evidence.CONFIGURATION)
    facts += facts_of_table(schedule, evidence.SCHEDULER)
    if not any(fact.prediction for fact in facts):
        facts.append(Fact(evidence.SCHEDULER, EPSILON))  # what silence means to diffusers
    return trained(known, weigh(facts), name, evidence.CONFIGURATION)


def _identify_transformer(path: Path, pipeline: str, said: Sidecar) -> CheckpointIdentity:
    config = _json(path / "transformer" / "config.json", path.name)
    first = architecture_of_config(pipeline, config, path.name)
    found, told_by = one_of_pair(first, path.name, said, {})
    return CheckpointIdentity(found, evidence.CONFIGURATION if told_by == evidence.SHAPES else told_by)


def drawing_part(path: Path) -> str:
    """The folder of what draws: "transformer" or "unet"."""
    return "transformer" if (path / "transformer").is_dir() else "unet"


def pieces_of(path: Path, part: str, *, half: bool) -> tuple[Piece, ...]:
    """The files of the part `part` ("unet", "vae", …) of the checkpoint in the folder `path`.

    Raises Incomplete where there are none, NotSafetensors for pickles, and what `read_header` raises.
    """
    folder = path / part
    for stem in _STEMS:
        plain, small = f"{stem}.safetensors", f"{stem}.fp16.safetensors"
        for name in (small, plain) if half else (plain, small):
            variant = name == small
            if (folder / name).is_file():
                return (_piece(path, part, name),)
            # Both spellings of the index of a variant are about: diffusers' own, and the hub's older one.
            lists = [f"{stem}.safetensors.index.fp16.json", f"{small}.index.json"]
            for index in lists if variant else [f"{plain}.index.json"]:
                if (folder / index).is_file():
                    return tuple(_piece(path, part, one) for one in _shards(path, part, index))
    if folder.is_dir() and any(one.suffix in (".bin", ".pt", ".ckpt") for one in folder.iterdir()):
        raise NotSafetensors(
            f"{path.name}/{part}",
            "there are only pickles (.bin), which can run code when they are opened; download the "
            ".safetensors files of the model, or a single-file checkpoint",
        )
    raise Incomplete(path.name, f"it holds no weights in {part}/; download the whole folder again")


def check_pieces(path: Path) -> None:
    """See that each file of weights in the folder `path` is whole, and none missing that an index lists.

    Raises what `pieces_of` raises.
    """
    for file in sorted(path.glob("*/[!.]*.safetensors")):
        _piece(path, file.parent.name, file.name)
    for file in sorted(path.glob("*/[!.]*.safetensors.index*.json")):
        for one in _shards(path, file.parent.name, file.name):
            _piece(path, file.parent.name, one)


def _shards(path: Path, part: str, index: str) -> list[str]:
    table = _json(path / part / index, f"{path.name}/{part}/{index}").get("weight_map")
    if not isinstance(table, dict) or not table:
        raise LyingHeader(f"{path.name}/{part}/{index}", "it lists no files; download it again")
    return sorted({str(one) for one in table.values()})


def _piece(path: Path, part: str, name: str) -> Piece:
    folder = path / part
    file = folder / name
    shown = f"{path.name}/{part}/{name[:100]}"
    if Path(name).name != name or not file.resolve().is_relative_to(path.resolve()):
        raise LyingHeader(
            shown,
            "the file lies outside of its folder (a link, or a name with slashes); copy it in with `cp -L`",
        )
    if not name.endswith(".safetensors"):
        raise NotSafetensors(shown, "only .safetensors files are read; download those of the model")
    try:
        return Piece(file, read_header(file))
    except FileError as error:
        # By the folder's name, as people know it.
        error.args = (f"{shown}: {error.problem}",)
        raise


def _json(path: Path, name: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise LyingHeader(name, f"{path.name} is too large to be a configuration; download it again")
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MissingFile(
            name, f"{path.parent.name}/{path.name} cannot be read ({error.strerror})"
        ) from error
    except (ValueError, RecursionError):
        raise LyingHeader(name, f"{path.name} is damaged; download it again") from None
    if not isinstance(found, dict):
        raise LyingHeader(name, f"{path.name} is not a table; download it again")
    return found
