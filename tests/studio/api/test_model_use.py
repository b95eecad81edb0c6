"""Who needs a model: tickets that say an embedding's name when it is renamed; one's own pictures by use."""

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


def test_an_embedding_that_a_ticket_says_keeps_its_name(made: Place) -> None:
    """A name that is a word of a prompt means nothing once nobody is called so: no ticket of any replica may
    wait with it. What has a tag or a field is found by its old name. A finished ticket needs nothing."""
    # Of its own: the others' was made for another studio, whose journal it reads.
    made.client = TestClient(create_api(made.studio))
    journal: Journal[AcceptedRequest] = Journal(made.studio.outputs.folder / ".jobs", AcceptedRequest)
    shown = {"prompt": "a cat\n<lora:film:0.8>", "negative_prompt": "(bad-hands:1.2)", "seed": 1}
    record = AcceptedRequest(
        id="a" * 32, owner="bob", by=journal.process, at=1.0, place=1.0, kind="txt2img",
        shown=shown, checkpoints=["two.safetensors"],
    )  # fmt: skip
    journal.write(record)
    networks.write(made.root / "embeddings/bad-hands.safetensors", {"emb_params": networks.embedding()})
    (made.root / "Stable-diffusion/two.safetensors").write_bytes(networks.STARTER.read_bytes())
    made.studio.engine.store.refresh()
    refusal = refused(change(made, "rename", "bad-hands.safetensors", kind="embedding"), 409)
    assert "a word of its prompt" in refusal
    assert change(made, "rename", "film.safetensors").status_code == 200
    assert change(made, "rename", "two.safetensors", kind="checkpoint").status_code == 200
    record.ended = 2.0
    journal.write(record)
    assert change(made, "rename", "bad-hands.safetensors", kind="embedding").status_code == 200
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
    assert change(made, "rename", "film.safetensors", new_name="grain").status_code == 200
    assert made.ask("GET", "used").json()["used"]["lora"] == {"grain.safetensors": 2}
