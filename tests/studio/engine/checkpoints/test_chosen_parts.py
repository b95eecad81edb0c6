"""Text encoders and VAEs that are named beside a checkpoint (Forge's modules): drawn with, told, shared
by nobody who named others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easel.models import Architecture, UnknownModel
from easel.studio.engine import Engine, TextToImage
from easel.studio.engine.queue.job import Job
from tests.studio.engine.flow_store import FlowStore, engine, maker, write_sd1

FLUX, SD3 = Architecture.FLUX_DEV, Architecture.SD3
ASKED = TextToImage(
    prompt="a cat", width=64, height=64, steps=2, seed=7, sampler="Euler", cfg_scale=1, checkpoint="tiny-flux"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowStore]:
    """FLUX.1 with two T5 and two VAEs, an SD 3 that has its T5 inside, and an SD 1.x."""
    folder = tmp_path_factory.mktemp("chosen")
    with pytest.MonkeyPatch.context() as patch:
        found = maker(folder, patch)(FLUX, SD3)
        found.write_transformer(FLUX, "tiny-flux.safetensors")
        found.write_parts(FLUX)
        t5 = found.texts[FLUX, "t5-xxl"]
        found.write("text_encoder", "zz-t5xxl.safetensors", {name: one.flip(0) for name, one in t5.items()})
        brighter = dict(found.vaes[FLUX])
        brighter["decoder.conv_out.bias"] = brighter["decoder.conv_out.bias"] + 0.5
        found.write("VAE", "zz-brighter.safetensors", brighter)
        found.write_text(SD3, "clip-g")
        found.write_whole(SD3, "tiny-sd3.safetensors")
        found.families[Architecture.STARTER] = write_sd1(found.root, folder / "sd1")
        yield found


@pytest.fixture(scope="module")
def running(files: FlowStore) -> Iterator[Engine]:
    with engine(files) as started:
        yield started


def submit(running: Engine, *modules: str, **changes: Any) -> Job:
    return running.submit("ada", replace(ASKED, modules=modules, **changes))


def drawn(job: Job) -> np.ndarray[Any, Any]:
    return np.asarray(job.result(60)[0].image).astype(int)


def draw(running: Engine, *modules: str, **changes: Any) -> np.ndarray[Any, Any]:
    return drawn(submit(running, *modules, **changes))


def test_what_is_named_is_drawn_with(running: Engine) -> None:
    """By file name, name without ending, and paths of other systems; another text encoder makes another
    picture, and what would be taken anyway is the same checkpoint as that of who names nothing."""
    plain, same = submit(running), submit(running, "t5xxl_fp8_e4m3fn", "clip_l.safetensors")
    assert plain.checkpoint == same.checkpoint
    assert np.array_equal(drawn(plain), drawn(same))
    ways = (
        "zz-t5xxl",
        "text_encoder/zz-t5xxl.safetensors",
        "C:\\forge\\models\\text_encoder\\ZZ-T5XXL.safetensors",
    )
    others = [draw(running, way) for way in ways]
    assert np.abs(others[0] - drawn(plain)).max() > 1
    assert all(np.array_equal(one, others[0]) for one in others)


def test_people_with_others_share_nothing_wrongly(running: Engine) -> None:
    """Asked at once, everybody has the picture that they have alone, and the same again."""
    alone = [draw(running, exact=True), draw(running, "zz-t5xxl", exact=True)]
    jobs = [
        running.submit(f"person {number}", replace(ASKED, modules=modules, exact=True))
        for number, modules in enumerate(((), ("zz-t5xxl",)) * 3)
    ]
    assert jobs[0].checkpoint != jobs[1].checkpoint
    for number, job in enumerate(jobs):
        assert np.array_equal(drawn(job), alone[number % 2])


def test_a_vae_among_them(running: Engine) -> None:
    """Counts as `sd_vae` would; of two the one that `sd_vae` names is taken, and that is told."""
    named, chosen = submit(running, "zz-brighter", "zz-t5xxl"), submit(running, "zz-t5xxl", vae="zz-brighter")
    assert np.array_equal(drawn(named), drawn(chosen))
    assert named.checkpoint == chosen.checkpoint
    both = submit(running, "zz-brighter", vae="ae")
    assert np.array_equal(drawn(both), draw(running, vae="ae"))
    assert [one for one in both.notes if "zz-brighter" in one and "ae.safetensors comes before" in one]


def test_one_inside_the_checkpoint_gives_way(running: Engine) -> None:
    """What is named comes before what the file holds itself."""
    sd3 = {"checkpoint": "tiny-sd3", "cfg_scale": 1.0}
    own, named = draw(running, **sd3), submit(running, "zz-t5xxl", **sd3)
    assert np.abs(own - drawn(named)).max() > 1
    assert [one.name for one in named.drawn_with.encoders] == ["zz-t5xxl.safetensors"]


def test_what_has_no_place_is_told(running: Engine) -> None:
    """Another family's, a second of a kind, and any for a UNet: drawn without, one sentence each. A client
    sends the same list whatever the checkpoint."""
    job = submit(running, "clip_g", "zz-t5xxl", "t5xxl_fp8_e4m3fn")
    assert np.array_equal(drawn(job), draw(running, "zz-t5xxl"))
    told = [one for one in job.notes if "forge_additional_modules" in one]
    assert ["clip_g.safetensors" in told[0], "zz-t5xxl.safetensors comes before" in told[1]] == [True, True]
    assert job.request.modules == ("zz-t5xxl",)
    unet = submit(running, "zz-t5xxl", "zz-brighter", checkpoint="dream")
    assert drawn(unet).shape == (64, 64, 3)
    assert sum("dream.safetensors has no place" in one for one in unet.notes) == 2
    assert unet.request.modules == ()


def test_unknown_names_are_refused(running: Engine) -> None:
    """At once, with what is there; a piece of a name is none."""
    for name in ("t5xxl_fp17", "t5"):
        with pytest.raises(UnknownModel, match=r"(?s)text encoder or VAE not found.*t5xxl"):
            submit(running, name)


def test_a_second_pass_with_its_own(running: Engine) -> None:
    """Forge's `hr_additional_modules`: the first pass's unless it names some."""
    from easel.studio.engine.requests.second_pass import HiresFix

    plain = draw(running, hires=HiresFix(scale=1.5, upscaler="Latent"))
    own = submit(running, hires=HiresFix(scale=1.5, upscaler="Latent", modules=("zz-t5xxl",)))
    assert drawn(own).shape == plain.shape
    assert np.abs(drawn(own) - plain).max() > 1
    assert own.hires_checkpoint != own.checkpoint


def test_a_file_that_is_replaced_is_read_anew(files: FlowStore, tmp_path: Path) -> None:
    """The text encoder of a checkpoint that is in memory: the next picture is the new one's."""
    path = files.root / "text_encoder" / "zz-t5xxl.safetensors"
    kept = path.read_bytes()
    try:
        with engine(files) as running:
            before = draw(running, "zz-t5xxl")
            path.unlink()
            files.write("text_encoder", path.name, files.texts[FLUX, "t5-xxl"])
            running.store.refresh()
            after = draw(running, "zz-t5xxl")
            assert np.abs(before - after).max() > 1
            assert np.array_equal(after, draw(running))
    finally:
        path.write_bytes(kept)
