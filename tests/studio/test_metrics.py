"""`GET /metrics`, judged by Prometheus' own parsers, and by what was done."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import httpx
import pytest
from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from easel.studio.metrics.engine_metrics import KINDS
from easel.studio.png import encode
from tests.studio.conftest import QUICK, Running

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
UNITS = ("_seconds", "_bytes", "_total", "_info", "_ratio", "_celsius")


def families(running: Running, accept: str = "text/plain") -> dict[str, Any]:
    """All metrics by the name of their family."""
    answer = httpx.get(f"{running.url}/metrics", headers={"Accept": accept}, timeout=30)
    assert answer.status_code == 200
    read = openmetrics_parser if "openmetrics" in answer.headers["Content-Type"] else text_parser
    return {family.name: family for family in read.text_string_to_metric_families(answer.text)}


def value(running: Running, sample: str, **labels: str) -> float:
    """Of all samples with at least these labels, the sum."""
    return sum(
        one.value
        for family in families(running).values()
        for one in family.samples
        if one.name == sample and labels.items() <= one.labels.items()
    )


@pytest.fixture(scope="module")
def busy(running: Running) -> Running:
    """A studio at which somebody drew, made larger, was refused and asked for what is not there."""
    picture = base64.b64encode(encode(running_picture())).decode()
    with running.ask("Carol Secretname") as carol:
        made = carol.post("/sdapi/v1/txt2img", json={**QUICK, "prompt": "a confidential circle", "n_iter": 2})
        assert made.status_code == 200
        over = {
            **QUICK,
            "init_images": [picture],
            "denoising_strength": 0.9,
            "prompt": "a confidential circle",
        }
        assert carol.post("/sdapi/v1/img2img", json=over).status_code == 200
        larger = {"image": picture, "upscaling_resize": 2, "upscaler_1": "Lanczos"}
        assert carol.post("/sdapi/v1/extra-single-image", json=larger).status_code == 200
        assert carol.post("/sdapi/v1/txt2img", json={**QUICK, "sampler_name": "None such"}).status_code == 400
        too_much = {"batch_size": 16, "n_iter": 100, "width": 2048, "height": 2048, "steps": 150}
        assert carol.post("/sdapi/v1/txt2img", json={**QUICK, **too_much}).status_code == 422
        assert carol.get("/confidential/path").status_code == 404
        assert carol.get("/sdapi/v1/confidential").status_code == 404
        assert carol.get("/files/content?path=confidential.safetensors").status_code == 404
        carol.request("CONFIDENTIAL", "/sdapi/v1/memory")
    return running


def running_picture() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64), "#204080")


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS, "*/*", ""])
def test_prometheus_reads_it(busy: Running, accept: str) -> None:
    """Its own parsers take every line, in the format that `Accept` asks for; every family has words."""
    answer = httpx.get(f"{busy.url}/metrics", headers={"Accept": accept}, timeout=30)
    wanted = "application/openmetrics-text" if accept == OPENMETRICS else "text/plain"
    assert answer.headers["Content-Type"].startswith(wanted)
    found = families(busy, accept)
    assert len(found) > 25
    assert all(family.documentation for family in found.values())


def test_names_are_prometheus_own_way(busy: Running) -> None:
    """Ours begin with `easel_`, counters end in `_total`, and units are seconds and bytes."""
    for name, family in families(busy).items():
        if name.startswith(("process_", "python_")):
            continue
        assert re.fullmatch(r"easel_[a-z_]+", name), name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name), name
        if family.type == "counter":
            assert all(one.name.endswith(("_total", "_created")) for one in family.samples), name
        if family.type == "histogram":
            assert name.endswith("_seconds") or name == "easel_batch_rows", name


def test_pictures_and_jobs_are_counted(busy: Running) -> None:
    """One more picture, of two steps, is one more picture, with two more steps, and a job that finished."""
    names = {
        "pictures": ("easel_pictures_total", {"kind": "txt2img"}),
        "pixels": ("easel_picture_pixels_total", {"kind": "txt2img"}),
        "steps": ("easel_steps_total", {}),
        "jobs": ("easel_jobs_total", {"outcome": "finished"}),
        "waits": ("easel_job_waiting_seconds_count", {}),
        "calls": ("easel_batch_rows_count", {}),
        "requests": ("easel_http_requests_total", {"route": "/sdapi/v1/txt2img", "status": "200"}),
    }
    before = {key: value(busy, name, **labels) for key, (name, labels) in names.items()}
    assert busy.draw("dave", seed=-1).status_code == 200
    more = {key: value(busy, name, **labels) - before[key] for key, (name, labels) in names.items()}
    assert more == {
        "pictures": 1, "pixels": 64 * 64, "steps": 2, "jobs": 1, "waits": 1, "calls": 2, "requests": 1,
    }  # fmt: skip
    for kind in ("txt2img", "img2img", "upscaling"):
        assert value(busy, "easel_pictures_total", kind=kind) >= 1, kind
    for call in ("backbone", "vae_decode", "vae_encode", "text_encoder"):
        assert value(busy, "easel_device_seconds_total", call=call) > 0, call
    assert value(busy, "easel_checkpoint_load_seconds_count", outcome="loaded") >= 1
    assert value(busy, "easel_checkpoints_resident") >= 1
    assert value(busy, "easel_batch_width") in (1, 2, 4, 8)
    # what the gateway reads, and its console shows
    said = httpx.get(f"{busy.url}/easel/load", timeout=30).json()["detail"]
    assert re.search(r" · 64x64, [1248] at once: ", said), said
    assert value(busy, "process_resident_memory_bytes") > 100e6
    assert value(busy, "easel_phase", phase="ready") == 1


def test_refusals_and_cancelling_are_outcomes(busy: Running) -> None:
    """Refused by the error's class; cancelled where somebody interrupted."""
    assert value(busy, "easel_jobs_total", outcome="refused") >= 1
    before = value(busy, "easel_jobs_total", outcome="cancelled")
    job = busy.studio.engine.submit("dave", _long())
    job.cancel()
    assert job.result(timeout=60) == []
    assert value(busy, "easel_jobs_total", outcome="cancelled") == before + 1


