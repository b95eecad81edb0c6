"""Qwen-Image-Edit reads beside pictures as diffusers' pipelines do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import QwenImageEditPipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import QwenImageEditPlusPipeline
from PIL import Image
from transformers.feature_extraction_utils import BatchFeature
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from easel.studio.engine.text_models import vocabularies
from easel.studio.engine.text_models.encoding import encode_texts
from easel.studio.engine.text_models.reading import Reading
from easel.studio.engine.text_models.table import text_model
from tests.studio.engine.text_models.tiny_encoders import CPU, filled, qwen25_vl_with_tiny_sight

ROLE, FAMILY = "qwen2.5-vl-7b", "qwen-image-edit"
TEXTS = ["", "make it red, keep the (cat)"]
PIPELINES: dict[bool, Any] = {False: QwenImageEditPipeline, True: QwenImageEditPlusPipeline}


class Processor:
    """What the pipelines ask of Qwen2.5-VL's processor: patches, and a token for each four of them."""

    def __init__(self) -> None:
        self._patches = Qwen2VLImageProcessor(size={"shortest_edge": 3136, "longest_edge": 12845056})

    def __call__(self, text: list[str], images: Any, **_: Any) -> BatchFeature:
        seen = self._patches(images=images, return_tensors="pt")
        (whole,) = text
        for grid in seen["image_grid_thw"]:
            whole = whole.replace("<|image_pad|>", "<|there|>" * (int(grid.prod()) // 4), 1)
        ids = vocabularies.qwen25().encode(whole.replace("<|there|>", "<|image_pad|>")).ids
        return BatchFeature(
            {
                "input_ids": torch.tensor([ids]),
                "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
                **seen,
            }
        )


class WithPlaces(torch.nn.Module):
    """The published model, told which tokens are pictures. transformers 4 saw it by itself; 5 has to be told,
    which diffusers 0.42.1 does not: there a picture's tokens stand in one row."""

    dtype = torch.float32

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, **more: Any) -> Any:
        return self.model(input_ids=input_ids, mm_token_type_ids=(input_ids == 151655).int(), **more)


@pytest.fixture(scope="module")
def published() -> Any:
    torch.manual_seed(0)
    config = Qwen2_5_VLConfig.from_dict(qwen25_vl_with_tiny_sight())
    return Qwen2_5_VLForConditionalGeneration(config).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def reading(published: Any) -> Reading:
    module = text_model(FAMILY, ROLE).skeleton(qwen25_vl_with_tiny_sight())
    mine = filled(ROLE, module, dict(published.state_dict()), FAMILY)
    return Reading({ROLE: mine}, CPU, 512, 32)


def pictures(count: int) -> tuple[Image.Image, ...]:
    made = torch.Generator().manual_seed(1)
    sizes = [(120, 64), (64, 72), (300, 40)][:count]
    return tuple(
        Image.fromarray(torch.randint(0, 255, (height, width, 3), generator=made, dtype=torch.uint8).numpy())
        for width, height in sizes
    )


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("numbered", "count", "area"), [(False, 1, 1024**2), (True, 1, 384**2), (True, 3, 384**2)]
)
def test_pictures_and_words(
    numbered: bool, count: int, area: int, text: str, published: Any, reading: Reading
) -> None:
    """One picture, and several with their numbers, at the size that the pipeline would look at them."""
    pipeline = PIPELINES[numbered](
        scheduler=None,
        vae=None,
        text_encoder=WithPlaces(published),
        tokenizer=None,
        processor=Processor(),
        transformer=None,
    )
    given = pictures(count)
    sized = [pipeline.image_processor.resize(one, *reversed(dimensions(one, area))) for one in given]
    with torch.inference_mode():
        wanted, _ = pipeline.encode_prompt(
            text.replace("(", "").replace(")", ""), sized if numbered else sized[0], "cpu"
        )
    (found,) = encode_texts(FAMILY, [text], replace(reading, pictures=given, numbered=numbered))
    torch.testing.assert_close(found.tokens, wanted, rtol=1e-5, atol=2e-6)
    assert found.mask is not None
    assert bool(found.mask.all())


def dimensions(picture: Image.Image, area: int) -> tuple[int, int]:
    from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit import calculate_dimensions

    width, height, _ = calculate_dimensions(area, picture.width / picture.height)
    return width, height


def test_published_names(published: Any, reading: Reading) -> None:
    """Transformers' old names, which single files have, and its new ones."""
    own = published.state_dict()
    old = {
        name.replace("model.language_model.", "model.").replace("model.visual.", "visual."): one
        for name, one in own.items()
    }
    mine = reading.encoders[ROLE].state_dict()
    module = text_model(FAMILY, ROLE).skeleton(qwen25_vl_with_tiny_sight())
    for tensors in (own, old):
        found = text_model(FAMILY, ROLE).convert(tensors, module)
        assert found.keys() == mine.keys()
        assert all(torch.equal(found[name], mine[name]) for name in mine)


def test_a_long_text_is_cut(reading: Reading) -> None:
    """The words, not the picture before them."""
    cut, short = (
        encode_texts(FAMILY, [text], replace(reading, most=4, pictures=pictures(1), numbered=True))[0]
        for text in (" red" * 9, " red" * 4)
    )
    assert [note.code for note in cut.notes] == ["text_cut"]
    assert torch.equal(cut.tokens, short.tokens)
