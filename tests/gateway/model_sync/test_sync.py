"""Models that come before anything wakes: the real gateway and Caddy, sources on loopback."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from easel.gateway.config import Endpoint
from easel.gateway.errors import SyncRefused
from easel.gateway.events import Events
from easel.gateway.home import Home
from easel.gateway.model_sync.status import ModelStatus
from easel.gateway.model_sync.sync import ModelSync
from tests.gateway.conftest import House, until
from tests.models.serving import Request, Serving, model_bytes, serving, sha256

Build = Callable[..., House]
LORA = model_bytes(300_000, key="lora_unet_x.lora_up.weight")
ASLEEP = {"replicas": {"min": 0, "max": 1}}


class Gate:
    """Holds the bytes of files back until it is opened; what kind they are, a first question tells before."""

    def __init__(self, server: Serving, *paths: str, content: bytes = LORA) -> None:
        self._open = threading.Event()
        self.asked = threading.Event()
        self._closing = server.closing
        for path in paths:
            server.put(path, content, before=self._before)

    def open(self) -> None:
        self._open.set()

    def _before(self, request: Request) -> bool:
        if request.count == 1:
            return False
        self.asked.set()
        while not self._open.wait(0.02) and not self._closing.is_set():
            continue
        return False


@pytest.fixture
def server() -> Iterator[Serving]:
    with serving() as found:
        yield found


def models(house: House, name: str = "studio") -> dict[str, str]:
    return dict(house.endpoint(name)["models"])


def phase(house: House, name: str = "studio") -> str:
    return models(house, name)["phase"]


def events(house: House, name: str = "studio") -> list[str]:
    return [event["text"] for event in house.api("GET", "/api/events", params={"endpoint": name}).json()]


def syncs(house: House) -> list[psutil.Process]:
    """The processes that fetch models for this house."""
    return [
        each for each in psutil.process_iter(["cmdline"])
        if "easel.models" in (words := each.info["cmdline"] or []) and str(house.root / "models") in words
    ]  # fmt: skip


@pytest.mark.slow
def test_nothing_wakes_before_its_models_are_there(build: Build, server: Serving) -> None:
    """Who opens the page sees what is fetched, an API call that outlives its wait is told the same, and no
    replica starts; then it wakes by itself. `min: 1` waits too."""
    gate = Gate(server, "/style.safetensors")
    listed = {"models": [f"{server.url}/style.safetensors"]}
    short = ASLEEP | listed | {"idle": 1.0}
    impatient = ASLEEP | listed | {"timeouts": {"wake": 1.0}}
    house = build(studio=impatient, always=listed, free=ASLEEP, stays=short, left=short)
    house.start(wait=None)
    assert gate.asked.wait(20)
    browser = house.browser("studio")
    page = browser.get("/")
    assert page.status_code == 503
    assert "is waking up" in page.text
    until(lambda: "style.safetensors" in browser.get("/easel/waking").json()["detail"])
    assert browser.get("/easel/waking").json()["detail"].endswith("nothing runs yet")
    late = house.caller("studio").post("/sdapi/v1/txt2img", json={})
    assert late.status_code == 503
    assert int(late.headers["retry-after"]) > 0
    assert "style.safetensors" in late.json()["detail"]
    for name in ("studio", "always"):
        assert (house.state(name), house.endpoint(name)["replicas"]) == ("starting", [])
    assert models(house, "always")["detail"] == "waits until the models of studio are there"
    # Who lists none is not kept.
    assert house.endpoint("free")["models"] is None
    assert house.caller("free").post("/sdapi/v1/txt2img", json={}).status_code == 200
    # A fetch may outlast `idle`: who stays on the page is not forgotten, who closed it is.
    visitor = house.browser("stays")
    assert visitor.get("/").status_code == house.browser("left").get("/").status_code == 503
    until(lambda: house.state("stays") == house.state("left") == "starting")
    until(lambda: visitor.get("/easel/waking").json() and house.state("left") == "asleep")
    assert house.state("stays") == "starting"
    gate.open()
    until(lambda: visitor.get("/easel/waking").json()["state"] == "ready")
    until(lambda: house.state("studio") == house.state("always") == "ready")
    assert house.state("left") == "asleep"
    assert phase(house) == phase(house, "always") == "whole"
    found = house.root / "models" / "Lora" / "style.safetensors"
    assert sha256(found.read_bytes()) == sha256(LORA)
    told = events(house)
    assert "nothing is started before the models are there" in told
    assert any(each.startswith("fetching style.safetensors") for each in told)
    assert "its model is there" in told
    # A second gateway looks, finds all of it, and holds nobody.
    house.stop()
    asked = len(server.seen)
    house.start(wait=None)
    assert house.caller("left").post("/sdapi/v1/txt2img", json={}).status_code == 200
    until(lambda: not syncs(house))
    assert phase(house) == "whole"
    assert len(server.seen) == asked


def test_who_wakes_it_by_hand_need_not_wait(build: Build, server: Serving) -> None:
    """`easel wake` alone waits too; with `--now` it starts with what is there, and the fetch goes on."""
    gate = Gate(server, "/style.safetensors")
    house = build(studio=ASLEEP | {"models": [f"{server.url}/style.safetensors"]})
    house.start(wait=None)
    assert gate.asked.wait(20)
    assert house.api("POST", "/api/endpoints/studio/wake").status_code == 200
    until(lambda: house.state("studio") == "starting")
    assert house.endpoint("studio")["replicas"] == []
    assert house.api("POST", "/api/endpoints/studio/wake", params={"now": "true"}).status_code == 200
    until(lambda: house.state("studio") == "ready")
    assert phase(house) == "fetching"
    assert "started by hand before the models are there" in events(house)
    gate.open()
    until(lambda: phase(house) == "whole")
    assert house.state("studio") == "ready"


def test_a_model_that_cannot_be_had_keeps_nobody_waiting(build: Build, server: Serving) -> None:
    """The endpoint wakes without it and says so; the rest of the list is there; by hand it is tried again."""
    server.put("/there.safetensors", LORA)
    listed = [f"{server.url}/gone.safetensors", f"{server.url}/there.safetensors"]
    house = build(studio=ASLEEP | {"models": listed})
    house.start(wait=None)
    assert house.caller("studio").post("/sdapi/v1/txt2img", json={}).status_code == 200
    until(lambda: phase(house) == "failed")
    # Who only draws is told that, and not from where the team has its models.
    missing = house.browser("studio").get("/easel/waking").json()["missing"]
    assert "could not be fetched" in missing
    assert server.host not in missing
    said = models(house)["detail"]
    assert "1 of 2 models did not come" in said
    assert "gone.safetensors" in said
    assert "tried again in " in said
    assert any("wakes without" in each for each in events(house))
    assert (house.root / "models" / "Lora" / "there.safetensors").exists()
    assert said.split(";")[0] in house.browser("console").get("/").text
    server.put("/gone.safetensors", model_bytes(90_000, 3, key="lora_unet_x.lora_up.weight"))
    assert house.api("POST", "/api/endpoints/studio/wake").status_code == 200
    until(lambda: phase(house) == "whole")


def test_a_changed_list_is_fetched_while_the_endpoint_draws(build: Build, server: Serving) -> None:
    """No replica stops or waits for it, and what is fetched for a list that is no more ends."""
    server.put("/first.safetensors", LORA)
    house = build(studio={"models": [f"{server.url}/first.safetensors"]})
    house.start(wait=None)
    until(lambda: house.state("studio") == "ready")
    pid = house.caller("studio").get("/").json()["pid"]
    slow = server.put(
        "/slow.safetensors", model_bytes(900_000, 9, key="lora_unet_x.lora_up.weight"), rate=60_000.0
    )
    house.set("studio", models=[f"{server.url}/first.safetensors", f"{server.url}/slow.safetensors"])
    until(lambda: slow.sent > 100_000 and phase(house) == "fetching")
    assert house.state("studio") == "ready"
    (fetching,) = syncs(house)[-1:]
    server.put("/other.safetensors", model_bytes(90_000, 5, key="lora_unet_x.lora_up.weight"))
    house.set("studio", models=[f"{server.url}/other.safetensors"])
    until(lambda: (house.root / "models" / "Lora" / "other.safetensors").exists())
    until(lambda: phase(house) == "whole")
    assert not fetching.is_running()
    assert not (house.root / "models" / "Lora" / "slow.safetensors").exists()
    assert house.caller("studio").get("/").json()["pid"] == pid
    house.set("studio", models=[])
    until(lambda: house.endpoint("studio")["models"] is None)


@pytest.mark.slow
def test_a_killed_gateway_leaves_no_orphan_and_no_half_file(build: Build, server: Serving) -> None:
    """kill -9 in the middle of a download: nothing fetches on, nothing half is in the store, and the next
    gateway goes on from what came. What it ends in the ordinary way, too."""
    content = model_bytes(4_000_000, 7, key="lora_unet_x.lora_up.weight")
    file = server.put("/big.safetensors", content, rate=300_000.0)
    house = build(studio=ASLEEP | {"models": [f"{server.url}/big.safetensors"]})
    store = house.root / "models"
    house.start(wait=None)
    until(lambda: file.sent > 1_000_000, what="a part is fetched")
    for kill in (signal.SIGKILL, signal.SIGTERM):
        fetching = syncs(house)
        assert fetching
        assert house.process
        os.kill(house.process.pid, kill)
        house.process.wait()
        assert psutil.wait_procs(fetching, 20)[1] == []
        assert not list(store.rglob("[!.]*.safetensors"))
        house.start(wait=None)
        until(lambda: syncs(house), what="it is fetched on")
    file.rate = 0.0
    until(lambda: phase(house) == "whole")
    assert sha256((store / "Lora" / "big.safetensors").read_bytes()) == sha256(content)
    assert file.sent < len(content) + 900_000, "begun anew"
    assert not list(store.rglob(".*.part"))


# ── the sync by itself, with other programs in the place of the fetching ─────────────────────────────────


class Stage:
    """A sync with a program of the test's own."""

    def __init__(
        self, root: Path, program: str, given: Mapping[str, str] | str = "", silence: float = 60.0
    ) -> None:
        self.home = Home(root)
        self.home.prepare()
        self.events = Events()
        self._program = program
        self._given = given
        self.models = ModelSync(
            self.home, self.events, self._sources, lambda name: None, self._command, silence=silence
        )

    def _command(self, endpoint: str) -> Sequence[str]:
        return [sys.executable, "-c", self._program, str(self.home.root)]

    async def _sources(self, endpoint: Endpoint) -> Mapping[str, str]:
        if isinstance(self._given, str):
            if self._given:
                raise SyncRefused(self._given)
            return {}
        return self._given

    async def ends(self, **settings: Any) -> ModelStatus:
        """What became of one attempt for one endpoint."""
        endpoint = Endpoint(name="studio", port=7860, **{"models": ["hf://a/b/c"]} | settings)
        self.models.follow({"studio": endpoint})
        self.models.start()
        try:
            with anyio.fail_after(20):
                while (status := self.models.of("studio")) is None or status.first:
                    await anyio.sleep(0.02)
        finally:
            await self.models.close()
        return status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", "was killed (signal 9"),
        ("import sys; sys.exit('no module named easel')", "no module named easel"),
        ('import sys; print(\'{"refused": "the disk is read-only"}\'); sys.exit(1)', "the disk is read-only"),
        (
            "import sys; print('not json', [1]); print('[]'); print('x' * 3_000_000); sys.exit(3)",
            "ended with code 3",
        ),
    ],
)
async def test_a_process_that_fails_without_a_word_of_a_model(tmp_path: Path, program: str, why: str) -> None:
    """Its end is the reason: code, signal, last words. Lines that are no records do no harm."""
    stage = Stage(tmp_path, program)
    status = await stage.ends()
    assert status.phase == "failed"
    assert why in status.detail
    assert not status.holds
    assert len(stage.events.of("studio")) == 1


