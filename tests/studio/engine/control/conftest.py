"""What several suites of controls share."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from easel.models import Kind, Store, convert_onnx
from tests.studio.engine.control import image_prompt_files as files
from tests.studio.engine.control import onnx_files


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with InsightFace's two packs and an image encoder."""
    root = tmp_path_factory.mktemp("networks")
    store = Store(root)
    for name, seed in (("det_10g", 0), ("w600k_r50", 1), ("scrfd_10g_bnkps", 0), ("glintr100", 2)):
        made = root / f"{name}.onnx"
        onnx_files.identity(made, seed) if seed else onnx_files.faces(made)
        convert_onnx(made, store)
    folder = root / Kind.IMAGE_ENCODER.folder
    save_file(files.encoder().state_dict(), folder / "CLIP-ViT-H-14.safetensors")
    return folder
