"""What of Gradio can be reached, and by whom: real requests of two people to the mounted page."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from easel.studio.engine import JobState

SECRET = "ada's secret prompt"
# Where a stranger's path could be: as Gradio writes files, as its older releases did, nested, doubled.
_META = '"meta": {{"_type": "gradio.FileData"}}'
_ADDRESS = "http://127.0.0.1:9/x.png"
SHAPES = [
    '{{"path": "{path}"}}',
    '{{"path": "{path}", META}}',
    '{{"path": "{path}", "url": "/gradio_api/file={path}", "orig_name": "x.png", META}}',
    '[{{"path": "{path}", META}}]',
    '[["{path}"]]',
    '{{"image": {{"path": "{path}", META}}, "caption": null}}',
    '{{"name": "{path}", "is_file": true, "data": null}}',
    '{{"path": "x", "url": "file://{path}", META}}',
    '{{"path": "ADDRESS", "url": "ADDRESS", META}}',
    '{{"path": "x", "path": "{path}", META}}',
    '{{"p\\u0061th": "{path}", META}}',
    '{{"root": [{{"path": "{path}", META}}]}}',
    '{{"stream": {{"path": "{path}", "is_stream": true, META}}}}',
]


@pytest.fixture(scope="module")
def picture(running) -> str:
    """A saved picture of ada's, as a path of the disk."""
    assert running.draw("ada", save_images=True, prompt=SECRET).status_code == 200
    return str(running.studio.outputs.recent("ada", 1)[0])


@pytest.fixture(scope="module")
def events(running) -> dict[str, dict[str, Any]]:
    """The page's events by name: their number, and what they take."""
    with running.ask("ada") as ada:
        return {one["api_name"]: one for one in ada.get("/config").json()["dependencies"]}


def event(events: dict[str, dict[str, Any]], name: str, session: str, **more: Any) -> dict[str, Any]:
    return {"fn_index": events[name]["id"], "session_hash": session, "trigger_id": None,
            "data": [None] * len(events[name]["inputs"]), **more}  # fmt: skip


def drawn() -> list[Any]:
    """What the fields hold, in the order of the page: work that takes longer than a test."""
    return [None, None, SECRET, "", "Euler a", "Automatic", 150, 7, 64, 64, 100, 1, 5]


def heard(client: httpx.Client, session: str) -> Iterator[dict[str, Any]]:
    """The messages of a session, to its last event's end."""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


# ── pictures ─────────────────────────────────────────────────────────────────────────────────────────


def address(picture: str) -> str:
    return "/files/pictures/" + "/".join(picture.split("/")[-2:])


def test_own_pictures_are_shown(running, picture) -> None:
    """The owner gets the file as it is, as a picture and nothing else."""
    with running.ask("ada") as ada:
        answer = ada.get(address(picture))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert answer.headers["cache-control"].startswith("private")
    assert b"parameters" in answer.content


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("owner", ["bob", "", "ada/../bob", "ADA", "@operator"])
def test_others_pictures_are_not(running, picture, owner, method) -> None:
    """The same address is another picture for everybody else, or none."""
    with running.ask(owner) as other:
        assert other.request(method, address(picture)).status_code == 404


@pytest.mark.parametrize(
    "name", ["../options.json", "%2e%2e/options.json", ".x.part", "00001-7.txt", "x/00001-7.png", "%00.png"]
)
def test_pictures_alone(running, picture, name) -> None:
    """What else lies with them has no address."""
    running.studio.options.update("ada", {"x": 1})
    with running.ask("ada") as ada:
        assert ada.get(f"/files/pictures/2026-01-01/{name}").status_code == 404


# ── files ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("owner", ["ada", "bob"])
@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file={path}", "/gradio_api/file/{path}", "/gradio_api/file=//{path}",
     "/gradio_api//file={path}", "/gradio_api/file=a%00b",
     "/gradio_api/file%3D{path}", "/gradio_api/file=/etc/passwd", "/gradio_api/file=pyproject.toml",
     "/gradio_api/file=http://127.0.0.1:9/x", "/gradio_api/file=https://example.com/x.png",
     "/gradio_api/file=file:///etc/passwd", "/gradio_api/proxy=http://127.0.0.1:9/x",
     "/gradio_api/proxy=https://example.hf.space/x", "/gradio_api/stream/a/b/1/playlist-file",
     "/file={path}", "/static/../{path}", "/assets/..%2f..%2f..%2fetc/passwd", "/svelte/..%2f{path}"],
)  # fmt: skip
def test_no_file_by_gradios_routes(running, picture, owner, path) -> None:
    """Not even the owner's: there is one way to a picture, and it asks who comes."""
    request = httpx.Request("GET", running.url + path.format(path=picture), headers={"X-Easel-User": owner})
    with running.ask(owner) as client:
        answer = client.send(request)
    assert answer.status_code in (403, 404)
    assert b"root:" not in answer.content
    assert SECRET.encode() not in answer.content