@pytest.mark.anyio
async def test_what_refuses_to_give_a_token_is_a_failure_like_any_other(tmp_path: Path) -> None:
    """A missing store or secret: said, and nobody waits for it."""
    status = await Stage(
        tmp_path, "", given="there is no store to fetch models to: mount.nfs4: denied"
    ).ends()
    assert (status.phase, status.holds) == ("failed", False)
    assert "mount.nfs4: denied" in status.detail


@pytest.mark.anyio
async def test_a_process_that_hangs_holds_nobody_for_ever(tmp_path: Path) -> None:
    """A file system that stopped answering stops the fetching, not the endpoint. The process is gone."""
    program = "import os, sys, time; open(sys.argv[1] + '/pid', 'w').write(str(os.getpid())); time.sleep(600)"
    status = await Stage(tmp_path, program, silence=2.0).ends()
    assert (status.phase, status.holds) == ("failed", False)
    assert "said nothing for 2 s" in status.detail
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.anyio
async def test_a_new_token_is_tried_at_once(tmp_path: Path) -> None:
    """Who mends what was missing does not wait for the next hour; any other setting changes nothing."""
    stage = Stage(tmp_path, "", given="HF_TOKEN cannot be read")
    await stage.ends()
    for settings, again in (({"idle": 60.0}, False), ({"env": {"HF_TOKEN": "new"}}, True)):
        endpoint = Endpoint.model_validate(
            {"name": "studio", "port": 7860, "models": ["hf://a/b/c"]} | settings
        )
        stage.models.follow({"studio": endpoint})
        found = stage.models.of("studio")
        assert found is not None
        assert ("tried again in 1 second" in found.detail) is again, found.detail


