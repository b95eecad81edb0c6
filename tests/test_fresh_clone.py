"""The first thing anyone does: a fresh clone, `make up`, a picture. Installs everything: takes minutes."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.ports import free_ports
from tests.scripts.running import processes, until

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("EASEL_HOME", "EASEL_STACK", "EASEL_REPLICA", "VIRTUAL_ENV")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git has, in another place."""
    folder = tmp_path_factory.mktemp("fresh") / "easel"
    done = subprocess.run(
        ["git", "clone", "--quiet", str(ROOT), str(folder)], capture_output=True, check=False
    )
    if done.returncode or not list(folder.glob("image/starter/*.safetensors")):
        pytest.skip("no git checkout with a starter in it")
    return folder


def start(clone: Path, port: int, said: Path) -> subprocess.Popen[bytes]:
    env = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    with said.open("wb") as out:
        return subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=env | {"EASEL_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def ready(process: subprocess.Popen[bytes], said: Path, timeout: float) -> str:
    """What was said until the studio was ready."""
    end = time.monotonic() + timeout
    while "studio is ready after" not in said.read_text():
        assert process.poll() is None, said.read_text()[-3000:]
        assert time.monotonic() < end, said.read_text()[-3000:]
        time.sleep(0.2)
    return said.read_text()


def stop(process: subprocess.Popen[bytes], clone: Path) -> None:
    """Ctrl-C, as a terminal sends it: to make and to everything it started."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)
    until(lambda: not processes(str(clone)), 30)


def draw(link: str) -> bytes:
    address, token = link.split("?token=")
    asked = urllib.request.Request(
        f"{address}sdapi/v1/txt2img",
        data=json.dumps({"prompt": "a red circle on a blue background", "steps": 8, "seed": 1}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=300) as answer:
        return base64.b64decode(json.load(answer)["images"][0])


def test_a_fresh_clone_draws_a_picture(clone: Path, tmp_path: Path) -> None:
    """One command; the second time nothing is installed and the link is the same."""
    port, said = free_ports() + 1, tmp_path / "said"
    links = []
    for number in range(2):
        process = start(clone, port, said)
        try:
            text = ready(process, said, 900)
            links.append(re.search(r"^studio  (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]
            assert draw(links[-1]).startswith(b"\x89PNG")
            assert ("installing" in text) == (number == 0)
            stop(process, clone)
        finally:
            if process.poll() is None:
                process.kill()
    assert links[0] == links[1]
    shutil.rmtree(clone)
