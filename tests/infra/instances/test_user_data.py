"""User data: what an instance gets, by cloud-init's, systemd's and the shell's own checks."""

from __future__ import annotations

import ast
import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from infra.instances import user_data
from infra.names import ENDPOINT_LENGTH, TEAM_LENGTH
from tests.infra.instances.host.machine import archive

HOST = user_data.HOST
REPLICA = user_data.ReplicaFacts("us-east-1", "art", "studio", "easel-art-config", "/easel/art/studio")
GATEWAY = user_data.GatewayFacts(
    "us-east-1", "art", "easel-art-config", "/easel/art", "vol-0123456789abcdef0"
)
BOTH = {"replica": user_data.replica(REPLICA), "gateway": user_data.gateway(GATEWAY)}
both = pytest.mark.parametrize("text", BOTH.values(), ids=BOTH.keys())


def needs(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"needs {tool}, which .ci/run installs")
    return path


@both
def test_cloud_init_takes_it(text: str, tmp_path: Path) -> None:
    """By cloud-init's own schema."""
    tool = needs("cloud-init")
    file = tmp_path / "user-data"
    file.write_text(text)
    done = subprocess.run([tool, "schema", "--config-file", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Valid" in done.stdout


def test_cloud_inits_schema_would_refuse_a_slip(tmp_path: Path) -> None:
    """The check above can fail."""
    tool = needs("cloud-init")
    file = tmp_path / "user-data"
    file.write_text(BOTH["replica"].replace("encoding: b64", "encoding: base65"))
    assert subprocess.run([tool, "schema", "--config-file", file], capture_output=True).returncode != 0


ROOM = 1024
"""Bytes that the next step may take before something has to go."""


def test_the_longest_names_fit_with_room() -> None:
    """EC2 takes 16,384 bytes, S3 names of 63, regions are at most 15 long."""
    team, endpoint, bucket = "t" * TEAM_LENGTH, "e" * ENDPOINT_LENGTH, "b" * 63
    region = "us-isof-south-1"
    texts = [
        user_data.replica(
            user_data.ReplicaFacts(region, team, endpoint, bucket, f"/easel/{team}/{endpoint}")
        ),
        user_data.gateway(user_data.GatewayFacts(region, team, bucket, f"/easel/{team}", "vol-" + "0" * 17)),
    ]
    assert max(len(text.encode()) for text in texts) <= user_data.LIMIT - ROOM


def test_what_would_not_fit_is_refused_here_and_not_by_ec2(monkeypatch: pytest.MonkeyPatch) -> None:
    """EC2 says so only after everything else was made."""
    monkeypatch.setattr(user_data, "LIMIT", 4000)
    with pytest.raises(
        user_data.UserDataTooLong, match=r"bytes long and EC2 takes 4000.*infra/instances/host"
    ):
        user_data.replica(REPLICA)


def test_equal_facts_give_equal_text_in_another_process() -> None:
    """A text that differs would replace the gateway's machine for nothing."""
    code = (
        "from infra.instances import user_data as u; import sys;"
        f"sys.stdout.write(u.gateway(u.{GATEWAY!r}) + u.replica(u.{REPLICA!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "PYTHONPATH": str(HOST.parents[2])},
    )  # fmt: skip
    assert done.stdout == BOTH["gateway"] + BOTH["replica"]


@pytest.mark.parametrize(
    "path", sorted([*HOST.glob("*.*"), *HOST.glob("units/*")]), ids=lambda path: path.name
)
def test_what_travels_does_what_is_here(path: Path) -> None:
    """Without comments and docstrings, and nothing else: by Python's own reading, and line by line."""
    text = path.read_text()
    bare = user_data.bare(path.name, text)
    if path.suffix == ".py":
        whole = ast.parse(text)
        for node in ast.walk(whole):
            told = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if told and len(node.body) > 1 and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        assert ast.dump(ast.parse(bare)) == ast.dump(whole)
    else:
        kept = [line for line in text.splitlines() if not line.lstrip().startswith("#") or line[:2] == "#!"]
        assert bare.splitlines() == kept


def test_two_endpoints_differ_in_their_facts_alone() -> None:
    """What is on the host does not depend on whose it is."""
    other = user_data.replica(
        user_data.ReplicaFacts("us-east-1", "art", "portraits", "other", "/easel/art/portraits")
    )
    differing = [
        line
        for line, theirs in zip(BOTH["replica"].splitlines(), other.splitlines(), strict=True)
        if line != theirs
    ]
    assert [line.split("=")[0].strip() for line in differing[1:]] == ["BUCKET", "OBJECT", "LOG_GROUP"]


@both
def test_facts_survive_the_shell(text: str) -> None:
    """They are read by `.`: whatever a name holds is text."""
    odd = user_data.replica(user_data.ReplicaFacts("r", "t", "e", "b", "/easel/$(exit 7)'\"/x"))
    file = next(each for each in yaml.safe_load(odd)["write_files"] if each["path"] == "/etc/easel/facts")
    done = subprocess.run(
        ["bash", "-c", file["content"] + 'printf %s "$LOG_GROUP"'], capture_output=True, text=True
    )
    assert done.stdout == "/easel/$(exit 7)'\"/x"


@both
def test_every_file_that_a_step_or_a_unit_names_travels(text: str) -> None:
    """A step that is not there shows only on the machine."""
    names = set(archive(text).getnames())
    with archive(text) as tar:
        bodies = {name: tar.extractfile(name).read().decode() for name in names}  # type: ignore[union-attr]
    called = set()
    for body in bodies.values():
        for path in HOST.iterdir():
            if f"/opt/easel/{path.name}" in body or f"$here/{path.name}" in body:
                called.add(f"opt/easel/{path.name}")
    assert called <= names
    started = next(words for words in yaml.safe_load(text)["runcmd"] if "enable" in words)
    assert {f"etc/systemd/system/{unit}" for unit in started if unit.startswith("easel-")} <= names
    assert "--no-block" in started, "cloud-init would wait for units that wait for it"


def test_every_file_of_the_folder_is_used() -> None:
    """One that nobody gets is a mistake or a leftover."""
    used = {Path(name).name for text in BOTH.values() for name in archive(text).getnames()}
    there = {path.name for path in [*HOST.glob("*.*"), *HOST.glob("units/*")]}
    assert there == used


@both
def test_systemd_takes_the_units(text: str, tmp_path: Path) -> None:
    """By systemd's own check, with the steps in their place, so that a step that is missing is seen."""
    tool = needs("systemd-analyze")
    with archive(text) as tar:
        tar.extractall(tmp_path, filter="data")
    for name in ("usr", "lib", "bin"):
        (tmp_path / name).mkdir(exist_ok=True)
    units = sorted((tmp_path / "etc/systemd/system").iterdir())
    for unit in units:
        # The tool looks for programs on this machine.
        unit.write_text(unit.read_text().replace("/opt/easel/", f"{tmp_path}/opt/easel/"))
    done = subprocess.run([tool, "verify", "--man=no", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "easel-" in line]
    assert not ours
    assert done.returncode == 0, done.stderr


def test_every_retry_is_for_ever() -> None:
    """systemd gives up after five quick failures unless it is told not to."""
    for name in ("easel-replica", "easel-gateway"):
        unit = (HOST / "units" / f"{name}.service").read_text().splitlines()
        assert "Restart=always" in unit
        assert "StartLimitIntervalSec=0" in unit


def test_shellcheck_has_nothing_to_say() -> None:
    """With the shared file followed."""
    tool = shutil.which("shellcheck") or str(Path(sys.executable).with_name("shellcheck"))
    done = subprocess.run([tool, "-x", *sorted(HOST.glob("*.sh"))], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted(HOST.glob("*.py")), ids=lambda path: path.name)
def test_python_on_the_host_is_3_9_and_has_no_library(path: Path) -> None:
    """Amazon Linux 2023's own, which cloud-init and dnf run on."""
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names
    # `str | None` is read at run time unless annotations are put off.
    optional = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and ast.unparse(node.right) == "None"
    ]
    assert not optional or "from __future__ import annotations" in path.read_text()


def test_the_archive_unpacks_by_the_command_that_the_host_runs(tmp_path: Path) -> None:
    """`python3 -m tarfile`, with the modes that systemd needs, and nothing outside two folders."""
    config = yaml.safe_load(BOTH["replica"])
    packed = tmp_path / "host.tar.bz2"
    with archive(BOTH["replica"]) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {"opt", "etc"}
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:bz2") as copy:
            for entry in tar.getmembers():
                copy.addfile(entry, tar.extractfile(entry))
    packed.write_bytes(raw.getvalue())
    command = config["runcmd"][0]
    assert command[:4] == ["python3", "-m", "tarfile", "-e"]
    subprocess.run(
        [sys.executable, *command[1:4], packed, tmp_path / "root"], check=True, capture_output=True
    )
    assert (tmp_path / "root/opt/easel/serve.sh").stat().st_mode & 0o111


def test_docker_itself_understands_what_it_is_asked(tmp_path: Path) -> None:
    """The real command line, with nobody behind it: an option that it did not know would be refused first."""
    docker = needs("docker")
    run = tmp_path / "run"
    run.mkdir()
    config = {
        "name": "studio", "models": [], "env": {"A": "1", "B": "x\ny"},
        "container": {"image": "team/own@sha256:" + "a" * 64, "port": 7860, "load": "easel", "gpu": True},
    }  # fmt: skip
    (run / "config.json").write_text(json.dumps(config))
    (run / "cache").write_text("/cache")
    program = (HOST / "container.py").read_text().replace('"/run/easel"', repr(str(run)))
    done = subprocess.run(
        [sys.executable, "-c", program, "10.0.0.7"], capture_output=True, text=True,
        env={"PATH": str(Path(docker).parent), "AWS_DEFAULT_REGION": "r", "LOG_GROUP": "g", "DOCKER_HOST": f"unix://{tmp_path}/none"},
    )  # fmt: skip
    assert "Cannot connect to the Docker daemon" in done.stderr, done.stderr
    assert "unknown" not in done.stderr
