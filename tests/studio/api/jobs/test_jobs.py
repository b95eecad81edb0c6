"""`Prefer: respond-async` and `/jobs`: a request is a ticket, and its pictures come whoever waits."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image, ImageChops

ASYNC = {"Prefer": "respond-async"}
SMALL = {"prompt": "a red circle on blue", "steps": 3, "width": 64, "height": 64, "seed": 7}
LONG = {**SMALL, "steps": 150, "width": 256, "height": 256, "batch_size": 2}
FINAL = {"done", "failed", "cancelled"}


def accept(client: httpx.Client, route: str = "txt2img", **fields: Any) -> dict[str, Any]:
    answer = client.post(f"/sdapi/v1/{route}", json=fields, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    ticket: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/jobs/{ticket['id']}"
    assert answer.headers["preference-applied"] == "respond-async"
    return ticket


def wait(client: httpx.Client, id: str, until: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    end = time.monotonic() + 100
    while True:
        ticket: dict[str, Any] = client.get(f"/jobs/{id}").raise_for_status().json()
        if until(ticket):
            return ticket
        assert time.monotonic() < end, ticket
        time.sleep(0.02)


def ended(client: httpx.Client, id: str) -> dict[str, Any]:
    return wait(client, id, lambda ticket: ticket["state"] in FINAL)


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


def differ(one: Image.Image, other: Image.Image) -> int:
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def test_a_request_is_a_ticket(ada: httpx.Client) -> None:
    """202 at once; the picture is in the gallery, and the result is what the route answers."""
    ticket = accept(ada, **SMALL)
    assert ticket["kind"] == "txt2img"
    assert ticket["prompt"] == SMALL["prompt"]
    done = ended(ada, ticket["id"])
    assert (done["state"], done["fraction"], done["error"]) == ("done", 1.0, None)
    (picture,) = done["results"]
    assert ada.get(f"/{picture['url']}").content.startswith(b"\x89PNG")
    assert (picture["width"], picture["seed"], picture["prompt"]) == (64, 7, SMALL["prompt"])
    result = ada.get(f"/jobs/{ticket['id']}/result").raise_for_status().json()
    answer = ada.post("/sdapi/v1/txt2img", json=SMALL).json()
    assert differ(opened(result["images"][0]), opened(answer["images"][0])) <= 2
    assert result.keys() == answer.keys()
    now, then = json.loads(answer["info"]), json.loads(result["info"])
    assert {key: then[key] for key in now if key != "job_timestamp"} == {
        key: now[key] for key in now if key != "job_timestamp"
    }
    listed = ada.get("/jobs").json()["jobs"]
    assert ticket["id"] in [one["id"] for one in listed]
