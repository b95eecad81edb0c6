"""IP-Adapters (Ye et al., arXiv 2308.06721) and CLIP's image encoders as modules, filled from their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import torch
from diffusers.models.embeddings import (
    ImageProjection,
    IPAdapterFaceIDImageProjection,
    IPAdapterFaceIDPlusImageProjection,
    IPAdapterFullImageProjection,
    IPAdapterPlusImageProjection,
)
from torch import nn
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from easel.models import ModelFile, Piece, read_header
from easel.studio.engine.checkpoints.checkpoint import Checkpoint
from easel.studio.engine.checkpoints.checkpoint_parts import CheckpointPart
from easel.studio.engine.control_models.image_prompt_layout import (
    ATTENTION,
    PROJECTION,
    VISION,
    ImagePromptLayout,
    VisionLayout,
)
from easel.studio.engine.errors import OtherArchitecture
from easel.studio.engine.loading.checkpoint_loading import load_single

Tensors = Mapping[str, torch.Tensor]
Shapes = Mapping[str, tuple[int, ...]]
_OF_WIDTH = {768: "SD 1.x", 1024: "SD 2.x", 2048: "SDXL"}
_HEAD = 64
_CROSS = ".attn2"
_HEADS = (".to_k_ip.weight", ".to_v_ip.weight")
# The file's names and the module's: what it reads the encoder by.
_RESAMPLER = (
    (r"^(layers\.\d+)\.0\.norm1\.", r"\1.ln0."), (r"^(layers\.\d+)\.0\.norm2\.", r"\1.ln1."),
    (r"^(layers\.\d+)\.0\.to_out\.", r"\1.attn.to_out.0."), (r"^(layers\.\d+)\.0\.", r"\1.attn."),
    (r"^(layers\.\d+)\.1\.0\.", r"\1.ff.0."), (r"^(layers\.\d+)\.1\.1\.", r"\1.ff.1.net.0.proj."),
    (r"^(layers\.\d+)\.1\.3\.", r"\1.ff.1.net.2."),
)  # fmt: skip
_PROJECTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "plain": ((r"^proj\.", "image_embeds."),),
    "full": ((r"^proj\.0\.", "ff.net.0.proj."), (r"^proj\.2\.", "ff.net.2."), (r"^proj\.3\.", "norm.")),
    "face": ((r"^proj\.0\.", "ff.net.0.proj."), (r"^proj\.2\.", "ff.net.2.")),
    "plus": _RESAMPLER,
    "instant": _RESAMPLER,
    "face_plus": (
        (r"^perceiver_resampler\.", ""), (r"^proj\.0\.", "proj.net.0.proj."),
        (r"^proj\.2\.", "proj.net.2."), *_RESAMPLER,
    ),
}  # fmt: skip


class ImagePromptModel(nn.Module):
    """An IP-Adapter: `projection` makes tokens of what an image encoder saw; `keys` and `values` read them,
    one for each cross-attention of the UNet in diffusers' order."""

    def __init__(self, projection: nn.Module, widths: list[int], reads: int) -> None:
        super().__init__()
        self.projection: Any = projection
        self.keys = nn.ModuleList(nn.Linear(reads, width, bias=False) for width in widths)
        self.values = nn.ModuleList(nn.Linear(reads, width, bias=False) for width in widths)

    def of_faces(self, faces: torch.Tensor, patches: torch.Tensor | None) -> torch.Tensor:
        """Tokens of faces, (pictures, 512), and where it looks at them too, of what an image encoder saw,
        (pictures, patches, width)."""
        if patches is None:
            alone: torch.Tensor = self.projection(faces[:, None])
            return alone
        # diffusers' module takes them so
        self.projection.clip_embeds = patches[None]
        found: torch.Tensor = self.projection(faces)
        self.projection.clip_embeds = None
        return found


def cross_attentions(unet: Any) -> Iterator[tuple[str, Any]]:
    """Names and modules of the UNet's attentions to texts, in the order that files number them by."""
    for name in unet.attn_processors:
        place = name.removesuffix(".processor")
        if place.endswith(_CROSS):
            yield place, unet.get_submodule(place)


def load_image_prompt(file: ModelFile, checkpoint: Checkpoint, device: torch.device) -> Any:
    """The file's `ImagePromptModel` for this checkpoint, on `device`.

    Raises OtherArchitecture for one of another family, and what `load_control` raises.
    """
    return load_single(file, lambda: _adapter_part(file, checkpoint), device=device, dtype=checkpoint.dtype)


def load_image_encoder(file: ModelFile, checkpoint: Checkpoint, device: torch.device) -> Any:
    """The file's CLIPVisionModelWithProjection, on `device`. Raises as `load_control` does."""
    return load_single(file, lambda: _encoder_part(file), device=device, dtype=checkpoint.dtype)


