"""Who needs a model: tickets of other replicas when it is renamed; one's own pictures when sorting by use."""

from __future__ import annotations

from PIL import Image
from starlette.testclient import TestClient

from easel.studio.api.app import create_api
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.durable_jobs import Journal
from easel.studio.png import encode
from tests.studio import networks
from tests.studio.api.test_model_files import change, made, refused
from tests.studio.library import Place

__all__ = ["made"]


def test_what_a_ticket_of_another_replica_needs_keeps_its_name(made: Place) -> None:
    """Its journal lies where all replicas see it: by the checkpoint that it begins with, and by the words of
    its prompts. A finished one needs nothing."""
    # Of its own: the others' was made for another studio, whose journal it reads.
    made.client = TestClient(create_api(made.studio))
    journal: Journal[AcceptedRequest] = Journal(made.studio.outputs.folder / ".jobs", AcceptedRequest)
    shown = {"prompt": "a cat\n<lora:film:0.8>", "override_settings": {"sd_vae": "x"}}
    record = AcceptedRequest(
        id="a" * 32, owner="bob", by=journal.process, at=1.0, place=1.0, kind="txt2img",
        shown=shown, checkpoints=["two.safetensors"],
    )  # fmt: skip
    journal.write(record)
    (made.root / "Stable-diffusion/two.safetensors").write_bytes(networks.STARTER.read_bytes())
    made.studio.engine.store.refresh()
    assert "another" in refused(change(made, "rename", "film.safetensors"), 409)
    assert "another" in refused(change(made, "rename", "two.safetensors", kind="checkpoint"), 409)
    assert change(made, "rename", "art/chalk.safetensors").status_code == 200
    record.ended = 2.0
    journal.write(record)
    assert change(made, "rename", "film.safetensors", new_name="later").status_code == 200
    journal.close()


def test_what_is_used_is_counted_from_ones_own_pictures(made: Place) -> None:
    """Checkpoints by the infotext, LoRAs by their tags; nobody else's pictures count."""
    says = "Steps: 1, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8, Model: easel-starter"
    for number, prompt in enumerate(
        ("a <lora:film:1> b <lora:film:0.5>", "c <LORA:Film:1><lora:other:1>", "d")
    ):
        made.studio.outputs.save("ada", encode(Image.new("RGB", (8, 8)), f"{prompt}\n{says}"), number)
    used = made.ask("GET", "used").json()["used"]
    assert used == {
        "checkpoint": {"easel-starter.safetensors": 3}, "lora": {"film.safetensors": 2}, "embedding": {},
    }  # fmt: skip
    assert made.ask("GET", "used", "bob").json()["used"]["checkpoint"] == {}
