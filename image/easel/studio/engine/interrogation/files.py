"""Which files of the store put pictures into words: known by a tensor that no other file has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from easel.models import FileError, Kind, ModelFile, Store, read_header
from easel.remark import remark
from easel.studio.engine.errors import InvalidRequest
from easel.studio.engine.interrogation.question import Interrogator


class InterrogatorFile(NamedTuple):
    """What tells the file, and what to say to who has none: what it is called, where it is published."""

    telling: str
    named: str
    published: str

    def is_one(self, file: ModelFile) -> bool:
        """Whether a file is one."""
        try:
            return self.telling in read_header(file.path).tensors
        except FileError:
            return False


INTERROGATORS: Mapping[Interrogator, InterrogatorFile] = {
    Interrogator.CLIP: InterrogatorFile(
        "text_decoder.cls.predictions.bias", "model_base_caption_capfilt_large.pth",
        "BLIP's, of Salesforce; model.safetensors of Salesforce/blip-image-captioning-base or -large will do",
    ),
    Interrogator.DEEPDANBOORU: InterrogatorFile(
        "n_Conv_0.weight", "model-resnet_custom_v3.pt", "of AUTOMATIC1111/TorchDeepDanbooru",
    ),
}  # fmt: skip


RANKER = InterrogatorFile(
    "text_projection.weight", "model.safetensors", "CLIP's ViT-L/14, of openai/clip-vit-large-patch14"
)
"""What knows how well words fit a picture."""
RANKER_SOURCE = "hf://openai/clip-vit-large-patch14/model.safetensors"
"""Where it is published."""


def find_ranker(store: Store) -> ModelFile | None:
    """The first of the store that knows how well words fit a picture."""
    return next((one for one in store.files(Kind.IMAGE_ENCODER) if RANKER.is_one(one)), None)


def ranks(tensors: Mapping[str, object]) -> bool:
    """Whether these are the tensors of such a network."""
    return RANKER.telling in tensors


def find_interrogator(store: Store, wanted: Interrogator) -> ModelFile:
    """The first of the store that fits. Raises InvalidRequest that says which to add."""
    needed = INTERROGATORS[wanted]
    for one in store.files(Kind.IMAGE_ENCODER):
        if needed.is_one(one):
            return one
    raise InvalidRequest(
        "model",
        wanted.value,
        remark(
            "needs_interrogator",
            "a model whose file is in {folder}: this one needs {file} ({published}), by `easel models "
            "convert {file}`. What a picture was drawn from may stand in it: /sdapi/v1/png-info reads that",
            folder=f"models/{Kind.IMAGE_ENCODER.folder}",
            file=needed.named,
            published=needed.published,
        ),
    )
