"""LoRAs, embeddings and VAE files through the API: what they do to a picture, and to nobody else's."""

from __future__ import annotations

import base64
import io
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from easel.models import Kind, ModelFile
from easel.studio.engine.loading.checkpoint_loading import load_checkpoint
from scripts.starter.pictures import COLOURS
from tests.studio import networks
from tests.studio.networks import STARTER

# Beside another picture, sums are taken in another order (docs/decisions/0006).
TOLERANCE = 2


@pytest.fixture(scope="module")
def models(running) -> Iterator[Path]:
    """The models folder with LoRAs, embeddings and VAEs for the starter, all gone afterwards."""
    root = running.home / "models"
    loras = root / "Lora"
    first = networks.pairs(1)
    attention = {key: one for key, one in first.items() if ".attn" in key[1]}
    networks.write(loras / "first.safetensors", networks.kohya(first), ss_output_name="Premier",
                   ss_tag_frequency='{"a": {"b": 1}}')  # fmt: skip
    networks.write(loras / "sub/first-peft.safetensors", networks.peft(first))
    networks.write(loras / "half-alpha.safetensors", networks.kohya(first, alpha=2.0))
    networks.write(loras / "second.safetensors", networks.kohya(networks.pairs(2, parts=("unet",))))
    networks.write(loras / "attention.safetensors", networks.kohya(attention, alpha=None))
    networks.write(loras / "attention-old.safetensors", networks.old_diffusers(attention))
    networks.write(loras / "deaf.safetensors", _deaf())
    words = networks.embedding()
    networks.write(root / "embeddings/star-thing.safetensors", {"emb_params": words})
    networks.write(root / "embeddings/star-other.safetensors", {"<other>": words})
    networks.write(
        root / "embeddings/foreign.safetensors", {"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}
    )
    (root / "embeddings/pickled.pt").write_bytes(b"PK\x03\x04")
    _vaes(root / "VAE")
    running.studio.engine.store.refresh()
    yield root
    for folder in ("Lora", "embeddings", "VAE"):
        shutil.rmtree(root / folder)
    running.studio.engine.store.refresh()


def _deaf() -> networks.Tensors:
    """A LoRA of full rank that takes away what cross attention brings: no prompt counts any more."""
    file = ModelFile(STARTER, STARTER.name, Kind.CHECKPOINT, STARTER.stat().st_size, 0.0)
    unet = load_checkpoint(file, device=torch.device("cpu"), dtype=torch.float32).backbone
    found = {}
    for name, one in unet.named_modules():
        if name.endswith("attn2.to_v"):
            found["unet", name] = torch.eye(one.in_features), -one.weight
    return networks.kohya(found, alpha=None)


def _vaes(folder: Path) -> None:
    own = networks.own_vae()
    dark = {name: one.clone() for name, one in own.items()}
    dark["first_stage_model.decoder.conv_out.bias"] -= 0.5
    networks.write(folder / "dark.safetensors", dark)
    noise = torch.Generator().manual_seed(0)
    strange = {name: torch.randn(one.shape, generator=noise).to(one) * 0.05 for name, one in own.items()}
    networks.write(folder / "strange.safetensors", strange)
    wide = dict(own)
    first = "first_stage_model.decoder.conv_in.weight"
    wide[first] = own[first].repeat(1, 4, 1, 1)
    networks.write(folder / "sixteen.safetensors", wide)


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text[:500]
    file = io.BytesIO(base64.b64decode(answer.json()["images"][0]))
    return np.asarray(Image.open(file)).astype(int)


def info(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text[:500]
    return json.loads(answer.json()["info"])


def differ(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one - other).max())


def drawn(running, prompt: str, **fields: Any) -> np.ndarray:
    return pixels(running.draw(prompt=prompt, **fields))


def test_a_lora_does_what_it_says(running, models) -> None:
    """A LoRA that takes cross attention away: with it any two prompts give one picture, without it two."""
    red, stars = "a red circle on blue", "two green stars on white"
    assert differ(drawn(running, red), drawn(running, stars)) > 20
    with_it = [drawn(running, f"{words} <lora:deaf:1:1>") for words in (red, stars)]
    assert differ(*with_it) <= TOLERANCE
    # only half of it taken away, words count again
    halves = [drawn(running, f"{words} <lora:deaf:0.5>") for words in (red, stars)]
    assert differ(*halves) > TOLERANCE


def test_the_one_that_comes_with_the_starter(running, models) -> None:
    """Chalk: the shape and the ground that were asked for, in colours half way to white."""
    shutil.copy(STARTER.with_name("easel-starter-lora.safetensors"), models / "Lora")
    words = "a red circle on a blue background"
    fields = {"steps": 20, "cfg_scale": 7, "width": 128, "height": 128}
    plain = drawn(running, words, **fields)
    chalk = drawn(running, f"pastel, {words} <lora:easel-starter-lora:1>", **fields)
    for place, colour in ((64, 64), "red"), ((4, 4), "blue"):
        asked = np.array(COLOURS[colour], dtype=float)
        full, pale = (np.linalg.norm(one[place].astype(float) - asked) for one in (plain, chalk))
        half = np.linalg.norm(chalk[place] - (asked + 255) / 2)
        assert half < pale, f"{colour} came out as {chalk[place]}"
        assert full < pale
    assert "Lora hashes" in running.draw(prompt="x <lora:easel-starter-lora:1>").json()["info"]


def test_weight_zero_is_no_lora(running, models) -> None:
    """Weight 0 changes no pixel, whether the tag stands in the prompt or not."""
    plain = drawn(running, "a red circle")
    assert differ(drawn(running, "a red circle <lora:first:0>"), plain) == 0
    assert differ(drawn(running, "a red circle<lora:first:0:0>"), plain) == 0
    assert differ(drawn(running, "a red circle"), plain) == 0


def test_weights_of_encoder_and_unet(running, models) -> None:
    """`name:te:unet` as in A1111, in places or by name; a single number counts for both."""
    both = drawn(running, "x <lora:first:0.7>")
    assert differ(both, drawn(running, "x <lora:first:0.7:0.7>")) == 0
    assert differ(both, drawn(running, "x <lora:first:te=0.7:unet=0.7>")) == 0
    encoder, unet, none = (drawn(running, f"x <lora:first:{one}>") for one in ("0.7:0", "0:0.7", "0"))
    assert differ(encoder, none) > TOLERANCE
    assert differ(unet, none) > TOLERANCE
    assert differ(encoder, unet) > TOLERANCE


def test_two_at_once(running, models) -> None:
    """Two LoRAs give what neither gives alone, in any order; two halves of one are the whole of it."""
    one, two = drawn(running, "x <lora:first:1>"), drawn(running, "x <lora:second:1>")
    both = drawn(running, "x <lora:first:1> <lora:second:1>")
    assert min(differ(both, one), differ(both, two), differ(one, two)) > TOLERANCE
    assert differ(both, drawn(running, "<lora:second:1>x <lora:first:1> ")) <= TOLERANCE
    assert differ(one, drawn(running, "x <lora:first:0.5> <lora:first:0.5>")) <= TOLERANCE
    assert differ(one, drawn(running, "x <lora:first:0.5> <lora:first-peft:0.5>")) <= TOLERANCE


def test_formats(running, models) -> None:
    """The same LoRA as kohya, PEFT and old diffusers write it is the same picture; alpha is strength."""
    assert differ(drawn(running, "x <lora:first:1>"), drawn(running, "x <lora:first-peft:1>")) == 0
    assert differ(drawn(running, "x <lora:attention:1>"), drawn(running, "x <lora:attention-old:1>")) == 0
    assert differ(drawn(running, "x <lora:half-alpha:1>"), drawn(running, "x <lora:first:0.5>")) <= TOLERANCE


def test_the_same_alone_and_in_company(running, models) -> None:
    """Pictures with other LoRAs, and with none, drawn at the same time change nothing of one another."""
    prompts = ["x", "x <lora:first:1>", "x <lora:second:1>", "x <lora:first:-0.5> <lora:second:0.3>",
               "x <lora:deaf:1>", "x star-thing"]  # fmt: skip
    alone = [drawn(running, prompt, steps=4) for prompt in prompts]
    with ThreadPoolExecutor(len(prompts)) as threads:
        asked = [
            threads.submit(running.draw, f"owner{number}", prompt=prompt, steps=4)
            for number, prompt in enumerate(prompts)
        ]
    for before, one in zip(alone, asked, strict=True):
        assert differ(before, pixels(one.result())) <= TOLERANCE


@pytest.mark.parametrize(
    ("tag", "word"),
    [
        ("<lora:frist:1>", "did you mean 'first"),
        ("<lora:first-pe:1>", "first-peft"),
        ("<lora:nothing-like-it:1>", "not found"),
        ("<lora:../../etc/passwd:1>", "not found"),
        ("<lora:first:strong>", "no number"),
        ("<lora:first:nan>", "outside"),
        ("<lora:first:1e9>", "outside"),
        ("<lora:first:1:1:many>", "dyn"),
        ("<lora:first:1:start=soon>", "no step"),
        ("<lora::1>", "no name"),
        ("<hypernet:old:1>", "no hypernets"),
    ],
)
def test_a_tag_that_cannot_be(running, models, tag, word) -> None:
    """As in A1111 the picture is drawn without it; here the answer says what was left out, and why."""
    answer = running.draw(prompt=f"x {tag}")
    (note,) = info(answer)["comments"]
    assert word in note
    assert "left out" in note
    assert differ(pixels(answer), drawn(running, "x")) == 0
    assert "Lora hashes" not in info(answer)["infotexts"][0]


@pytest.mark.parametrize("prompt", [
    "<lora", "<lora:", "<lora:first", "<lora:first:1", "lora:first:1>", "<<lora:a:1>>", "<lora:\n:1>",
    "(<lora:first:1>:1.2", "<lora:first:1>" * 50, "<:>", "<a:" * 700, "(((<lora:first:0.1>)))",
])  # fmt: skip
@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_syntax_is_never_an_error(running, models, field, prompt) -> None:
    """Whatever stands in a prompt, a picture comes."""
    assert running.draw(**{field: prompt}, steps=1).status_code == 200


def test_too_many(running, models) -> None:
    """More LoRAs than one picture takes are refused before any of them is read."""
    folder = models / "Lora/many"
    for number in range(21):
        networks.write(folder / f"n{number}.safetensors", {"lora_unet_x.alpha": torch.tensor(1.0)})
    answer = running.draw(prompt=" ".join(f"<lora:n{number}:1>" for number in range(21)))
    shutil.rmtree(folder)
    assert answer.status_code == 422
    assert "up to 20 LoRAs" in answer.json()["errors"]


@pytest.mark.parametrize("how", list(networks.BAD))
def test_bad_files(running, models, how) -> None:
    """A file that is no LoRA for this checkpoint is refused with a sentence that names it."""
    path = models / f"Lora/wrong-{how}.safetensors"
    word = networks.bad(path, how)
    try:
        answer = running.draw(prompt=f"x <lora:wrong-{how}:1>")
    finally:
        path.unlink()
    assert answer.status_code == 422, answer.text[:300]
    body = answer.json()
    assert set(body) == {"error", "detail", "body", "errors"}
    assert f"wrong-{how}" in body["errors"]
    assert word in body["errors"]
    assert "Traceback" not in answer.text
    assert "Error:" not in body["errors"]
    assert running.studio.engine.jobs("ada") == []


def test_a_refused_lora_leaves_no_trace(running, models) -> None:
    """After a refusal, and with files that came and went, a picture is what it was."""
    before = drawn(running, "x <lora:first:1>")
    networks.bad(models / "Lora/trace.safetensors", "nan")
    assert running.draw(prompt="x <lora:first:1> <lora:trace:1>").status_code == 422
    (models / "Lora/trace.safetensors").unlink()
    assert differ(before, drawn(running, "x <lora:first:1>")) == 0


def test_a_replaced_file_is_another_lora(running, models) -> None:
    """A file that was replaced under its name is read anew."""
    path = models / "Lora/changing.safetensors"
    networks.write(path, networks.kohya(networks.pairs(3)))
    first = drawn(running, "x <lora:changing:1>")
    networks.write(path, networks.kohya(networks.pairs(4)))
    with running.ask() as client:
        assert client.post("/sdapi/v1/refresh-loras").json() is None
    assert differ(first, drawn(running, "x <lora:changing:1>")) > TOLERANCE
    path.unlink()


def test_hashes_in_the_infotext(running, models) -> None:
    """The infotext names LoRAs with AutoV3, embeddings with 12 digits, as Civitai looks for them."""
    store = running.studio.engine.store
    said = info(running.draw(prompt="x star-thing <lora:first:0.8>"))
    store.hash_now(models / "Lora/first.safetensors")
    autov3 = store.record(models / "Lora/first.safetensors").autov3
    sha256 = store.hash_now(models / "embeddings/star-thing.safetensors")
    text = said["infotexts"][0]
    assert text.startswith("x star-thing <lora:first:0.8>\n")
    assert f'Lora hashes: "first: {autov3}", TI hashes: "star-thing: {sha256[:12]}", Version' in text
    assert said["extra_generation_params"]["Lora hashes"] == f"first: {autov3}"


def test_disable_extra_networks(running, models) -> None:
    """`disable_extra_networks` takes tags out and uses nothing."""
    answer = running.draw(prompt="x <lora:first:1>", disable_extra_networks=True)
    assert differ(pixels(answer), drawn(running, "x")) == 0
    assert info(answer)["comments"] == []


def test_the_lists(running, models, ada) -> None:
    """LoRAs with name, alias, path and metadata; embeddings sorted by the caller's checkpoint; VAEs."""
    loras = {one["name"]: one for one in ada.get("/sdapi/v1/loras").json()}
    assert loras["first"]["alias"] == "Premier"
    assert loras["first"]["metadata"]["ss_tag_frequency"] == {"a": {"b": 1}}
    assert loras["first-peft"]["path"] == "Lora/sub/first-peft.safetensors"
    assert differ(drawn(running, "x <lora:Premier:1>"), drawn(running, "x <lora:first:1>")) == 0
    found = ada.get("/sdapi/v1/embeddings").json()
    assert found["loaded"]["star-thing"] == {
        "step": None, "sd_checkpoint": None, "sd_checkpoint_name": None, "shape": 64, "vectors": 2,
    }  # fmt: skip
    assert set(found["loaded"]) == {"star-thing", "star-other"}
    assert set(found["skipped"]) == {"foreign"}
    names = [one["model_name"] for one in ada.get("/sdapi/v1/sd-vae").json()]
    assert {"dark.safetensors", "strange.safetensors"} <= set(names)


def test_a_preview_is_a_picture_of_ours(running, models, ada) -> None:
    """The picture beside a LoRA is sent small and made anew; no name leads anywhere else."""
    Image.new("RGB", (900, 600), "teal").save(models / "Lora/first.preview.png")
    answer = ada.get("/sdapi/v1/loras/preview", params={"name": "first.safetensors"})
    assert Image.open(io.BytesIO(answer.content)).size == (320, 213)
    assert answer.headers["content-type"] == "image/jpeg"
    (models / "Lora/second.preview.png").write_bytes(b"<svg onload=alert(1)>")
    for name in ("second.safetensors", "../../secret", "first.preview.png", "", "x" * 5000):
        assert ada.get("/sdapi/v1/loras/preview", params={"name": name}).status_code == 404


def test_embeddings_by_name(running, models) -> None:
    """A name stands for its vectors: in either prompt, in any case, weighted; not within another word."""
    plain = drawn(running, "a circle")
    assert differ(drawn(running, "a circle star-thing"), plain) > TOLERANCE
    assert differ(drawn(running, "a circle", negative_prompt="STAR-Thing"), plain) > TOLERANCE
    with_it = drawn(running, "a star-thing circle")
    assert differ(with_it, drawn(running, "a star-other circle")) == 0
    assert differ(with_it, drawn(running, "a (star-thing:1.4) circle")) > TOLERANCE
    inside = running.draw(prompt="a circle star-thingy")
    assert "TI hashes" not in info(inside)["infotexts"][0]
    long = "a star, " * 18 + "star-thing, " + "a circle, " * 30
    assert differ(drawn(running, long), drawn(running, long.replace("star-thing", "x"))) > 0


@pytest.mark.parametrize(("name", "word"), [("foreign", "made for SDXL"), ("pickled", "pickle")])
def test_embeddings_that_cannot_be(running, models, name, word) -> None:
    """One for another kind of model, and a pickle, are words like any other, and the answer says so."""
    answer = running.draw(prompt=f"a circle, {name}")
    (note,) = info(answer)["comments"]
    assert word in note


@pytest.mark.parametrize("how", ["embedding", "nan", "sd1", "vae", "many"])
def test_bad_embeddings(running, models, how) -> None:
    """A file that is no embedding for this checkpoint is left out with a note, never an error."""
    path = models / "embeddings/wrong-one.safetensors"
    if how == "many":
        networks.write(path, {"emb_params": torch.ones(76, 64)})
    elif how == "embedding":
        networks.write(path, {"emb_params": torch.full((2, 64), float("nan"))})
    else:
        networks.bad(path, how)
    running.studio.engine.store.refresh()
    try:
        answer = running.draw(prompt="a circle wrong-one")
    finally:
        path.unlink()
        running.studio.engine.store.refresh()
    assert "wrong-one" in info(answer)["comments"][0]


def test_a_vae_file(running, models) -> None:
    """A VAE file changes what latents become; the infotext says which; the next request has its own again."""
    plain = drawn(running, "x")
    answer = running.draw(prompt="x", override_settings={"sd_vae": "dark.safetensors"})
    assert pixels(answer).mean() < plain.mean() - 20
    said = info(answer)
    assert said["sd_vae_name"] == "dark.safetensors"
    assert "VAE: dark.safetensors," in said["infotexts"][0]
    assert differ(drawn(running, "x"), plain) == 0


def test_a_vae_is_ones_own_choice(running, models) -> None:
    """`sd_vae` in a caller's options counts for that caller, and override_settings go before it."""
    plain = drawn(running, "x")
    with running.ask("darkling") as client:
        assert client.post("/sdapi/v1/options", json={"sd_vae": "dark"}).status_code == 200
    assert differ(pixels(running.draw("darkling", prompt="x")), plain) > 20
    assert differ(pixels(running.draw("somebody", prompt="x")), plain) == 0
    for word in ("None", "Automatic"):
        own = running.draw("darkling", prompt="x", override_settings={"sd_vae": word})
        assert differ(pixels(own), plain) == 0


def test_automatic_takes_the_checkpoints_namesake(running, models) -> None:
    """Automatic takes a VAE file called as the checkpoint, None its own in any case, as in A1111."""
    plain = drawn(running, "x")
    twin = models / "VAE/easel-starter.vae.safetensors"
    shutil.copy(models / "VAE/dark.safetensors", twin)
    running.studio.engine.store.refresh()
    try:
        assert differ(drawn(running, "x"), plain) > 20
        assert differ(drawn(running, "x", override_settings={"sd_vae": "None"}), plain) == 0
    finally:
        twin.unlink()
        running.studio.engine.store.refresh()


@pytest.mark.parametrize(("name", "word"), [("strange", "another kind of model"), ("sixteen", "16 channels")])
def test_a_vae_for_another_kind(running, models, name, word) -> None:
    """A VAE whose latents are not the checkpoint's is refused, even where names and shapes agree."""
    answer = running.draw(prompt="x", override_settings={"sd_vae": name})
    assert answer.status_code == 422
    assert word in answer.json()["errors"]
    assert running.draw(prompt="x").status_code == 200
