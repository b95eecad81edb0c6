"""FaceID and InstantID over HTTP: a unit as any other, the lists, and what is said where no face is."""

from __future__ import annotations

import pytest
from diffusers import UNet2DConditionModel

from easel.models import Store, convert_onnx
from easel.studio.families import HERE
from tests.studio.api.answers import info, pictures, sent
from tests.studio.api.test_controlnet import controlled
from tests.studio.engine.control import image_prompt_files, onnx_files
from tests.studio.engine.control.test_face_networks import NOBODY, ONE


@pytest.fixture(scope="module")
def faces(running, tmp_path_factory: pytest.TempPathFactory) -> str:
    """FaceID of the starter's UNet and the networks that read faces, with random weights."""
    models, made = running.home / "models", tmp_path_factory.mktemp("onnx")
    onnx_files.faces(made / "det_10g.onnx")
    onnx_files.identity(made / "w600k_r50.onnx")
    for name in ("det_10g", "w600k_r50"):
        convert_onnx(made / f"{name}.onnx", Store(models))
    unet = UNet2DConditionModel.from_config(
        UNet2DConditionModel.load_config(HERE / "starter" / "unet" / "config.json")
    )
    tables = image_prompt_files.adapter(unet, "face")
    image_prompt_files.written(models / "ControlNet", "ip-adapter-faceid_test", tables)
    with running.ask() as client:
        assert "ip-adapter-faceid_test" in str(client.get("/controlnet/model_list?update=true").json())
    return "ip-adapter-faceid_test"


def test_a_face_as_a_prompt(running, faces) -> None:
    """FaceID is a unit as any other, by each of its preprocessors' names, of one picture or of two; its LoRA
    is told, and a picture without a face refused in words."""
    unit = {"model": faces, "image": sent(ONE), "weight": 0.8}
    answer = running.draw(**controlled({**unit, "module": "ip-adapter_face_id"}))
    (first,) = pictures(answer)
    assert f"Module: ip-adapter_face_id, Model: {faces}" in info(answer)["infotexts"][0]
    assert f"<lora:{faces}:0.6>" in " ".join(info(answer)["comments"])
    for module in ("ip-adapter-auto", "none"):
        (same,) = pictures(running.draw(**controlled({**unit, "module": module})))
        assert same.tobytes() == first.tobytes()
    two = {**unit, "module": "ip-adapter_face_id", "image": [sent(ONE), sent(ONE.rotate(20))]}
    (other,) = pictures(running.draw(**controlled(two)))
    assert other.tobytes() != first.tobytes()
    nobody = running.draw(**controlled({**unit, "image": sent(NOBODY)}))
    assert nobody.status_code == 422
    assert "no face is found" in nobody.json()["errors"]


def test_faces_in_the_lists(running, faces) -> None:
    """FaceID is among the IP-Adapters, InstantID a type of its own; whose face it is, is no map."""
    with running.ask() as client:
        types = client.get("/controlnet/control_types").json()["control_types"]
        points = {"controlnet_module": "instant_id_face_keypoints", "controlnet_input_images": [sent(ONE)]}
        (found,) = pictures(client.post("/controlnet/detect", json=points))
        whose = {**points, "controlnet_module": "instant_id_face_embedding"}
        refused = client.post("/controlnet/detect", json=whose)
    assert {"ip-adapter_face_id", "ip-adapter_face_id_plus"} <= set(types["IP-Adapter"]["module_list"])
    assert any(one.startswith(faces) for one in types["IP-Adapter"]["model_list"])
    assert types["Instant-ID"]["module_list"] == [
        "none", "instant_id_face_embedding", "instant_id_face_keypoints",
    ]  # fmt: skip
    assert min(found.size) == 512
    assert refused.status_code == 422
