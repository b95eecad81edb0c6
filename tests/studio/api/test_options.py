"""`/sdapi/v1/options`, as A1111's clients use it."""

from __future__ import annotations

import pytest


def test_whole_dictionary_round_trips(running) -> None:
    """open-webui reads all options, changes one and sends all of them back; nothing is refused or lost."""
    with running.ask("roundtrip") as client:
        options = client.get("/sdapi/v1/options").json()
        assert isinstance(options["sd_model_checkpoint"], str)
        assert client.post("/sdapi/v1/options", json=options).json() is None
        assert client.get("/sdapi/v1/options").json() == options
        changed = {**options, "CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "second"}
        assert client.post("/sdapi/v1/options", json=changed).status_code == 200
        now = client.get("/sdapi/v1/options").json()
        assert now["CLIP_stop_at_last_layers"] == 2
        assert now["sd_model_checkpoint"].startswith("second.safetensors")


def test_unknown_keys_are_kept(running) -> None:
    """Options that nobody here knows come back as they were sent."""
    strange = {"some_extension_setting": {"a": [1, None, "x"]}, "quicksettings_list": ["sd_vae"]}
    with running.ask("keeper") as client:
        assert client.post("/sdapi/v1/options", json=strange).status_code == 200
        assert strange.items() <= client.get("/sdapi/v1/options").json().items()


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"sd_model_checkpoint": "nothing-like-it"}, 400),
        ({"sd_model_checkpoint": 5}, 422),
        ({"sd_vae": "nothing.vae"}, 400),
        ({"CLIP_stop_at_last_layers": 0}, 422),
        ({"CLIP_stop_at_last_layers": "x"}, 422),
        ({"x": "y" * 300_000}, 422),
    ],
)
def test_what_cannot_be_set(running, values, status) -> None:
    """An option that cannot work is refused at once, and nothing of the request is kept."""
    with running.ask("wrong") as client:
        before = client.get("/sdapi/v1/options").json()
        answer = client.post("/sdapi/v1/options", json={"other": 1, **values})
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "detail", "body", "errors"}
        assert client.get("/sdapi/v1/options").json() == before


@pytest.mark.parametrize("name", ["Automatic", "None", "", None])
def test_no_vae_of_its_own(running, name) -> None:
    """A1111's words for "the checkpoint's own VAE" are taken."""
    with running.ask("vae") as client:
        assert client.post("/sdapi/v1/options", json={"sd_vae": name}).status_code == 200
    assert running.draw("vae").status_code == 200
