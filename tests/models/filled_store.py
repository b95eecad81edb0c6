"""A store with text encoders and VAEs in it, which are long and empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from easel.models import Kind, ModelFile, ModelSet, Store, identity_of, model_set
from tests.models.files import Shapes, sparse
from tests.models.layouts import FLUX2_VAE, WAN_VAE, clip, language_model, t5, vae


@dataclass
class FilledStore:
    """A store that is filled by hand. Its files are long and empty."""

    store: Store

    def put(self, kind: Kind, name: str, shapes: Shapes, dtype: str = "BF16") -> ModelFile:
        sparse(self.store.folder(kind) / name, shapes, dtype)
        self.store.refresh()
        return self.store.find(kind, name)

    def checkpoint(self, name: str, shapes: Shapes) -> ModelFile:
        return self.put(Kind.CHECKPOINT, name, shapes)

    def text(self, name: str, shapes: Shapes, dtype: str = "BF16") -> ModelFile:
        return self.put(Kind.TEXT_ENCODER, name, shapes, dtype)

    def vae(self, name: str, shapes: Shapes, dtype: str = "BF16") -> ModelFile:
        return self.put(Kind.VAE, name, shapes, dtype)

    def others(self) -> list[ModelFile]:
        return [*self.store.files(Kind.TEXT_ENCODER), *self.store.vaes()]

    def set_of(self, checkpoint: ModelFile, **said: Any) -> ModelSet:
        identity = identity_of(checkpoint.path, checkpoint.name)
        return model_set(checkpoint, identity, said.pop("others", self.others()), **said)


TEXTS: dict[str, tuple[str, Shapes]] = {
    "clip-l": ("clip_l.safetensors", clip(768)),
    "clip-g": ("clip_g.safetensors", clip(1280)),
    "t5-xxl": ("t5xxl_fp16.safetensors", t5()),
    "qwen3-4b": ("qwen_3_4b.safetensors", language_model(2560, norms=True)),
    "qwen3-8b": ("qwen_3_8b.safetensors", language_model(4096, norms=True)),
    "qwen2.5-vl-7b": ("qwen_2.5_vl_7b.safetensors", language_model(3584, bias=True)),
    "mistral-small-24b": ("mistral_3_small.safetensors", language_model(5120)),
}
VAES: dict[str, tuple[str, Shapes]] = {
    "vae-flux": ("ae.safetensors", vae(16)),
    "vae-sd3": ("sd3_vae.safetensors", vae(16)),
    "vae-flux2": ("flux2-vae.safetensors", FLUX2_VAE),
    "vae-qwen": ("qwen_image_vae.safetensors", WAN_VAE),
}


def everything(shelf: FilledStore) -> None:
    for name, shapes in TEXTS.values():
        shelf.text(name, shapes)
    for name, shapes in VAES.values():
        shelf.vae(name, shapes)