@pytest.mark.parametrize("route", ["queue/join", "run/predict"])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_field_takes_a_path(running, picture, events, shape, route) -> None:
    """Whatever a value looks like, and in whatever field: words and numbers alone are passed to Gradio."""
    value = shape.replace("META", _META).replace("ADDRESS", _ADDRESS).format(path=picture)
    with running.ask("bob") as bob:
        for name in ("from_text", "from_prompt", "select", "generate"):
            body = event(events, name, "bobs")
            body["data"] = [*body["data"][:-1], "VALUE"]
            text = json.dumps(body).replace('"VALUE"', value)
            answer = bob.post(
                f"/gradio_api/{route}", content=text, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code == 403, name
            assert SECRET not in answer.text


def test_a_path_as_a_word_opens_nothing(running, picture, events) -> None:
    """A field that takes words, or a state that is the page's own, is no way to name a file."""
    with running.ask("bob") as bob:
        for name in ("from_text", "from_prompt", "from_picture", "seed_of"):
            body = event(events, name, "words")
            body["data"] = [picture for _ in body["data"]]
            answer = bob.post("/gradio_api/run/predict", json=body)
            assert SECRET not in answer.text
            assert '"seed' not in answer.text


def test_a_chosen_picture_is_a_number(running, picture, events) -> None:
    """What the browser says of the picture that was chosen does not reach the event."""
    body = event(events, "select", "chooser", event_data={"index": 0, "value": {"image": {"path": picture}}})
    with running.ask("bob") as bob:
        answer = bob.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 200
    assert answer.json()["data"] == [None, ""]


def test_nothing_is_uploaded_to_a_common_folder(running) -> None:
    """Gradio's uploads are everybody's, by a name that the content gives: there are none."""
    with running.ask("ada") as ada:
        answer = ada.post("/gradio_api/upload", files={"files": ("a.png", b"x")})
        assert answer.status_code == 404
        assert ada.get("/gradio_api/upload_progress", params={"upload_id": "x"}).status_code == 404


OPEN = {
    ("GET", "/"), ("HEAD", "/"), ("GET", "/config"), ("GET", "/theme.css"), ("GET", "/favicon.ico"),
    ("GET", "/manifest.json"), ("GET", "/robots.txt"),
    ("GET", "/assets/{path:path}"), ("GET", "/static/{path:path}"),
    ("GET", "/svelte/{path:path}"), ("GET", "/gradio_api/info"), ("GET", "/gradio_api/startup-events"),
    ("GET", "/gradio_api/queue/data"), ("GET", "/gradio_api/heartbeat/{session_hash}"),
    ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/run/{api_name}"),
    ("POST", "/gradio_api/cancel"),
}  # fmt: skip


def test_every_other_route_of_gradio_is_closed(running) -> None:
    """All that the installed Gradio has, and what the page needs of it: a new release opens nothing."""
    import gradio as gr

    routes = {
        (method, route.path)
        for route in _flat(gr.routes.App.create_app(gr.Blocks()).routes)
        for method in route.methods or ()
    }
    assert len(routes) > 60
    assert {("POST", "/gradio_api/upload"), ("GET", "/gradio_api/file={path_or_url:path}")} <= routes
    with running.ask("ada") as ada:
        for method, path in sorted(routes - OPEN):
            if path in ("/docs", "/openapi.json", "/redoc", "/docs/oauth2-redirect"):
                continue  # the studio's own are before them
            asked = re.sub(r"\{[^}]*\}", "x", path)
            content = b"{}" if method == "POST" else None
            answer = ada.request(method, asked, content=content)
            assert answer.status_code in (404, 405), (method, path)


def _flat(routes: Any) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "path") and hasattr(route, "methods"):
            yield route
        elif hasattr(route, "original_router"):
            yield from _flat(route.original_router.routes)


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_session_is_its_owners(running, events) -> None:
    """Whoever learns another's session and event reads nothing of it and stops nothing."""
    with running.ask("ada") as ada, running.ask("bob") as bob:
        joined = ada.post("/gradio_api/queue/join", json=event(events, "generate", "tab", data=drawn()))
        number = joined.json()["event_id"]
        found: list[dict[str, Any]] = []
        reader = threading.Thread(target=lambda: found.extend(heard(ada, "tab")))
        reader.start()
        _until(lambda: running.studio.engine.jobs("ada"))
        assert bob.get("/gradio_api/queue/data", params={"session_hash": "tab"}).status_code == 404
        stop = {"session_hash": "tab", "event_id": number, "fn_index": events["generate"]["id"]}
        assert bob.post("/gradio_api/cancel", json=stop).status_code == 404
        for route in ("call/generate", "call/v2/generate"):
            assert bob.get(f"/gradio_api/{route}/{number}").status_code == 404
        for path in ("reset", f"stream/{number}", f"stream/{number}/close", "component_server"):
            assert bob.post(f"/gradio_api/{path}", json={"event_id": number, **stop}).status_code == 404
        assert bob.get("/gradio_api/deep_link", params={"session_hash": "tab"}).status_code == 404
        # A tab that closes stops its job; somebody else's tab of that name is another.
        with bob.stream("GET", "/gradio_api/heartbeat/tab") as beat:
            next(beat.iter_bytes())
        bob.post("/gradio_api/run/predict", json=event(events, "interrupt", "tab"))
        bob.post("/gradio_api/run/predict", json=event(events, "leave", "tab"))
        mine = bob.post("/gradio_api/run/predict", json=event(events, "seed_of", "tab"))
        assert "Seed" not in mine.text
        (job,) = running.studio.engine.jobs("ada")
        _until(lambda: job.state is JobState.RUNNING)
        # The owner's own word does end it.
        ada.post("/gradio_api/run/predict", json=event(events, "interrupt", "tab"))
        reader.join(60)
    ended = [one for one in found if one["msg"] == "process_completed"]
    assert "Interrupted" in json.dumps(ended)
    shown = json.dumps(found)
    assert str(running.home) not in shown


