"""A store with the files that people have of today's families: each part under its publisher's names, in the
folder and under the file name that it usually has. Tiny networks, random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from easel.models import PART_FACTS, Architecture, Store, needs_of, transformer_architecture
from easel.studio import checkpoint_defaults
from easel.studio.engine import Engine
from easel.studio.engine.checkpoints.skeleton import fill
from easel.studio.engine.loading import checkpoint_loading as loading
from easel.studio.families import Family
from tests.studio.engine import tiny
from tests.studio.engine.latents.test_latent_spaces import published as published_vae
from tests.studio.engine.quantised import gguf_files
from tests.studio.engine.text_models.test_mistral3 import tekken
from tests.studio.engine.tiny_flow import tiny_flow
from tests.studio.engine.transformers.published_files import published
from tests.studio.engine.transformers.test_flux2 import single_file as flux2_file
from tests.studio.engine.transformers.test_z_image import single_file as z_image_file

Tensors = dict[str, torch.Tensor]
Pack = Callable[[str, torch.Tensor], Tensors]
CHECKPOINTS = "Stable-diffusion"
CPU = torch.device("cpu")
_INSIDE = {"clip-l": "clip_l", "clip-g": "clip_g", "t5-xxl": "t5xxl"}


@dataclass
class FlowStore:
    """The files below `root`, an EASEL_HOME's models; `families` are the shrunk ones, and `texts`, `vaes` and
    `transformers` the tensors of single files."""

    root: Path
    families: dict[Architecture, Family] = field(default_factory=dict)
    transformers: dict[Architecture, Tensors] = field(default_factory=dict)
    texts: dict[tuple[Architecture, str], Tensors] = field(default_factory=dict)
    vaes: dict[Architecture, Tensors] = field(default_factory=dict)
    folders: dict[Architecture, Path] = field(default_factory=dict)

    def make(self, architecture: Architecture, scratch: Path) -> None:
        """Weights for a family; nothing is in the store by it."""
        made = tiny_flow(architecture, scratch)
        self.families[architecture], self.folders[architecture] = made.family, made.family.folder
        for folder, module in (("transformer", made.bones.backbone), ("vae", made.bones.vae)):
            tensors = load_file(made.family.folder / folder / "diffusion_pytorch_model.safetensors")
            # What publishers keep in whole numbers is no weight.
            fill(module, tensors, CPU)
        self.transformers[architecture] = _transformer(architecture, made.bones.backbone)
        self.vaes[architecture] = published_vae(made.bones.vae)
        for one in made.family.text_encoders:
            tensors = load_file(made.family.folder / one.folder / "model.safetensors")
            self.texts[architecture, one.role] = _text(one.role, tensors)

    def write(self, folder: str, name: str, tensors: Tensors, dtype: torch.dtype | None = None) -> Path:
        """A file; its matrices in `dtype`, where it is given."""
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = {name: in_type(one, dtype).contiguous().clone() for name, one in tensors.items()}
        save_file(stored, path)
        return path

    def write_transformer(self, architecture: Architecture, name: str, prefix: str = "") -> Path:
        """The transformer alone, as its publisher names it."""
        tensors = {prefix + key: one for key, one in self.transformers[architecture].items()}
        return self.write(CHECKPOINTS, name, tensors)

    def write_gguf(self, architecture: Architecture, folder: str, name: str, kind: str) -> Path:
        """The same with its matrices in blocks, as ComfyUI-GGUF's converter leaves the others."""
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tensors = self.transformers[architecture]
        blocks = {
            key: (kind, gguf_files.quantised(kind, one))
            if one.dim() == 2 and one.shape[1] % 32 == 0
            else one.contiguous()
            for key, one in tensors.items()
        }
        gguf_files.write(path, blocks)
        return path

    def write_packed(self, architecture: Architecture, name: str, pack: Pack) -> Path:
        """The same with its matrices packed, what is beside them with them."""
        stored: Tensors = {}
        for key, one in self.transformers[architecture].items():
            is_matrix = key.endswith(".weight") and one.dim() == 2 and one.shape[1] % 16 == 0
            stored |= pack(key.removesuffix(".weight"), one) if is_matrix else {key: one}
        return self.write(CHECKPOINTS, name, stored)

    def write_text(self, architecture: Architecture, role: str, dtype: torch.dtype | None = None) -> Path:
        """A text encoder under its usual name."""
        return self.write("text_encoder", PART_FACTS[role].file, self.texts[architecture, role], dtype)

    def write_vae(self, architecture: Architecture, name: str = "") -> Path:
        """A VAE under its usual name."""
        usual = name or PART_FACTS[needs_of(architecture).vae].file
        return self.write("VAE", usual, self.vaes[architecture])

    def write_parts(self, architecture: Architecture) -> list[Path]:
        """Everything beside the transformer."""
        encoders = self.families[architecture].text_encoders
        return [
            *(self.write_text(architecture, one.role) for one in encoders),
            self.write_vae(architecture),
        ]

    def write_whole(self, architecture: Architecture, name: str, without: tuple[str, ...] = ()) -> Path:
        """All in one file, as Stability publishes SD 3; some encoders may not be in it."""
        whole = {f"model.diffusion_model.{key}": one for key, one in self.transformers[architecture].items()}
        whole |= {f"first_stage_model.{key}": one for key, one in self.vaes[architecture].items()}
        for one in self.families[architecture].text_encoders:
            if one.role not in without:
                start = f"text_encoders.{_INSIDE[one.role]}.transformer."
                tensors = self.texts[architecture, one.role]
                whole |= {start + key: tensor for key, tensor in tensors.items()}
        return self.write(CHECKPOINTS, name, whole)

    def shrunk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on families are the shrunk ones, for all that reads one."""
        monkeypatch.setattr(loading, "family_of", self.families.__getitem__)
        monkeypatch.setattr(checkpoint_defaults, "family", self.families.__getitem__)
        # The one family that is told by its width.
        narrow = {32: next((one for one in self.families if one.family == "flux2"), Architecture.FLUX2)}
        monkeypatch.setattr(transformer_architecture, "FLUX2_WIDTHS", narrow)

    def store(self) -> Store:
        """What a studio sees of it."""
        return Store(self.root, hashing=False)


Made = Callable[..., FlowStore]


def maker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes a store for families, with no file in it yet."""

    def make(*architectures: Architecture) -> FlowStore:
        found = FlowStore(folder / "models")
        (found.root / CHECKPOINTS).mkdir(parents=True)
        for one in architectures:
            found.make(one, folder / "made")
        found.shrunk(monkeypatch)
        return found

    return make


