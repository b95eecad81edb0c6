"""Programs that cannot be run here: the requests that their published source sends, and what they read of the
answers. docs/reference/clients.md says of each whether it works, and is held to these."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from easel.studio.png import encode
from tests.studio.api.clients_table import rows

HERE = Path(__file__).parent
CLIENTS = [json.loads(path.read_text()) for path in sorted((HERE / "clients").glob("*.json"))]
FILE = encode(Image.new("RGB", (64, 64), "#204080"))
BARE = base64.b64encode(FILE).decode()


def cases() -> list[Any]:
    return [
        pytest.param(call, id=f"{one['client']}: {call['call']} {number}")
        for one in CLIENTS
        for number, call in enumerate(one["calls"])
    ]


def filled(sent: Any, options: Any) -> Any:
    """The request with a picture in its places."""
    if isinstance(sent, dict):
        return {key: filled(value, options) for key, value in sent.items()}
    if isinstance(sent, list):
        return [filled(one, options) for one in sent]
    said = {"$bare": BARE, "$uri": f"data:image/png;base64,{BARE}", "$options": options}
    return said.get(sent, sent) if isinstance(sent, str) else sent


def read(answer: Any, place: str) -> Any:
    """What stands at `images.0`; `info` is JSON in a string, as clients read it."""
    for part in place.split("."):
        if isinstance(answer, str):
            answer = json.loads(answer)
        answer = answer[int(part)] if isinstance(answer, list) else answer[part]
    return answer


def ask(client: httpx.Client, call: dict[str, Any]) -> httpx.Response:
    method, path = call["call"].split()
    sent = filled(call.get("sent"), client.get("/sdapi/v1/options").json())
    if "files" in call:
        pictures = [(name, ("image.png", FILE, "image/png")) for name in call["files"]]
        return client.request(method, path, data=sent, files=pictures)
    if sent == "" or sent is None:
        return client.request(method, path)
    return client.request(method, path, json=sent)


@pytest.mark.usefixtures("interrogator_files")
@pytest.mark.parametrize("call", cases())
def test_calls_of_programs(ada, call) -> None:
    """Each is answered with what the program reads of it, or refused in the words that it shows."""
    answer = ask(ada, call)
    assert answer.status_code == call.get("refused", 200), answer.text[:500]
    if "detail" in call:
        assert answer.json()["detail"] == call["detail"]
    for place in call.get("reads", ()):
        assert read(answer.json(), place) is not None, place
    if "told" in call:
        assert call["told"] in " ".join(json.loads(answer.json()["info"])["comments"])


@pytest.mark.parametrize("one", CLIENTS, ids=lambda one: one["client"])
def test_the_table_says_what_is_tried(one) -> None:
    """docs/reference/clients.md has a row for each call, and none that nobody tries; a refusal is no yes."""
    tried: dict[str, list[bool]] = {}
    for call in one["calls"]:
        tried.setdefault(call["call"].partition("?")[0].rstrip("/"), []).append("refused" not in call)
    said = rows()[one["client"]]
    assert set(said) == set(tried)
    for call, works in tried.items():
        assert said[call].startswith("yes") == any(works), call
