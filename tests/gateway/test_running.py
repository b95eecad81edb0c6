"""The gateway as a process: starting, following changes, losing Caddy, ending, being killed."""

from __future__ import annotations

import concurrent.futures
import hashlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest

from easel.gateway.config import read
from easel.gateway.errors import PortTaken
from easel.gateway.process.ports import check_ports
from tests.gateway.conftest import IMAGE, House, until, user
from tests.gateway.relay.test_streams import say, websocket

Build = Callable[..., House]


def refused(house: House) -> str:
    """What it says instead of starting."""
    done = subprocess.run(
        [sys.executable, "-m", "easel.gateway", "--home", str(house.root)],
        env={**os.environ, "PYTHONPATH": str(IMAGE)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_a_taken_port_is_one_clear_line(build: Build) -> None:
    """Which port, whose, and who has it."""
    house = build(studio={})
    console = f"port {house.ports['console']} of the console is taken"
    with socket.create_server(("127.0.0.1", house.ports["console"])), pytest.raises(PortTaken, match=console):
        check_ports(read(house.root / "config").ports(), "127.0.0.1", patience=0)
    with socket.create_server(("127.0.0.1", house.ports["studio"])):
        line = refused(house)
    assert f"port {house.ports['studio']} of endpoint studio is taken" in line
    assert f"(process {os.getpid()})" in line


@pytest.mark.slow
def test_caddy_leaves_last(build: Build) -> None:
    """At the end everybody is answered: what can be finished is finished and delivered, what cannot, what is
    held, and who comes meanwhile gets 503 with Retry-After."""
    house = build(studio={}, slow={"env": {"EASEL_TEST_SLOW": "60"}}).start(wait=None)
    until(lambda: house.state("studio") == "ready")
    callers = {name: house.caller(name) for name in ("studio", "slow")}

    def draw(name: str, seconds: float) -> httpx.Response:
        return callers[name].post(f"/sdapi/v1/txt2img?seconds={seconds}", json={"prompt": "a cat"})

    with concurrent.futures.ThreadPoolExecutor() as people:
        short = [people.submit(draw, "studio", 2.0) for _ in range(3)]
        long, held = people.submit(draw, "studio", 60), people.submit(draw, "slow", 0)
        until(lambda: house.endpoint("studio")["running"] == 4 and house.endpoint("slow")["waiting"] == 1)
        assert house.process
        house.process.send_signal(signal.SIGTERM)
        until(lambda: not (house.root / "run" / "gateway.json").exists())
        late = people.submit(draw, "studio", 0)
        assert [one.result(20).status_code for one in short] == [200] * 3
        for refused in (long, held, late):
            assert refused.result(20).status_code == 503
            assert int(refused.result().headers["retry-after"]) <= 10
    assert house.process.wait(20) == 0


def test_a_request_outlives_its_replica_once(build: Build) -> None:
    """A drawing call whose replica is killed before it answers is drawn by the restarted one, with the same
    body; a second death is 502. A large body is not sent twice; limits still hold."""
    large = {"max_body": 9_000_000}
    pair = {"replicas": {"min": 2, "max": 2}}
    house = build(studio=large, big=large, pair=pair, twice={}).start()
    callers = {name: house.caller(name) for name in ("studio", "big", "pair", "twice")}
    body = {"prompt": "{http.request.uri} {vars.body} \u2603 " + "x" * 300_000}

    def pid(name: str) -> int:
        return int(until(lambda: answer_of(name, "/test/pid")).json()["pid"])

    def answer_of(name: str, path: str) -> httpx.Response | None:
        answer = callers[name].get(path)
        return answer if answer.status_code == 200 else None

    def kill(name: str, pid: int) -> None:
        until(lambda: house.endpoint(name)["running"])
        os.kill(pid, signal.SIGKILL)

    def draw(name: str, seconds: float, **rest: Any) -> concurrent.futures.Future[httpx.Response]:
        return people.submit(callers[name].post, f"/sdapi/v1/txt2img?seconds={seconds}", **rest)

    def die_twice() -> httpx.Response:
        patient = pid("twice")
        drawn = draw("twice", 60, json=body)
        kill("twice", patient)
        kill("twice", pid("twice"))
        return drawn.result(30)

    # An endpoint for each death, side by side: after each one a replica waits longer until it starts again.
    with concurrent.futures.ThreadPoolExecutor() as people:
        first, only = pid("studio"), pid("big")
        until(lambda: [one["state"] for one in house.endpoint("pair")["replicas"]] == ["ready"] * 2)
        second_death = people.submit(die_twice)
        small = draw("studio", 1.5, json=body)
        kill("studio", first)
        whole = draw("big", 60, content=b"x" * 8_500_000)
        kill("big", only)
        moves = draw("pair", 1.5, json=body)
        # Where there is another one, nobody waits for the restart.
        until(lambda: house.endpoint("pair")["running"])
        killed = pid("pair")
        kill("pair", killed)
        assert moves.result(30).json()["pid"] != killed
        assert not [e for e in house.api("GET", "/api/events?endpoint=pair").json() if e["kind"] == "waking"]
        assert whole.result(30).status_code == 502

        answer = small.result(30)
        assert answer.status_code == 200, answer.text
        second = pid("studio")
        assert answer.json()["pid"] == second != first
        assert answer.json()["sha256"] == hashlib.sha256(answer.request.content).hexdigest()
        assert "they go to another one" in house.api("GET", "/api/events?endpoint=studio").text

        assert second_death.result(30).status_code == 502
    assert pid("big") != only
    assert callers["big"].post("/sdapi/v1/txt2img", content=b"x" * 9_000_001).status_code == 413
    # What draws nothing is not sent again.
    assert callers["big"].post("/test/set", json={"crash": True}).status_code == 502


def test_a_broken_configuration_is_one_clear_line(build: Build) -> None:
    """File, place, value and what is allowed; not a traceback, and no half-started door."""
    houses = [build(studio={"idle": "soon"}), build(studio={})]
    (houses[1].root / "tokens.json").write_text("junk")
    with concurrent.futures.ThreadPoolExecutor() as beside:
        idle, tokens = beside.map(refused, houses)
    assert "config/studio.json: idle" in idle
    assert "tokens.json is not a file of tokens" in tokens
    assert not any((house.root / "run" / "gateway.json").exists() for house in houses)


def test_the_life_of_a_gateway(build: Build) -> None:
    """One gateway through its life: opens soon, keeps secrets to itself, is alone, survives Caddy, ends
    clean."""
    house = build(studio={"env": {"EASEL_TEST_SLOW": "1"}})
    began = time.monotonic()
    house.start(wait=None)
    # The door answers while the replica still starts, and nothing heavy was imported for it.
    answer = house.caller("studio").get("/sdapi/v1/progress")
    assert answer.status_code == 503
    assert time.monotonic() - began < 15  # 3 s on a machine that does nothing else
    # run/ is the operator's alone.
    assert (house.root / "run").stat().st_mode & 0o077 == 0
    for name in (
        "run/gateway.json",
        "run/links.json",
        "run/Caddyfile",
        "run/caddy.sock",
        "secret",
        "tokens.json",
    ):
        assert (house.root / name).stat().st_mode & 0o077 == 0, name
    gateway = json.loads((house.root / "run" / "gateway.json").read_text())
    assert set(gateway) == {"pid", "url", "token"}
    with concurrent.futures.ThreadPoolExecutor() as beside:
        # Nobody else serves this folder. It waits a while for the other one to end.
        another = beside.submit(refused, house)
        until(house.settled)
        # Caddy dies: it comes back, with everything as it was, and the replica lives on.
        browser = house.browser("studio")
        name, pid = user(browser.get("/")), browser.get("/").json()["pid"]
        house.caddy().kill()
        until(lambda: answers(house))
        assert user(browser.get("/")) == name
        assert browser.get("/").json()["pid"] == pid
        assert f"process {gateway['pid']}" in another.result()
    # A second start: the same link, the same session, the same people.
    link = house.endpoint("studio")["link"]
    processes = house.processes()
    assert house.stop() == 0
    assert psutil.wait_procs(processes, 5)[1] == []
    assert not (house.root / "run" / "gateway.json").exists()
    house.set("studio")
    house.start()
    assert house.endpoint("studio")["link"] == link
    assert user(browser.get("/")) == name
    # kill -9: not even then an orphan, and the next start finds its ports free.
    processes = house.processes()
    assert len(processes) == 4  # two watchdogs, Caddy, the replica
    os.kill(house.process.pid, signal.SIGKILL)  # type: ignore[union-attr]
    house.process.wait()  # type: ignore[union-attr]
    assert psutil.wait_procs(processes, 10)[1] == []
    house.start()
    assert user(browser.get("/")) == name


def answers(house: House) -> bool:
    try:
        return house.caller("studio").get("/internal/ping").status_code == 200
    except OSError:
        return False
    except Exception as error:
        if type(error).__module__.startswith("httpx"):
            return False
        raise


def test_stopping_while_somebody_waits(build: Build) -> None:
    """SIGTERM in the middle of a start and of a held call ends everything, soon."""
    house = build(studio={"replicas": {"min": 0, "max": 1}, "env": {"EASEL_TEST_SLOW": "60"}})
    house.start()
    with socket.create_connection(("127.0.0.1", house.ports["studio"])) as waiting:
        token = house.token("studio")
        waiting.sendall(
            f"GET /sdapi/v1/options HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        until(lambda: house.endpoint("studio")["waiting"] == 1)
        processes = house.processes()
        began = time.monotonic()
        assert house.stop() == 0
        assert time.monotonic() - began < 20
    assert psutil.wait_procs(processes, 1)[1] == []


def test_following_changes(build: Build) -> None:
    """Endpoints come, change and go while the gateway runs; what is wrong is said and changes nothing."""
    house = build(studio={})
    house.start()
    connection, _ = websocket(house, f"Authorization: Bearer {house.token('studio')}")
    assert say(connection, b"a") == b"echo a for link"
    # One comes.
    house.set("portraits", replicas={"min": 0, "max": 1})
    house.team(endpoints=["studio", "portraits"])
    until(lambda: len(house.status()["endpoints"]) == 2)
    assert user(house.caller("portraits").post("/sdapi/v1/txt2img", json={})) == "link"
    # A WebSocket of the other one lived through Caddy's reload.
    assert say(connection, b"b") == b"echo b for link"
    connection.close()
    # One becomes public, without its replica being touched.
    pid = house.caller("portraits").get("/x").json()["pid"]
    house.set("portraits", replicas={"min": 0, "max": 1}, public=True)
    until(lambda: house.client("portraits").get("/x", headers={"Sec-Fetch-Mode": "cors"}).status_code == 200)
    assert house.caller("portraits").get("/x").json()["pid"] == pid
    # Faults change nothing and are told.
    house.set("portraits", port=house.ports["studio"])
    until(
        lambda: any("also the port of" in event["text"] for event in house.api("GET", "/api/events").json())
    )
    assert house.caller("portraits").get("/x").json()["pid"] == pid
    (house.root / "config" / "portraits.json").write_text("{")
    until(lambda: any("is not JSON" in event["text"] for event in house.api("GET", "/api/events").json()))
    assert house.caller("portraits").get("/x").json()["pid"] == pid
    # One moves to another port.
    house.set("portraits", port=house.ports["console"] - 1 if house.ports["console"] > 2000 else 20001)
    # One goes, and its replica with it.
    house.team(endpoints=["studio"])
    until(lambda: len(house.status()["endpoints"]) == 1)
    until(lambda: not psutil.pid_exists(pid))
    with (
        pytest.raises(OSError, match="refused"),
        socket.create_connection(("127.0.0.1", house.ports["portraits"]), 2),
    ):
        pass
    assert house.state("studio") == "ready"


def test_a_long_path_is_no_obstacle(build: Build, tmp_path: object) -> None:
    """A unix socket's path is short by nature; EASEL_HOME need not be."""
    house = House(build(studio={}).root.parent / ("deep" * 30), studio={"replicas": {"min": 0, "max": 1}})
    try:
        house.start()
        assert house.client("studio").get("/").status_code == 401
    finally:
        house.stop()


def test_importing_the_package_is_light() -> None:
    """`easel.gateway` for its names, and the process that runs it, import no web page and no model library.

    The process has no terminal to colour for either: it keeps `rich` from structlog, so comes before it.
    """
    loaded = run("import sys; import easel.gateway.__main__; print(*sys.modules)")
    assert (
        not {"torch", "diffusers", "gradio", "starlette", "uvicorn", "httpx", "fastapi", "structlog", "rich"}
        & loaded
    )
    loaded = run("import sys; import easel.gateway.assembly; print(*sys.modules)")
    assert not {"starlette", "uvicorn", "httpx", "joserfc", "authlib", "boto3"} & loaded, (
        "before Caddy starts"
    )
    loaded = run("import sys; import easel.gateway.__main__, easel.gateway.server; print(*sys.modules)")
    assert (
        not {"torch", "diffusers", "gradio", "fastapi", "httpx", "psutil", "easel.studio", "easel.models"}
        & loaded
    )


def run(program: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(IMAGE)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


ROOMS = sorted(
    ".".join(door.parent.relative_to(IMAGE).parts)
    for door in (IMAGE / "easel" / "gateway").rglob("__init__.py")
    if door.parent.name != "gateway"
)


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_says_what_it_is_for(room: str) -> None:
    """In three lines or four; what others may use is what its door imports."""
    door = importlib.import_module(room)
    assert door.__doc__ is not None
    assert 3 <= len(door.__doc__.strip().splitlines()) <= 4