@pytest.mark.anyio
async def test_an_endpoints_environment_reaches_its_sources_and_no_further(tmp_path: Path) -> None:
    """Tokens do; what would steer the process, which has the gateway's rights, does not. Secrets win."""
    program = "import json, os, sys; open(sys.argv[1] + '/seen', 'w').write(json.dumps(dict(os.environ)))"
    stage = Stage(tmp_path, program, given={"CIVITAI_TOKEN": "from a secret"})
    own = {
        "HF_TOKEN": "hf", "CIVITAI_TOKEN": "plain", "PYTHONSTARTUP": "/evil.py", "LD_PRELOAD": "/evil.so",
        "AWS_ENDPOINT_URL": "https://evil.example.com", "GREETING": "hello",
    }  # fmt: skip
    assert (await stage.ends(env=own)).phase == "whole"
    seen = json.loads((tmp_path / "seen").read_text())
    assert (seen["HF_TOKEN"], seen["CIVITAI_TOKEN"]) == ("hf", "from a secret")
    assert not {"PYTHONSTARTUP", "LD_PRELOAD", "GREETING"} & seen.keys()
    assert seen.get("AWS_ENDPOINT_URL") != "https://evil.example.com"


@pytest.mark.anyio
async def test_a_memory_that_is_damaged_costs_one_more_look(tmp_path: Path) -> None:
    """The gateway starts all the same."""
    Home(tmp_path).prepare()
    (tmp_path / "run" / "models.json").write_text('{"studio": 1}')
    assert (await Stage(tmp_path, "").ends()).phase == "whole"
    again = Stage(tmp_path, "import time; time.sleep(60)")
    endpoint = Endpoint(name="studio", port=7860, models=["hf://a/b/c"])
    again.models.follow({"studio": endpoint})
    status = again.models.of("studio")
    assert status is not None
    assert (status.phase, status.holds) == ("whole", False), "it was written anew"
