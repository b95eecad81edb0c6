"""What the page begins with: who is there, what there is to draw with, what a text means."""

from __future__ import annotations

import httpx


def test_session(running, ada: httpx.Client) -> None:
    """One answer has all that the page needs; a name by the gateway brings the way out."""
    answer = ada.get("/studio/session").raise_for_status().json()
    assert answer["person"] == {
        "id": "ada", "name": "ada", "anonymous": False, "may": {"change_models": True, "team_styles": True},
    }  # fmt: skip
    assert answer["sign_out"] == "easel/signout"
    assert answer["engine"]["phase"] == "ready"
    assert answer["engine"]["memory_total"] > answer["engine"]["memory_used"] > 0
    assert answer["limits"]["batch_size"] > 1
    names = {one["name"] for one in answer["checkpoints"]}
    assert {"easel-starter.safetensors", "second.safetensors"} <= names
    starter = next(one for one in answer["checkpoints"] if one["name"] == "easel-starter.safetensors")
    assert (starter["family"], starter["label"], starter["problem"]) == ("starter", "Starter", None)
    assert "a red circle on a blue background" in starter["examples"]
    assert {one["name"] for one in starter["shapes"]} == {"square", "portrait", "landscape", "wide", "tall"}
    broken = next(one for one in answer["checkpoints"] if one["name"] == "short.safetensors")
    assert broken["problem"] or broken["family"]
    assert answer["choices"]["samplers"][0].keys() == {"name"}
    with httpx.Client(base_url=running.url, trust_env=False) as alone:
        assert alone.get("/studio/session").json()["sign_out"] is None
    with running.ask("laura/YkkqDOPLX8_T") as by_link:
        # A browser's session of a link or token: its number is nothing that anybody would call themselves.
        assert by_link.get("/studio/session").json()["person"]["name"] == "laura"
    with running.ask("anonymous/1") as visitor:
        person = visitor.get("/studio/session").json()["person"]
        assert (person["anonymous"], person["may"]["change_models"]) == (True, False)


def test_choosing_a_checkpoint(running) -> None:
    """It is the person's from now on, and nobody else's; what is not here is refused in words."""
    with running.ask("chooser") as chooser, running.ask("other") as other:
        card = chooser.post("/studio/checkpoint", json={"name": "second.safetensors"}).json()
        assert card["name"] == "second.safetensors"
        assert chooser.get("/studio/session").json()["checkpoint"]["name"] == "second.safetensors"
        assert other.get("/studio/session").json()["checkpoint"]["name"] == "easel-starter.safetensors"
        assert chooser.post("/studio/checkpoint", json={"name": "gone"}).status_code == 400
        assert chooser.post("/studio/checkpoint", json={}).status_code == 422


def test_parameters(running, ada: httpx.Client) -> None:
    """A picture's own text, as text or as the file, is a request that draws the same; what is not here is
    said."""
    drawn = running.draw(save_images=True, cfg_scale=5.5)
    assert drawn.status_code == 200
    path = running.studio.outputs.recent("ada", 1)[0]
    from_file = ada.post("/studio/parameters", files={"picture": ("a.png", path.read_bytes())}).json()
    from_text = ada.post("/studio/parameters", json={"text": from_file["text"]}).json()
    assert from_file == from_text
    assert (from_text["request"]["cfg_scale"], from_text["request"]["seed"]) == (5.5, 7)
    assert ada.post("/sdapi/v1/txt2img", json=from_text["request"]).status_code == 200
    foreign = "a cat\nSteps: 20, Sampler: Nothing, CFG scale: 7, Seed: 1, Size: 64x64, Model: gone"
    notes = ada.post("/studio/parameters", json={"text": foreign}).json()["notes"]
    assert any("gone" in one for one in notes)
    assert ada.post("/studio/parameters", json={"text": "only words"}).json()["request"] == {}
    wrong = ada.post("/studio/parameters", files={"picture": ("a.png", b"no picture")})
    assert wrong.status_code == 422
    assert wrong.json()["detail"][0]["loc"] == ["body", "picture"]
    for content in (b"[]", b"{", b'{"text": 5}'):
        answer = ada.post("/studio/parameters", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
