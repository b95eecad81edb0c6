"""`python -m easel.models sync --json`: what the gateway reads of a list on its way in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from easel.models import Kind, Outcome, Store, sync
from tests.models.serving import Serving, model_bytes, sha256

ROOT = Path(__file__).parents[2]
LORA = model_bytes(400_000, key="lora_unet_x.lora_up.weight")


def start(tmp_path: Path, *addresses: str, store: Path | None = None) -> subprocess.Popen[str]:
    config = tmp_path / "studio.json"
    config.write_text(json.dumps({"name": "studio", "models": addresses}))
    words = ["--config", str(config), "--store", str(store or tmp_path / "store"), "--json", "--background"]
    return subprocess.Popen(
        [sys.executable, "-m", "easel.models", "sync", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT / "image")},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def records(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """All of standard output: every line an object, or this fails."""
    said, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in said.splitlines()]


def test_every_line_is_a_record(tmp_path: Path, server: Serving) -> None:
    """Progress with bytes, what became of each, the sum; whatever else is said is on the other stream."""
    server.put("/slow.safetensors", LORA, rate=400_000.0)
    server.put("/page.safetensors", b"<html>no</html>", type="text/html")
    process = start(tmp_path, *(f"{server.url}/{name}.safetensors" for name in ("slow", "gone", "page")))
    said = records(process)
    assert process.returncode == 1
    moving = [each for each in said if each.get("phase") == "fetching"]
    assert moving
    assert {each["file"] for each in moving} == {"slow.safetensors"}
    assert moving[-1]["total"] == len(LORA)
    done = [each["done"] for each in moving]
    assert done == sorted(done)
    results = [(each["result"], each["name"]) for each in said if "result" in each]
    assert results == [
        ("came", "slow.safetensors"),
        ("failed", f"{server.url}/gone.safetensors"),
        ("failed", f"{server.url}/page.safetensors"),
    ]
    assert all(each["why"] for each in said if each.get("result") == "failed")
    assert said[-1] == {"came": 1, "there": 0, "failed": 2}
    again = start(tmp_path, f"{server.url}/slow.safetensors")
    assert records(again) == [
        {"result": "there", "name": "slow.safetensors", "why": ""},
        {"came": 0, "there": 1, "failed": 0},
    ]


def test_a_store_that_cannot_be_used_is_one_sentence(tmp_path: Path, server: Serving) -> None:
    """And no traceback: a mount that is not there is not a mistake of the program."""
    server.put("/a.safetensors", LORA)
    (tmp_path / "file").touch()
    process = start(tmp_path, f"{server.url}/a.safetensors", store=tmp_path / "file" / "models")
    said = records(process)
    assert process.returncode == 1
    assert any(each.get("why") or each.get("refused") for each in said)


def test_what_is_stopped_goes_on_and_who_stops_listening_stops_it(tmp_path: Path, server: Serving) -> None:
    """SIGTERM is 130 with what came kept; a reader that is gone ends it as well, and the next one goes on."""
    content = model_bytes(1_200_000, key="lora_unet_x.lora_up.weight")
    file = server.put("/big.safetensors", content, rate=200_000.0)
    for stop in ("signal", "deaf"):
        process = start(tmp_path, f"{server.url}/big.safetensors")
        assert process.stdout
        begun = file.sent
        end = time.monotonic() + 30
        while file.sent < begun + 200_000 and time.monotonic() < end:
            time.sleep(0.02)
        if stop == "signal":
            process.send_signal(signal.SIGTERM)
            assert records(process)[-1]["refused"].startswith("big.safetensors: stopped at")
        else:
            process.stdout.close()
            process.wait(60)
        assert process.returncode == 130
        assert not list((tmp_path / "store").rglob("[!.]*.safetensors"))
    file.rate = 0.0
    process = start(tmp_path, f"{server.url}/big.safetensors")
    assert records(process)[-1] == {"came": 1, "there": 0, "failed": 0}
    found = tmp_path / "store" / "Lora" / "big.safetensors"
    assert sha256(found.read_bytes()) == sha256(content)
    # Each looks at the beginning once, to see what kind it is.
    assert file.sent < 1.5 * len(content)


def test_a_type_at_the_end_of_an_address_is_for_the_store(server: Serving, store: Store, intake: Any) -> None:
    """What a file does not say itself, the list can; the server never hears of it."""
    server.put("/4x.safetensors", model_bytes(50_000, key="model.0.weight"))
    told: list[Outcome] = []
    done = sync(store, [f"{server.url}/4x.safetensors#type=upscaler"], intake(), told=told.append)
    assert [each.file.kind for each in done.added] == [Kind.UPSCALER]
    assert [str(each) for each in told] == ["4x.safetensors is in"]
    assert all("type" not in path for path, _ in server.seen)
    again = sync(store, [f"{server.url}/4x.safetensors#type=upscaler"], intake())
    assert len(again.there) == 1


@pytest.mark.parametrize("end", ["#type=", "#type=checkpiont", "#type=LORA"])
def test_a_type_that_is_none_is_told(end: str, server: Serving, store: Store, intake: Any) -> None:
    """With those there are, and nothing is fetched."""
    done = sync(store, [f"{server.url}/4x.safetensors{end}"], intake())
    ((_, error),) = done.failed
    assert "upscaler" in str(error)
    assert server.seen == []
