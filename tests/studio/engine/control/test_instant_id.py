"""InstantID in published layouts: its adapter and its ControlNet, which is told of the face."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionXLControlNetPipeline
from PIL import Image

from easel.models import Architecture
from easel.studio.engine import ControlUnit, InvalidRequest
from easel.studio.engine.control.face_map import drawn_points
from easel.studio.png import encode
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control.driving import controlnet, drawn, in_memory, stored
from tests.studio.engine.control.face_prompts import ASKED, UNIT, apart, judge, ours, pixels_of, read, there
from tests.studio.engine.control.test_face_networks import ONE
from tests.studio.engine.tiny import Tiny, tiny

POINTS = Image.fromarray(
    drawn_points(np.array([[40, 50], [80, 48], [60, 70], [45, 90], [78, 88]], float), 128, 128)
)


class InstantId:
    """Its two files in a store, and the judge."""

    def __init__(self, root: Path, networks: Path, small: Tiny) -> None:
        self.root, self.small = root, small
        unet = small.modules.backbone
        self.tables = files.adapter(unet, "instant")
        there(root, networks, self.tables, "ip-adapter_instant_id_sdxl")
        self.net = controlnet(unet, seed=4)
        stored(root, "control_instant_id_sdxl", dict(self.net.state_dict()))
        face = {"model": "ip-adapter_instant_id_sdxl", "module": "instant_id_face_embedding"}
        stored(root, "plain", dict(self.net.state_dict()))
        self.face = replace(UNIT, **face)
        points = {
            "model": "control_instant_id_sdxl",
            "image": encode(POINTS),
            "module": "none",
            "weight": 0.8,
        }
        self.points = replace(UNIT, **points)

    def draw(self, *units: ControlUnit, **fields: Any) -> np.ndarray:
        return ours(self.small, self.root, *units, **fields)


@pytest.fixture(scope="module")
def instant_id(networks: Path, tmp_path_factory: pytest.TempPathFactory) -> InstantId:
    root = tmp_path_factory.mktemp("instant")
    return InstantId(root, networks, tiny(Architecture.SDXL, root))


@pytest.mark.slow
def test_instant_id_is_the_published_pipelines(instant_id: InstantId) -> None:
    """The adapter reads the face in 16 tokens; its ControlNet is shown the points, and told these tokens in
    the place of the words: diffusers' pipeline does the same, whose ControlNet is given them by hand."""
    whole = in_memory(instant_id.small)
    net: ControlNetModel = copy.deepcopy(instant_id.net)
    pipeline = judge(whole, StableDiffusionXLControlNetPipeline, controlnet=net)
    pipeline.load_ip_adapter(instant_id.tables, subfolder="", weight_name="x", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(UNIT.weight)
    face = read(instant_id.root, ONE, "ip-adapter_instant_id_sdxl")
    embeds = torch.cat([torch.zeros_like(face), face])[:, None]
    (layer,) = pipeline.unet.encoder_hid_proj.image_projection_layers
    with torch.no_grad():
        tokens = layer(embeds)
        assert tokens.shape[:2] == (2, 16)
        forward = net.forward
        net.forward = lambda *args, **said: forward(*args, **{**said, "encoder_hidden_states": tokens})
        theirs = pixels_of(
            pipeline, image=POINTS, ip_adapter_image_embeds=[embeds[:, :, None]],
            controlnet_conditioning_scale=0.8,
        )  # fmt: skip
    assert apart(instant_id.draw(instant_id.face, instant_id.points), theirs) <= 4
    assert apart(instant_id.draw(instant_id.points, instant_id.face), theirs) <= 4
    assert apart(instant_id.draw(instant_id.face), theirs) > 4


def test_instant_ids_control_needs_its_adapter(instant_id: InstantId) -> None:
    """By its name or by its preprocessor, and in words; another ControlNet is told the words as ever."""
    drawn_from = replace(instant_id.points, module="instant_id_face_keypoints", image=encode(ONE))
    for unit in (instant_id.points, replace(drawn_from, model="plain")):
        with pytest.raises(InvalidRequest, match="ip-adapter_instant_id_sdxl"):
            instant_id.draw(unit)
    plain = replace(instant_id.points, model="plain")
    told, words = (instant_id.draw(instant_id.face, one, steps=1) for one in (instant_id.points, plain))
    assert apart(told, words) > 2


@pytest.mark.slow
def test_half_precision(networks: Path, tmp_path: Path) -> None:
    """As on a GPU: what is read of a face is of the UNet's own kind of numbers, and the picture is alike."""
    small = tiny(Architecture.SDXL, tmp_path / "half")
    both = InstantId(tmp_path, networks, small)
    there(tmp_path, networks, files.adapter(small.modules.backbone, "face_plus"), "ip-faceid-plusv2")
    whole, plus = in_memory(small), replace(UNIT, model="ip-faceid-plusv2")
    request = replace(ASKED, controls=(both.face, both.points, plus))
    exact = np.asarray(drawn(whole, request, tmp_path)).astype(int)
    for module in (whole.backbone, whole.vae, *whole.text_encoders):
        module.to(torch.bfloat16)
    whole.dtype = torch.bfloat16
    assert float(np.abs(exact - np.asarray(drawn(whole, request, tmp_path))).mean()) < 12