@pytest.mark.parametrize("submitted", [True, False], ids=["submitted", "being submitted"])
def test_ones_own_event_can_be_cancelled(running, events, monkeypatch, submitted) -> None:
    """The rule costs the owner nothing, and the job ends, also where it is only just being submitted."""
    durable_jobs, may_return = running.studio.durable_jobs, threading.Event()
    submit = durable_jobs.submit

    def held(*asked: Any) -> Any:
        found = submit(*asked)
        may_return.wait(60)
        return found

    if submitted:
        may_return.set()
    monkeypatch.setattr(durable_jobs, "submit", held)
    with running.ask("cancel-er") as one:
        joined = one.post("/gradio_api/queue/join", json=event(events, "generate", "own", data=drawn()))
        _until(lambda: running.studio.engine.jobs("cancel-er"))
        stop = {
            "session_hash": "own",
            "event_id": joined.json()["event_id"],
            "fn_index": events["generate"]["id"],
        }
        assert one.post("/gradio_api/cancel", json=stop).json() == {"success": True}
        may_return.set()
        _until(lambda: not running.studio.engine.jobs("cancel-er"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"session_hash": "a", "fn_index": NaN, "data": []}', 422),
        (b'{"session_hash": "a", "fn_index": 1, "data": [[-Infinity]]}', 422),
        (b'{"session_hash": "a", "fn_index": 1, "data": [1e999]}', 422),
        (b'{"session_hash": null, "fn_index": 1, "data": []}', 400),
        (b'{"session_hash": "../x", "fn_index": 1, "data": []}', 400),
        (b'{"session_hash": "a", "fn_index": "1", "data": []}', 400),
        (b'{"session_hash": "a", "fn_index": true, "data": []}', 400),
        (b'{"session_hash": "a", "fn_index": 1, "data": {}}', 403),
        (b'{"session_hash": "a", "fn_index": 1}', 403),
        (b'{"session_hash": "a", "fn_index": 1, "data": ["' + b"x" * (1 << 20) + b'"]}', 413),
        (b"[" * 100_000, 400),
        (json.dumps({"session_hash": "a", "fn_index": 1, "data": [{"path": "x"}]}).encode("utf-16"), 403),
    ],
)
@pytest.mark.parametrize("route", ["queue/join", "run/predict"])
def test_what_an_event_is(ada, route, body, status) -> None:
    """What cannot be an event is refused in words before Gradio sees it, in whatever encoding."""
    answer = ada.post(
        f"/gradio_api/{route}", content=body, headers={"Content-Type": "application/json; charset=utf-16"}
    )
    assert answer.status_code == status
    assert answer.text


def _until(true: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
