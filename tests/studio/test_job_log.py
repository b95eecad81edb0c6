"""The log of a real studio: whose job it was, what asked for it and what it cost, and never what it shows."""

from __future__ import annotations

import shutil
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from easel.assertion import KEYS_VARIABLE, OPEN_VARIABLE, Signer, key_set
from tests.studio.api.test_process import Replica

PROMPT = "an unspeakable lighthouse"
BODY = {"prompt": PROMPT, "steps": 3, "width": 64, "height": 64, "seed": 7, "n_iter": 2}
IDS = {"sane": "team-7.trace:0042", "quote": 'x" or "y', "long": "a" * 129, "none": None, "line": "a b"}


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[dict[str, Any]], dict[str, str]]]:
    """All lines of a studio's life, and the request ids that its answers carried."""
    home, signer = tmp_path_factory.mktemp("home"), Signer("s" * 40)
    keys = home / "keys.json"
    keys.write_text(key_set([signer]))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(KEYS_VARIABLE, str(keys))
        environment.setenv(OPEN_VARIABLE, "/easel/load")
        replica, answered = Replica(home), {}
    try:
        replica.until("ready")
        ada_herself = {"X-Easel-Assertion": signer.sign("Ada L.", "portraits")}
        gateway = {"X-Easel-Assertion": signer.sign("@gateway", "portraits")}
        with httpx.Client(base_url=replica.url, timeout=60, headers=ada_herself) as ada:
            for name, sent in IDS.items():
                headers = {} if sent is None else {"X-Request-Id": sent}
                answer = ada.post("/sdapi/v1/txt2img", json=BODY, headers=headers)
                assert answer.status_code == 200
                answered[name] = answer.headers["X-Request-Id"]
            broken = replica.log.parent / "models" / "Stable-diffusion" / "short.safetensors"
            shutil.copyfile(broken.parent / "easel-starter.safetensors", broken)
            with broken.open("r+b") as file:
                file.truncate(100_000)
            ada.post("/sdapi/v1/refresh-checkpoints")
            failing = {**BODY, "override_settings": {"sd_model_checkpoint": "short.safetensors"}}
            answered["failed"] = ada.post("/sdapi/v1/txt2img", json=failing).headers["X-Request-Id"]
            ada.post("/sdapi/v1/txt2img", json={**BODY, "width": 8})
            ada.get("/files/content", params={"path": f"{PROMPT}.safetensors"})
            for _ in range(3):
                assert ada.get("/metrics", headers=gateway).status_code == 200
                ada.get("/sdapi/v1/progress")
    finally:
        replica.process.send_signal(signal.SIGTERM)
        replica.process.wait(20)
    return replica.lines(), answered


def of(
    logged: tuple[list[dict[str, Any]], dict[str, str]], event: str, **fields: Any
) -> list[dict[str, Any]]:
    return [one for one in logged[0] if one["event"] == event and fields.items() <= one.items()]


def test_a_request_id_is_the_callers_where_it_is_sane(logged: Any) -> None:
    """It comes back as it was sent; what would break a line or a header is replaced by one of ours."""
    _, answered = logged
    assert answered["sane"] == IDS["sane"]
    for name in ("quote", "long", "none", "line"):
        assert uuid.UUID(hex=answered[name]), name
    assert len(set(answered.values())) == len(answered)


def test_a_job_has_a_line_at_its_beginning_and_one_at_its_end(logged: Any) -> None:
    """Both say job, person, endpoint, checkpoint and request id; the last what it waited and cost."""
    for name in IDS:
        (accepted,) = of(logged, "job accepted", request_id=logged[1][name])
        (ended,) = of(logged, "job ended", job=accepted["job"])
        for line in (accepted, ended):
            assert line["person"] == "Ada L."
            assert line["endpoint"] == "portraits"
            assert line["checkpoint"] == "easel-starter.safetensors"
            assert line["request_id"] == logged[1][name]
            assert line["kind"] == "txt2img"
        assert ended["outcome"] == "finished"
        assert ended["error"] is None
        assert (ended["pictures"], ended["steps"], ended["pixels"]) == (2, 6, 2 * 64 * 64)
        assert 0 < ended["device_seconds"] <= ended["seconds"]
        assert 0 <= ended["waiting_seconds"] <= ended["seconds"]


def test_a_job_that_fails_says_by_what(logged: Any) -> None:
    """The error's class, beside whose job it was."""
    (ended,) = of(logged, "job ended", request_id=logged[1]["failed"])
    assert ended["outcome"] == "failed"
    assert ended["error"]
    assert ended["person"] == "Ada L."
    assert ended["pixels"] == 0


def test_a_request_has_a_line(logged: Any) -> None:
    """Route, status, seconds, bytes and request id; nothing of what is asked for every second."""
    lines = of(logged, "request")
    (drawn,) = [one for one in lines if one["request_id"] == IDS["sane"]]
    assert (drawn["route"], drawn["method"], drawn["status"]) == ("/sdapi/v1/txt2img", "POST", 200)
    assert drawn["seconds"] > 0
    assert drawn["received"] > len(PROMPT)
    assert drawn["sent"] > 2000
    assert drawn["person"] == "Ada L."
    assert drawn["endpoint"] == "portraits"
    routes = {one["route"] for one in lines}
    assert "/files/content" in routes
    assert not routes & {"/metrics", "/easel/load", "/sdapi/v1/progress"}


def test_every_line_of_a_job_says_whose_it_is(logged: Any) -> None:
    """Those of the engine, too, which knows of no request."""
    lines = [one for one in logged[0] if "job" in one]
    assert {"job accepted", "job ended"} <= {one["event"] for one in lines}
    for line in lines:
        assert {"person", "endpoint", "checkpoint", "request_id"} <= set(line), line


def test_no_line_has_a_prompt_or_a_file_that_was_asked_for(logged: Any) -> None:
    """What people draw and what they look for is no business of a log."""
    assert not [one for one in logged[0] if "unspeakable" in str(one)]
