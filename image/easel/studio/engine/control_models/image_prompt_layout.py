"""Files of IP-Adapters and of CLIP's image encoders: what their headers say, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from easel.models import FileError, Header, Kind, ModelFile, Store, UnknownArchitecture, read_header
from easel.studio.engine.errors import InvalidRequest

PROJECTION, ATTENTION = "image_proj.", "ip_adapter."
_RESAMPLER = PROJECTION + "perceiver_resampler."
VISION = "vision_model."
KEY_POINTS = "instant_id_face_keypoints"
"""The preprocessor that draws them."""
_PATCHES = VISION + "embeddings.patch_embedding.weight"
_POSITIONS = VISION + "embeddings.position_embedding.weight"
_INNER = VISION + "encoder.layers.0.mlp.fc1.weight"
_OUTER = "visual_projection.weight"
# OpenAI's encoders (ViT-B and ViT-L) were trained with another activation than LAION's (ViT-H, ViT-bigG).
_OPENAI_WIDTHS = (768, 1024)
_NAMES = {1024: "CLIP-ViT-H", 1280: "CLIP-ViT-H or CLIP-ViT-bigG", 1664: "CLIP-ViT-bigG"}
# How many numbers InsightFace makes of a face; how wide SDXL's texts are.
_FACE, _SDXL = 512, 2048
Shapes = Mapping[str, tuple[int, ...]]


def is_image_prompt(file: ModelFile) -> bool:
    """Whether it is an IP-Adapter, or its like. A file that cannot be read is none: loading it tells why."""
    try:
        return any(name.startswith((PROJECTION, ATTENTION)) for name in read_header(file.path).tensors)
    except FileError:
        return False


def is_identity_adapter(file: ModelFile) -> bool:
    """Whether it is InstantID's IP-Adapter, which tells its ControlNet of a face."""
    try:
        return is_image_prompt(file) and ImagePromptLayout.of(file).kind == "instant"
    except FileError:
        return False


def reads_identity(stem: str, module: str) -> bool:
    """Whether a ControlNet is InstantID's: it has the shapes of any other of SDXL, so that its name tells, as
    in A1111's extension, or that it is shown the points of a face."""
    name = stem.lower().replace("_", "").replace("-", "")
    return "instantid" in name or module.strip().lower() == KEY_POINTS


@dataclass(frozen=True)
class ImagePromptLayout:
    """An IP-Adapter, which makes `tokens` vectors of `width` of what it reads: by `kind` "plain" (one vector
    of the picture), "plus" or "full" (one of each patch), "face" (FaceID: the numbers of a face), "face_plus"
    (both) or "instant" (InstantID's).

    `reads` is how wide the image encoder's vectors are, `face` how many numbers a face has; 0 for what it
    does not look at. With `shortcut` what it sees of the patches is added to what it knows of the face; a
    face's numbers are `normalised` to a length of 1. With `lora` the file has one beside."""

    kind: str
    reads: int
    tokens: int
    width: int
    face: int = 0
    shortcut: bool = False
    normalised: bool = True
    lora: bool = False

    @staticmethod
    def of(file: ModelFile) -> ImagePromptLayout:
        """Of a file. Raises UnknownArchitecture for kinds that are not drawn with here, and what
        `read_header` raises."""
        header = read_header(file.path)
        shapes = {name: one.shape for name, one in header.tensors.items()}
        width = shapes.get(ATTENTION + "1.to_k_ip.weight", (0, 0))[-1]
        found = _by_face(file, shapes, width) or _by_picture(shapes, width)
        if found is not None:
            return found
        raise UnknownArchitecture(file.name, "this IP-Adapter is of a kind that is not drawn with here")

    @property
    def by_patch(self) -> bool:
        """Whether it reads the encoder's last layer but one, patch by patch."""
        return self.kind in ("plus", "full", "face_plus")


