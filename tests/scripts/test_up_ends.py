"""How `easel up` ends, starts again and refuses to start: real processes."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import httpx
import pytest

from scripts.local.folders import MODEL_FOLDERS
from tests.models.serving import model_bytes
from tests.scripts.running import EASEL, ROOT, STACK, Up, command, easel, processes, until, up
from tests.scripts.up_fixtures import env, running

__all__ = ["env", "running"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopping_stops_everything(env: dict[str, str], number: int) -> None:
    """Ctrl-C, `kill` and a closed terminal: no process is left, the exit is clean, and the next program may
    have the port.

    Wrappers such as `timeout` send it a second time at once; that is not impatience.
    """
    with up(env) as running:
        running.says("studio is ready after")
        running.process.send_signal(number)
        assert running.stop(number) == 0
        assert running.out[-1] == "stopped"
    with socket.create_server(("127.0.0.1", int(env["EASEL_PORT"]))):
        until(lambda: not processes(env["EASEL_HOME"]), 20)


def test_ctrl_c_twice_stops_at_once(env: dict[str, str]) -> None:
    """Whoever asks again after a second does not want to wait, here for a replica that hears nothing."""
    with up(env | {"EASEL_TEST_DEAF": "1"}) as running:
        running.says("studio is ready after")
        running.process.send_signal(signal.SIGINT)
        running.says("stopping")
        time.sleep(1.2)
        assert running.stop() == 0
        assert running.out[-1].startswith("stopped by force")
    until(lambda: not processes(env["EASEL_HOME"]), 30)


def test_kill_9_leaves_nothing_running(env: dict[str, str]) -> None:
    """A terminal that crashes must not leave a gateway that holds the ports."""
    with up(env) as running:
        running.says("studio is ready after")
        running.process.kill()
        running.process.wait()
        until(lambda: not processes(env["EASEL_HOME"]), 40)
    with up(env) as again:
        again.says("studio is ready after")


@pytest.mark.slow
def test_a_gateway_that_dies_is_started_again(env: dict[str, str]) -> None:
    """With all as it was: links, sessions, and who was awake without being kept so. One that dies again and
    again is not."""
    Path(env["EASEL_STACK"]).write_text(STACK + "    guest: {shape: cpu.small, replicas: {min: 0, max: 1}}\n")
    about = Path(env["EASEL_HOME"], "run", "gateway.json")
    with up(env) as running:
        running.says("studio is ready after")
        link = running.link("guest")
        with httpx.Client(follow_redirects=True, headers={"Sec-Fetch-Mode": "navigate"}) as browser:
            browser.get(link)  # wakes it
            running.says("guest is ready after")
            awake = Path(env["EASEL_HOME"], "run", "awake.json")
            until(lambda: awake.exists() and "guest" in awake.read_text())
            os.kill(json.loads(about.read_text())["pid"], signal.SIGKILL)
            running.says("the gateway died (-9); starting it again")
            until(lambda: sum("guest is ready after" in line for line in running.out) == 2, told=running.told)
            # The session of before, at the address of before.
            answer = browser.get(link.split("?")[0] + "x")
            assert answer.status_code == 200, answer.text
            assert "x-easel-user" in answer.text
        for _ in range(3):
            until(
                lambda: (
                    about.exists() and json.loads(about.read_text())["pid"] in processes(env["EASEL_HOME"])
                )
            )
            until(lambda: running.out.count("the gateway died (-9); starting it again") >= 1)
            opened = sum("the door answers after" in line for line in running.out)
            os.kill(json.loads(about.read_text())["pid"], signal.SIGKILL)
            until(
                lambda n=opened: (
                    running.process.poll() is not None  # type: ignore[misc]
                    or sum("the door answers after" in line for line in running.out) > n
                ),
                told=running.told,
            )
        assert running.ended() == 1
        assert "the gateway has ended (-9)" in running.told()
    until(lambda: not processes(env["EASEL_HOME"]), 40)


@pytest.mark.slow
def test_the_second_start_keeps_links_and_is_as_fast(env: dict[str, str]) -> None:
    """A link that was handed out works after a restart; what was rendered is used again."""
    with up(env) as running:
        first = running.link("studio")
        running.stop()
    rendered = Path(env["EASEL_HOME"], "config", "studio.json").stat().st_mtime_ns
    with up(env) as running:
        assert running.link("studio") == first
    assert Path(env["EASEL_HOME"], "config", "studio.json").stat().st_mtime_ns == rendered


@pytest.mark.slow
def test_a_changed_stack_file_counts_at_once(env: dict[str, str]) -> None:
    """A second endpoint in seconds; a broken file is told of and changes nothing."""
    stack = Path(env["EASEL_STACK"])
    with up(env) as running:
        running.says("studio is ready after")
        stack.write_text(STACK + "    second: {shape: cpu.smal}\n")
        running.says("did you mean cpu.small?")
        running.says("all goes on as before")
        stack.write_text(STACK + "    second: {shape: cpu.small, replicas: {max: 1}}\n")
        link = running.link("second")
        assert link.startswith(f"http://127.0.0.1:{int(env['EASEL_PORT']) + 1}/?token=")


def test_on_a_terminal_links_are_whole_and_progress_is_shown(env: dict[str, str]) -> None:
    """A link that the display cut or wrapped could not be clicked."""
    main, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        [*EASEL, "up"], env=env | {"EASEL_TEST_SLOW": "1"}, cwd=ROOT, stdin=inner, stdout=inner, stderr=inner
    )
    os.close(inner)
    shown = ""
    try:
        while "is ready after" not in shown:
            shown += os.read(main, 65536).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(main)
    assert re.search(r"studio  http://127\.0\.0\.1:\d+/\?token=\S{20,}\r\n", shown)
    # What it is at when it is looked at, which may be loading for a tenth of a second only.
    assert re.search(r"(importing|loading) now", shown)


def test_fields_that_do_nothing_here_are_named(env: dict[str, str]) -> None:
    """At every start, also when what was rendered is used again."""
    stack = Path(env["EASEL_STACK"])
    stack.write_text(STACK.replace("{runs_on: local}", "{runs_on: local, domain: a.example.com}"))
    for _ in range(2):
        with up(env) as running:
            assert running.says("not used on this machine").endswith(": easel:team.domain")


def test_a_first_start_makes_a1111s_folders(running: Up) -> None:
    """People who come from A1111 find their folders."""
    for name in MODEL_FOLDERS:
        assert Path(running.env["EASEL_HOME"], "models", name).is_dir()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"EASEL_PORT": "http"}, "EASEL_PORT is 'http': it must be a port from 1025 to 65535"),
        ({"EASEL_PORT": "80"}, "it must be a port from 1025"),
        ({"EASEL_PORT": "65536"}, "it must be a port"),
        ({"EASEL_PORT": "٧٨٦٠"}, "it must be a port"),
        ({"EASEL_STACK": "lokal"}, "there is no such file; did you mean Pulumi.local.yaml?"),
        ({"EASEL_STACK": "/nowhere/x.yaml"}, "there is no such file"),
        ({"EASEL_HOME": "/nowhere/at/all"}, "there is no folder /nowhere/at"),
        ({"EASEL_HOME": "/dev/null"}, "/dev/null: "),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_line(
    env: dict[str, str], change: dict[str, str], said: str
) -> None:
    """One clear line on standard error, exit 2."""
    done = command("up", env=env | change)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_broken_spec_is_refused_with_all_its_faults(env: dict[str, str]) -> None:
    """A line for each, exit 2, and nothing is started."""
    Path(env["EASEL_STACK"]).write_text(
        "config: {easel:team: {runs_on: here}, easel:endpoints: {a: {shape: x}}}"
    )
    done = command("up", env=env)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert "easel:team.runs_on" in done.stderr
    assert "easel:endpoints.a.shape" in done.stderr


def test_a_stack_for_the_cloud_is_sent_to_pulumi(env: dict[str, str]) -> None:
    """`make up` never pretends to provision."""
    text = STACK.replace("runs_on: local", "domain: a.example.com")
    Path(env["EASEL_STACK"]).write_text(text)
    done = command("up", env=env)
    assert done.returncode == 2
    assert "says runs_on: instances, which is for `pulumi up`" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    """Said before anything is started."""
    (tmp_path / "fixed").mkdir(mode=0o500)
    done = easel("up", env=env | {"EASEL_HOME": str(tmp_path / "fixed" / "home")})
    assert done.returncode == 2
    assert "permission denied" in done.stderr


@pytest.mark.slow
def test_a_gateway_that_cannot_start_says_why(env: dict[str, str]) -> None:
    """Its last words, not just that it is gone."""
    done = easel("up", env=env | {"PATH": "/nowhere", "EASEL_REPLICA": "'"})
    assert done.returncode in (1, 2)
    assert done.stderr.strip()


@pytest.mark.slow
def test_models_of_the_stack_are_fetched_before_anything_starts(env: dict[str, str], tmp_path: Path) -> None:
    """The same as in the cloud: what is listed comes into the store first, is told, and what cannot be had
    keeps nobody waiting. Nothing is "not used on this machine"."""
    source = tmp_path / "style.safetensors"
    source.write_bytes(model_bytes(200_000, key="lora_unet_x.lora_up.weight"))
    stack = Path(env["EASEL_STACK"])
    studio = "studio: {{shape: cpu.small, replicas: {{min: 1, max: 1}}, models: [{}]}}"
    head = STACK.partition("    studio")[0] + "    "
    stack.write_text(head + studio.format(f"file:{source}"))
    with up(env) as running:
        running.says("studio is ready after")
        assert not any("not used" in line for line in running.out)
        assert (
            Path(env["EASEL_HOME"]) / "models" / "Lora" / "style.safetensors"
        ).read_bytes() == source.read_bytes()
        shown = json.loads(command("status", "--json", env=env).stdout)["endpoints"][0]["models"]
        assert shown == {"phase": "whole", "detail": "its model is there"}
        assert "  models  whole  its model is there" in command("status", env=env).stdout
        stack.write_text(head + studio.format(f"file:{source}, file:{tmp_path}/gone.safetensors"))
        running.says("1 of 2 models did not come")