def _adapter_part(file: ModelFile, checkpoint: Checkpoint) -> CheckpointPart:
    header, layout = read_header(file.path), ImagePromptLayout.of(file)
    shapes = {name: one.shape for name, one in header.tensors.items()}
    widths = [attention.to_k.out_features for _, attention in cross_attentions(checkpoint.backbone)]
    _belongs(file, layout, shapes, widths, checkpoint)
    with torch.device("meta"):
        module = ImagePromptModel(_projection(layout, shapes), widths, layout.width)
    # the rest of the attention is a LoRA, which a prompt names (networks/adapter_loras.py)
    names = [name for name in shapes if name.startswith(PROJECTION) or name.endswith(_HEADS)]
    return CheckpointPart(
        "IP-Adapter", module, file.name, ((Piece(file.path, header), names),), _converter(layout)
    )


def _belongs(
    file: ModelFile, layout: ImagePromptLayout, shapes: Shapes, widths: list[int], checkpoint: Checkpoint
) -> None:
    own = checkpoint.backbone.config["cross_attention_dim"]
    last = shapes.get(f"{ATTENTION}{2 * len(widths) - 1}.to_k_ip.weight")
    if layout.width == own and last == (widths[-1], own):
        return
    made_for = _OF_WIDTH.get(layout.width, "another family")
    raise OtherArchitecture(
        file.name,
        f"this IP-Adapter was made for {made_for}, and {checkpoint.file.name} is "
        f"{_OF_WIDTH.get(own, checkpoint.family.name)}; take one made for it, or another checkpoint",
    )


def _projection(layout: ImagePromptLayout, shapes: Shapes) -> nn.Module:
    width, tokens = layout.width, layout.tokens
    first = shapes.get(PROJECTION + "proj.0.weight", (0, 1))
    if layout.kind == "plain":
        made: nn.Module = ImageProjection(layout.reads, width, tokens)
    elif layout.kind == "full":
        made = IPAdapterFullImageProjection(layout.reads, width)
    elif layout.kind == "face":
        made = IPAdapterFaceIDImageProjection(
            layout.face, width, mult=first[0] // first[1], num_tokens=tokens
        )
    elif layout.kind == "face_plus":
        start = PROJECTION + "perceiver_resampler.layers."
        both: Any = IPAdapterFaceIDPlusImageProjection(
            embed_dims=width, output_dims=width, hidden_dims=layout.reads, id_embeddings_dim=layout.face,
            num_tokens=tokens, ffproj_ratio=first[0] // first[1], **_layers(shapes, start, width),
        )  # fmt: skip
        both.shortcut = layout.shortcut
        made = both
    else:
        inner = shapes[PROJECTION + "latents"][2]
        made = IPAdapterPlusImageProjection(
            embed_dims=layout.reads or layout.face, output_dims=width, hidden_dims=inner, dim_head=_HEAD,
            num_queries=tokens, **_layers(shapes, PROJECTION + "layers.", inner),
        )  # fmt: skip
    return made


def _layers(shapes: Shapes, start: str, inner: int) -> dict[str, Any]:
    """How many layers a resampler has, how many heads, and how wide it is in between."""
    inside = [name for name in shapes if name.startswith(start)]
    return {
        "depth": len({name.removeprefix(start).split(".")[0] for name in inside}),
        "heads": shapes.get(start + "0.0.to_q.weight", (_HEAD, 0))[0] // _HEAD,
        "ffn_ratio": shapes.get(start + "0.1.1.weight", (4 * inner, 0))[0] / inner,
    }


def _converter(layout: ImagePromptLayout) -> Callable[[Tensors, Any], dict[str, torch.Tensor]]:
    patterns = [(re.compile(old), new) for old, new in _PROJECTIONS[layout.kind]]

    def convert(tensors: Tensors, module: Any) -> dict[str, torch.Tensor]:
        """Under the module's names."""
        found: dict[str, torch.Tensor] = {}
        for name, tensor in tensors.items():
            if name.startswith(ATTENTION):
                number, way, _ = name.removeprefix(ATTENTION).split(".", 2)
                found[f"{'keys' if way == 'to_k_ip' else 'values'}.{int(number) // 2}.weight"] = tensor
                continue
            plain = name.removeprefix(PROJECTION)
            for old, new in patterns:
                plain = old.sub(new, plain, count=1)
            if ".to_kv." in plain:
                key, value = tensor.chunk(2)
                found["projection." + plain.replace(".to_kv.", ".to_k.")] = key
                found["projection." + plain.replace(".to_kv.", ".to_v.")] = value
            else:
                found["projection." + plain] = tensor
        return found

    return convert


def _encoder_part(file: ModelFile) -> CheckpointPart:
    header = read_header(file.path)
    config = CLIPVisionConfig(**asdict(VisionLayout.of(file)))
    with torch.device("meta"):
        module = CLIPVisionModelWithProjection(config)
    names = [
        name
        for name in header.tensors
        if name.startswith((VISION, "visual_projection.")) and not name.endswith("position_ids")
    ]
    return CheckpointPart(
        "image encoder",
        module,
        file.name,
        ((Piece(file.path, header), names),),
        lambda tensors, _: dict(tensors),
    )