@contextmanager
def engine(files: FlowStore) -> Iterator[Engine]:
    """A studio's engine on it."""
    running = Engine(files.store(), device="cpu", dtype=torch.float32)
    running.start()
    yield running
    running.stop()


def in_type(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A matrix in this type; all else stays."""
    return tensor if dtype is None or tensor.dim() < 2 else tensor.to(dtype)


def write_sd1(root: Path, scratch: Path) -> Family:
    """A tiny SD 1.x beside them."""
    made = tiny.tiny(Architecture.SD1, scratch)
    (root / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    made.write(root / CHECKPOINTS / "dream.safetensors")
    return made.family


def _transformer(architecture: Architecture, network: Any) -> Tensors:
    if architecture.family == "flux2":
        return flux2_file(network)
    if architecture.family == "z-image":
        return z_image_file(network)
    if architecture.family == "qwen-image":  # published under the names that diffusers has
        return dict(network.state_dict())
    return published(architecture.value, network)


def _text(role: str, tensors: Tensors) -> Tensors:
    if role.startswith("clip"):
        start = "" if "text_model.final_layer_norm.weight" in tensors else "text_model."
        return {start + name: one for name, one in tensors.items()}
    if role == "t5-xxl":
        return {name: one for name, one in tensors.items() if name != "encoder.embed_tokens.weight"}
    found = {f"model.{name}": one for name, one in tensors.items()}
    if role == "mistral-small-24b":
        found["tekken_model"] = torch.frombuffer(bytearray(tekken()), dtype=torch.uint8)
    return found
