"""VAE files beside a checkpoint: loaded when asked for, the last kept, refused where they do not belong."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import structlog
import torch

from easel.models import (
    PART_FACTS,
    FileError,
    Incomplete,
    ModelFile,
    families_of_role,
    needs_of,
    part_in,
    read_header,
    read_model_header,
)
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.latents.latent_spaces import latent_space
from easel.studio.engine.latents.tiles import at_once
from easel.studio.engine.loading.checkpoint_loading import load_vae

log = structlog.get_logger(__name__)

# A VAE is 170 MB in half precision; two people with different ones must not make each other wait.
KEPT = 2
# VAEs of one architecture share their encoder, or nearly (fine-tuned ones are trained on the decoder's side);
# latents of SD 1.x and SDXL have nothing to do with one another.
ALIKE = 0.5
_PROBE = 64


class Vaes:
    """The VAE files in use with one checkpoint. Used from the engine's thread only."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._loaded: OrderedDict[ModelFile, Any] = OrderedDict()

    def get(self, file: ModelFile | None) -> Any:
        """The VAE to decode with: the checkpoint's own, or a file's. Raises a FileError."""
        if file is None:
            if self._checkpoint.vae is None:
                raise self._none()
            return self._checkpoint.vae
        if file not in self._loaded:
            while len(self._loaded) >= KEPT:
                self._loaded.popitem(last=False)
            self._loaded[file] = self._load(file)
        self._loaded.move_to_end(file)
        return self._loaded[file]

    def _none(self) -> Incomplete:
        file = self._checkpoint.file
        return Incomplete(
            file.name,
            f"it cannot draw with a VAE of its own: {self._checkpoint.vae_problem}. Choose one of models/VAE "
            f"(sd_vae), or put the one that it wants there as {file.stem}.vae.safetensors",
        )

    def _load(self, file: ModelFile) -> Any:
        checkpoint = self._checkpoint
        _see_that_it_is_of_the_flow(file, checkpoint)
        channels = _latent_channels(file)
        wanted = checkpoint.family.latent_channels
        if checkpoint.family.flow is None and channels not in (None, wanted):
            raise OtherArchitecture(
                file.name,
                f"this VAE is for latents of {channels} channels (FLUX, SD 3 and the like), and those of "
                f"{checkpoint.file.name} have {wanted}; take its own (None), or one made for it",
            )
        with torch.inference_mode(False):  # parameters that are made in it cannot be set
            place = checkpoint.device if checkpoint.offload is None else torch.device("cpu")
            vae = load_vae(file, checkpoint.family, device=place, dtype=checkpoint.dtype)
        if checkpoint.offload is not None:
            checkpoint.offload.add(vae)
        likeness = alike(checkpoint.vae, vae, checkpoint.device) if checkpoint.vae is not None else None
        log.info("VAE loaded", file=file.name, likeness=likeness)
        if likeness is not None and likeness < ALIKE:
            raise OtherArchitecture(
                file.name,
                f"this VAE was made for another kind of model than {checkpoint.file.name}: what it makes of "
                "a picture is not what the checkpoint draws; take its own (None), or one made for it",
            )
        return vae


@torch.inference_mode()
def alike(one: Any, other: Any, device: torch.device) -> float | None:
    """How much two VAEs' latents of a picture agree, from -1 to 1; None where that cannot be told. `device`
    is the one that they draw on.

    SD 1.x and SDXL have VAEs of the same names and shapes; only what they make of a picture tells them apart.
    """
    picture = _picture().to(device)
    latents = []
    for vae in (one, other):
        found = at_once(latent_space(vae).encoding(vae, picture))
        found = found - found.mean(dim=(2, 3), keepdim=True)
        if not bool(torch.isfinite(found).all()) or float(found.norm()) < 1e-4:
            return None
        latents.append(found.flatten())
    return float(torch.cosine_similarity(latents[0], latents[1], dim=0))


def _picture() -> torch.Tensor:
    """A picture with edges, slopes and colours, (1, 3, side, side) from -1 to 1."""
    line = torch.linspace(-1, 1, _PROBE)
    down, across = line[:, None].expand(_PROBE, _PROBE), line[None, :].expand(_PROBE, _PROBE)
    disc = ((down + 0.3) ** 2 + (across - 0.2) ** 2 < 0.2).float() * 2 - 1
    bars = torch.sign(torch.sin(across * 12))
    return torch.stack(
        [0.6 * down + 0.4 * disc, 0.7 * across - 0.3 * disc, 0.5 * bars * (down > 0) - 0.2]
    ).clamp(-1, 1)[None]


def _see_that_it_is_of_the_flow(file: ModelFile, checkpoint: Checkpoint) -> None:
    """Raise OtherArchitecture for a VAE of another family than the transformer's, by its tensors."""
    if checkpoint.family.flow is None:
        return
    architecture = checkpoint.family.architecture
    try:
        role, _ = part_in(read_model_header(file.path).tensors)
    except FileError:
        return  # said by `load_vae`
    if architecture.family not in families_of_role(role):
        wanted = PART_FACTS[needs_of(architecture).vae].words
        what = PART_FACTS[role].words if role else "no VAE of this family"
        raise OtherArchitecture(
            file.name,
            f"it is {what}, and {checkpoint.file.name} draws with {wanted}; choose that, or Automatic",
        )


def _latent_channels(file: ModelFile) -> int | None:
    try:
        tensors = read_header(file.path).tensors
    except FileError:
        return None  # said by `load_vae`, with everything else that is wrong
    for name, info in tensors.items():
        if name.endswith("decoder.conv_in.weight") and len(info.shape) == 4:
            return info.shape[1]
    return None