def test_a_checkpoint_that_cannot_be_read_is_a_failed_job(busy: Running) -> None:
    """The job's outcome has the error's class, the load its own, and nothing the file's name."""
    refused = busy.draw("dave", override_settings={"sd_model_checkpoint": "short.safetensors"})
    assert refused.status_code >= 400
    assert value(busy, "easel_jobs_total", outcome="failed") >= 1
    assert value(busy, "easel_checkpoint_load_seconds_count", outcome="failed") >= 1


def test_nobodys_work_is_in_a_label(busy: Running) -> None:
    """No name of a person, a file or a checkpoint, no word of a prompt, no path as it was asked for: each
    label is a word of the code, or the template of a route."""
    text = httpx.get(f"{busy.url}/metrics", timeout=30).text.casefold()
    for word in (
        "carol",
        "secretname",
        "dave",
        "confidential",
        "circle",
        "easel-starter",
        "short.safe",
        "none such",
    ):
        assert word not in text, word
    templates = _templates(busy) | {"unknown"}
    for name, family in families(busy).items():
        for sample in family.samples:
            for label, said in sample.labels.items():
                if label == "route":
                    assert re.sub(r":\w+}", "}", said) in templates, said
                elif name.startswith("easel_") and label in ("kind",):
                    assert said in KINDS
                else:
                    assert re.fullmatch(r"[A-Za-z0-9_.+-]*", said), (name, label, said)


def test_labels_do_not_grow_with_what_is_asked(busy: Running) -> None:
    """A thousand paths, names and methods make no more series than one."""
    with busy.ask() as client:
        for path in ("/x0", "/sdapi/v1/x0", "/files/x0", "/v1/models/x0", "/files/uploads/0"):
            client.get(path)
        client.request("QQ0", "/x0")
        before = httpx.get(f"{busy.url}/metrics", timeout=30).text.count("\n")
        for number in range(1, 200):
            for path in (
                f"/x{number}",
                f"/sdapi/v1/x{number}",
                f"/v1/models/x{number}",
                f"/files/uploads/{number}",
            ):
                client.get(path)
        client.request("QQ1", "/x1")
    assert httpx.get(f"{busy.url}/metrics", timeout=30).text.count("\n") <= before + 2


def test_transfers_are_counted_in_bytes(busy: Running) -> None:
    """A file that is fetched is as many bytes as it has."""
    path = "/files/content?path=models/Stable-diffusion/easel-starter.safetensors"
    before = value(busy, "easel_http_response_bytes_total", route="/files/content")
    with busy.ask("dave") as client:
        size = len(client.get(path).content)
    assert size > 1_000_000
    assert value(busy, "easel_http_response_bytes_total", route="/files/content") - before == size
    assert value(busy, "easel_transfers") == 0


def test_a_scrape_is_no_work(busy: Running) -> None:
    """An endpoint that is only looked at is idle for ever longer, so it falls asleep as it would without."""
    time.sleep(0.2)
    idle = []
    for _ in range(3):
        families(busy)
        idle.append(httpx.get(f"{busy.url}/easel/load", timeout=30).json()["idle_seconds"])
        time.sleep(0.3)
    assert idle == sorted(idle)
    assert idle[-1] - idle[0] >= 0.5


def _long() -> Any:
    from easel.studio.engine import TextToImage

    return TextToImage(prompt="a confidential circle", steps=150, width=128, height=128, batch_count=4)


def _templates(running: Running) -> set[str]:
    with running.ask() as client:
        described = set(client.get("/openapi.json").json()["paths"])
    return described | {
        "/files/list", "/files/content", "/files/uploads", "/files/uploads/{id}", "/",
        "/page/{state}/{path}",
        "/files/pictures/{day}/{name}", "/openapi.json", "/docs", "/easel/load", "/sdapi/v1/loras/preview",
    }  # fmt: skip