@dataclass(frozen=True)
class VisionLayout:
    """An image encoder (CLIP's vision model), in the words of transformers' configuration."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    patch_size: int
    image_size: int
    projection_dim: int
    hidden_act: str

    @staticmethod
    def of(file: ModelFile) -> VisionLayout:
        """Of a file. Raises UnknownArchitecture for what is none, and what `read_header` raises."""
        header = read_header(file.path)
        try:
            return _vision(header)
        except (KeyError, IndexError, ValueError) as error:
            raise UnknownArchitecture(
                file.name,
                "this is no image encoder in transformers' layout (vision_model.…, visual_projection.weight)",
            ) from error

    def serves(self, adapter: ImagePromptLayout) -> bool:
        """Whether this is as wide as the adapter reads."""
        return (self.hidden_size if adapter.by_patch else self.projection_dim) == adapter.reads


def find_image_encoder(
    store: Store, file: ModelFile, adapter: ImagePromptLayout
) -> tuple[ModelFile, VisionLayout]:
    """The first of the store's image encoders that this adapter was trained with, by its width.

    Raises InvalidRequest that says which file to add.
    """
    for one in store.files(Kind.IMAGE_ENCODER):
        try:
            layout = VisionLayout.of(one)
        except FileError:
            continue  # a preprocessor of another kind, which the folder may have from Forge
        if layout.serves(adapter):
            return one, layout
    name = _NAMES.get(adapter.reads, f"one that is {adapter.reads} numbers wide")
    raise InvalidRequest(
        "controlnet.model",
        file.name,
        f"an IP-Adapter whose image encoder is in models/{Kind.IMAGE_ENCODER.folder}: this one needs {name}, "
        "as the .safetensors file that Forge and ComfyUI use",
    )


def _vision(header: Header) -> VisionLayout:
    shapes = {name: one.shape for name, one in header.tensors.items()}
    patches, positions = shapes[_PATCHES], shapes[_POSITIONS]
    start = VISION + "encoder.layers."
    layers = {name.removeprefix(start).split(".")[0] for name in shapes if name.startswith(start)}
    hidden = patches[0]
    return VisionLayout(
        hidden_size=hidden,
        intermediate_size=shapes[_INNER][0],
        num_hidden_layers=len(layers),
        num_attention_heads=12 if hidden == 768 else 16,
        patch_size=patches[-1],
        image_size=patches[-1] * isqrt(positions[0] - 1),
        projection_dim=shapes[_OUTER][0],
        hidden_act="quick_gelu" if hidden in _OPENAI_WIDTHS else "gelu",
    )


def _by_picture(shapes: Shapes, width: int) -> ImagePromptLayout | None:
    plain = shapes.get(PROJECTION + "proj.weight")
    if plain is not None and len(plain) == 2 and width:
        return ImagePromptLayout("plain", plain[1], plain[0] // width, width)
    full = shapes.get(PROJECTION + "proj.0.weight")
    if full is not None and PROJECTION + "proj.3.weight" in shapes:
        return ImagePromptLayout("full", full[1], 0, width)
    latents, inward = shapes.get(PROJECTION + "latents"), shapes.get(PROJECTION + "proj_in.weight")
    if latents is not None and inward is not None and len(latents) == 3:
        return ImagePromptLayout("plus", inward[1], latents[1], width)
    return None


def _by_face(file: ModelFile, shapes: Shapes, width: int) -> ImagePromptLayout | None:
    """What is in the name only is what A1111's extension takes from it, and ComfyUI."""
    latents, inward = shapes.get(PROJECTION + "latents"), shapes.get(PROJECTION + "proj_in.weight")
    if latents is not None and inward is not None and inward[-1] == _FACE:
        return ImagePromptLayout("instant", 0, latents[1], width, _FACE, normalised=False)
    first, last = (shapes.get(f"{PROJECTION}proj.{one}.weight", ()) for one in (0, 2))
    if not (width and PROJECTION + "norm.weight" in shapes and len(first) == len(last) == 2):
        return None
    if first[1] != _FACE:
        return None
    name, lora = file.stem.lower(), ATTENTION + "0.to_q_lora.down.weight" in shapes
    tokens = last[0] // width
    patches = shapes.get(_RESAMPLER + "proj_in.weight")
    if patches is None:
        return ImagePromptLayout("face", 0, tokens, width, _FACE, normalised="unnorm" not in name, lora=lora)
    # of SDXL there is no first version
    second = "v2" in name or width == _SDXL
    return ImagePromptLayout("face_plus", patches[1], tokens, width, _FACE, shortcut=second, lora=lora)
