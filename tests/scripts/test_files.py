"""`easel files` and `easel upload`: real command, gateway and Caddy, the studio's file routes behind them."""

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from easel.studio.outputs import Outputs
from scripts.__main__ import main
from tests.gateway.conftest import House, until
from tests.scripts.running import EASEL, ROOT
from tests.studio.files.conftest import SERVER, Server, model, sha256
from tests.studio.files.conftest import server as server

LIMIT = 1_000_000
Env = dict[str, str]


class FilesHouse(House):
    """A gateway whose replicas are the file routes."""

    replica = f"{sys.executable} {SERVER} --port {{port}} --home {{home}} --endpoint {{endpoint}}"

    def start(self, wait: str | None = "") -> House:
        command = [sys.executable, "-m", "easel.gateway", "--home", str(self.root)]
        paths = f"{ROOT / 'image'}:{ROOT}"
        self.process = subprocess.Popen(
            [*command, "--replica", self.replica], stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths}, start_new_session=True,
        )  # fmt: skip
        os.set_blocking(self.process.stderr.fileno(), False)  # type: ignore[union-attr]
        until(lambda: self.json, what="the door opens")
        until(self.settled, 60, what="endpoints are ready")
        return self

    def replica_process(self) -> psutil.Process:
        return next(
            each for each in self.processes()
            if str(SERVER) in each.cmdline() and "studio" in each.cmdline() and "-m" not in each.cmdline()
        )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilesHouse]:
    house = FilesHouse(
        tmp_path_factory.mktemp("files"),
        studio={"max_body": LIMIT, "env": {"EASEL_QUOTA": "60000000"}},
        gallery={"public": True, "replicas": {"min": 0, "max": 1}},
    )
    house.start()
    yield house
    assert house.stop() == 0


@pytest.fixture
def env(house: FilesHouse) -> Env:
    """The settings of somebody on the gateway's machine."""
    return {**os.environ, "EASEL_HOME": str(house.root)}


@pytest.fixture
def member(house: FilesHouse, tmp_path: Path) -> Env:
    """The settings of somebody elsewhere who has the endpoint's link and nothing else."""
    link = f"{house.url('studio')}/?token={house.token('studio')}"
    return {**os.environ, "EASEL_HOME": str(tmp_path / "elsewhere"), "EASEL_LINK": link}


@pytest.fixture(autouse=True)
def _empty(house: FilesHouse) -> Iterator[None]:
    yield
    for path in (house.root / "models").glob("*/**/*"):
        if path.is_file():
            path.unlink()


def easel(*arguments: str, env: Env) -> Result:
    """One command, in this process: a Python of its own for each takes longer than what is tested."""
    return CliRunner().invoke(main, arguments, env=env)


def said(done: Result, code: int = 0) -> str:
    assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr, done.exception)
    return done.stdout if code == 0 else done.stderr


def test_there_and_back(house: FilesHouse, env: Env, tmp_path: Path) -> None:
    """A model larger than a door's body goes up, is listed, comes down the same, and is removed."""
    file = model(tmp_path / "style.safetensors", 3_000_000)
    told = said(easel("upload", str(file), "studio", env=env))
    assert told == f"models/Lora/style.safetensors is in  {sha256(file)}\n"
    assert "is there already" in said(easel("files", "put", str(file), "studio:models/Lora", env=env))
    assert (house.root / "models" / "Lora" / "style.safetensors").read_bytes() == file.read_bytes()

    listed = said(easel("files", "ls", "studio:models/Lora", env=env))
    assert listed.split()[:2] == ["3.0", "MB"]
    (entry,) = json.loads(said(easel("files", "ls", "studio:models/*/style*", "--json", env=env)))
    assert (entry["size"], entry["sha256"]) == (file.stat().st_size, sha256(file))

    target = tmp_path / "back" / "again.safetensors"
    said(easel("files", "get", "studio:models/Lora/style.safetensors", str(target), env=env))
    assert target.read_bytes() == file.read_bytes()
    assert sorted(path.name for path in target.parent.iterdir()) == ["again.safetensors"]

    assert "is a folder" in said(easel("files", "rm", "studio:models/Lora", env=env), 2)
    said(easel("files", "rm", "studio:models/Lora/style.safetensors", env=env))
    assert "nothing at" in said(easel("files", "rm", "studio:models/Lora/style.safetensors", env=env), 2)
    said(easel("files", "rm", "-f", "studio:models/Lora/style.safetensors", env=env))
    assert said(easel("files", "ls", "studio:models/Lora", env=env)) == ""


def test_a_folder_that_is_a_model_goes_at_once(house: FilesHouse, env: Env) -> None:
    """`rm -r` of a folder of diffusers', or of one with such in it: no half of a model is ever there."""
    top = house.root / "models" / "Stable-diffusion"
    for name in ("anime/dream-1.5", "anime/soft/other"):
        for part in ("unet", "vae"):
            model(top / name / part / "diffusion_pytorch_model.safetensors", 1000)
        (top / name / "model_index.json").write_text("{}")
    model(top / "anime" / "plain.safetensors", 1000)
    told = said(easel("files", "rm", "-r", "studio:models/Stable-diffusion/anime", env=env)).splitlines()
    where = "models/Stable-diffusion/anime"
    assert told == [
        f"{where}{path} is removed"
        for path in ("/plain.safetensors", "/dream-1.5", "/soft/other", "/soft", "")
    ]
    assert not (top / "anime").exists()


def test_pictures(house: FilesHouse, env: Env, member: Env, tmp_path: Path) -> None:
    """Who has a link sees, fetches and removes the own pictures; the operator everybody's, as a tar too."""
    outputs = Outputs(house.root / "outputs" / "studio")
    # The first token of an endpoint is called `link`; by it an API caller is known.
    whose = _name_of(house)
    mine = outputs.save(whose, b"\x89PNG mine", 1)
    theirs = outputs.save("somebody", b"\x89PNG theirs", 2)

    listed = json.loads(said(easel("files", "ls", "-r", "--json", "studio:outputs", env=member)))
    assert [entry["path"] for entry in listed if entry["type"] == "file"] == [
        f"outputs/{mine.parent.name}/{mine.name}"
    ]
    all_of_it = json.loads(said(easel("files", "ls", "-r", "--json", "studio:outputs", env=env)))
    assert sum(entry["type"] == "file" for entry in all_of_it) == 2

    stolen = f"studio:outputs/{theirs.relative_to(outputs.folder).as_posix()}"
    said(easel("files", "get", stolen, str(tmp_path / "x"), env=member), 2)
    said(easel("files", "rm", stolen, env=member), 2)
    assert theirs.exists()

    said(easel("files", "get", "-r", "studio:outputs", str(tmp_path / "all"), env=env))
    assert sorted(path.read_bytes() for path in (tmp_path / "all").rglob("*.png")) == [
        b"\x89PNG mine",
        b"\x89PNG theirs",
    ]
    there = tmp_path / "all" / "outputs" / theirs.relative_to(outputs.folder)
    assert there.is_file(), "as it lies there: `outputs` lost its first letter once"
    tar = easel("files", "get", "-r", "studio:outputs", "-", env=env)
    assert tar.exit_code == 0
    with tarfile.open(fileobj=io.BytesIO(tar.stdout_bytes)) as archive:
        assert len(archive.getnames()) == 2
    one = easel("files", "get", f"studio:outputs/{mine.parent.name}/{mine.name}", "-", env=member)
    assert one.stdout_bytes == b"\x89PNG mine"

    said(easel("files", "rm", "-r", f"studio:outputs/{mine.parent.name}", env=member))
    assert not mine.exists()
    assert theirs.exists()


def _name_of(house: FilesHouse) -> str:
    (token,) = [
        one for one in house.api("GET", "/api/tokens?endpoint=studio").json() if one["endpoint"] == "studio"
    ]
    return str(token["name"])


def test_refusals(house: FilesHouse, env: Env, member: Env, tmp_path: Path) -> None:
    """Each in one line, with a status: 2 for what cannot be, 1 for what failed; nothing is left there."""
    pickle = tmp_path / "model.safetensors"
    pickle.write_bytes(b"\x80\x02}q\x00" + b"x" * 5_000_000)
    assert "pickle" in said(easel("upload", str(pickle), "studio", env=env), 1)
    large = model(tmp_path / "large.safetensors", 61_000_000)
    told = said(easel("upload", str(large), "studio", env=env), 2)
    assert "quota" in told
    assert told.count("\n") == 1
    small = model(tmp_path / "small.safetensors")
    for arguments in (
        ("upload", str(tmp_path / "none.safetensors"), "studio"),
        ("upload", str(tmp_path), "studio"),
        ("upload", str(small), "nowhere"),
        ("upload", str(small), "studio:models"),
        ("upload", str(small), "studio", "--name", "../x"),
        ("upload", str(small), "studio", "--folder", "../.."),
        ("upload", str(small), str(small), "studio", "--name", "x"),
        ("files", "put", str(small), "studio:outputs"),
        ("files", "put", str(small), "studio:models/Nonsense"),
        ("files", "put", str(small), "studio:models/x.safetensors"),
        ("files", "get", "studio"),
        ("files", "get", "studio:models/../../etc/passwd"),
        ("files", "get", "studio:secret"),
        ("files", "ls", "studio:models/Lora/x*"),
        ("files", "rm", "studio"),
        ("files", "rm", "studio:models"),
    ):
        done = easel(*arguments, env=env)
        assert done.exit_code == 2, (arguments, done.stdout, done.stderr, done.exception)
        assert done.stderr
    for link, words in ((f"{house.url('studio')}/?token=easel_wrong", "is not valid"), ("x", "not a link")):
        assert words in said(easel("files", "ls", "studio", env={**member, "EASEL_LINK": link}), 2)
    assert not list((house.root / "models").glob("*/*.safetensors"))


def test_a_pass_opens_one_endpoint(house: FilesHouse) -> None:
    """What the console gives the operator is for the endpoint that it names, and nobody can make one up."""
    answer = house.api("POST", "/api/endpoints/studio/pass")
    assert answer.status_code == 201
    token = answer.json()["token"]

    def status(endpoint: str, shown: str, path: str = "/files/list") -> int:
        with house.client(endpoint, headers={"Authorization": f"Bearer {shown}"}) as client:
            return client.get(path).status_code

    assert status("studio", token) == 200
    assert status("gallery", token) == 401
    assert status("console", token, "/api/status") == 401
    assert status("studio", token[:-2] + ("AA" if token[-2:] != "AA" else "BB")) == 401
    assert house.api("POST", "/api/endpoints/nowhere/pass").status_code == 404
    # Nobody says of themselves that they are the operator.
    with house.client("gallery", headers={"X-Easel-User": "@operator"}) as stranger:
        until(lambda: house.api("POST", "/api/endpoints/gallery/wake").status_code == 200)
        until(lambda: house.state("gallery") == "ready", 60)
        assert stranger.get("/files/list", params={"path": "models"}).status_code == 403


def test_an_upload_wakes_its_endpoint(house: FilesHouse, env: Env, tmp_path: Path) -> None:
    """Who sends to an endpoint that sleeps waits until it is awake, and nothing else is to be done."""
    house.api("POST", "/api/endpoints/studio/sleep")
    until(lambda: house.state("studio") == "asleep", 30)
    file = model(tmp_path / "waker.safetensors")
    assert "is in" in said(easel("upload", str(file), "studio", env=env))
    assert house.state("studio") == "ready"


def start(*arguments: str, env: Env) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*EASEL, *arguments], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def taken(root: Path) -> int:
    """Bytes of unfinished uploads in the store."""
    return sum(part.stat().st_size for part in _parts(root))


def _parts(root: Path) -> list[Path]:
    return list((root / "models" / ".easel" / "uploads").glob("*.part"))


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_kills_anywhere(server: Server, tmp_path: Path) -> None:
    """Command and studio are killed in turn at random moments: the command goes on, and it ends right."""
    file = model(tmp_path / "killed.safetensors", 48_000_000, seed=4)
    env = {**os.environ, "EASEL_HOME": str(tmp_path / "here"), "EASEL_LINK": f"{server.url}/?token=any"}
    chance = random.Random(20261122)
    target = server.store / "Lora" / "killed.safetensors"
    running, most = start("upload", str(file), "studio", env=env), 0
    for turn in range(10):
        goal, end = most + chance.randrange(0, 3_000_000), time.monotonic() + 100
        while running.poll() is None and taken(server.home) <= goal:
            assert time.monotonic() < end
            time.sleep(0.002)
        most = max(most, taken(server.home))
        assert not target.exists() or sha256(target) == sha256(file)
        if running.poll() is not None:
            break
        if turn % 2:
            # The command lives, and finds the studio that comes back.
            server.kill()
            time.sleep(chance.random() / 5)
            server.start().up()
        else:
            running.kill()
            running.communicate()
            running = start("upload", str(file), "studio", env=env)
    assert most > 1_000_000, "nothing was ever kept"
    out, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    assert sha256(file) in out
    assert target.read_bytes() == file.read_bytes()
    assert _parts(server.home) == []


@pytest.mark.slow
def test_the_studio_dies_and_the_command_goes_on(house: FilesHouse, env: Env, tmp_path: Path) -> None:
    """One command, its studio killed under it: it waits, asks how far it was, and finishes."""
    file = model(tmp_path / "survivor.safetensors", 20_000_000, seed=9)
    running = start("upload", str(file), "studio", env=env)
    until(lambda: taken(house.root) > 2_000_000 or running.poll() is not None)
    if running.poll() is None:
        house.replica_process().send_signal(signal.SIGKILL)
    out, err = running.communicate(timeout=90)
    assert running.returncode == 0, err
    assert hashlib.sha256(file.read_bytes()).hexdigest() in out


def test_two_send_the_same_name(house: FilesHouse, env: Env, tmp_path: Path) -> None:
    """Two different files of one name at once: one is in, whole; the other is told so."""
    files = [model(tmp_path / str(n) / "twin.safetensors", 4_000_000, seed=n) for n in (1, 2)]
    running = [start("upload", str(file), "studio", env=env) for file in files]
    codes = []
    for each in running:
        _, err = each.communicate(timeout=90)
        codes.append(each.returncode)
        assert each.returncode == 0 or "another file of this name" in err
    assert 0 in codes
    assert sorted(codes)[1] in (1, 2)
    winner = files[codes.index(0)]
    assert (house.root / "models" / "Lora" / "twin.safetensors").read_bytes() == winner.read_bytes()


def test_a_fetch_goes_on(house: FilesHouse, env: Env, tmp_path: Path) -> None:
    """A fetch that was killed goes on; if the file became another one meanwhile, it begins anew."""
    there = model(house.root / "models" / "VAE" / "large.safetensors", 6_000_000, seed=1)
    target = tmp_path / "large.safetensors"
    part, note = tmp_path / ".large.safetensors.part", tmp_path / ".large.safetensors.part.json"
    with house.caller("studio") as client:
        head = client.head("/files/content", params={"path": "models/VAE/large.safetensors"})
    part.write_bytes(there.read_bytes()[:4_000_000])
    note.write_text(json.dumps({"etag": head.headers["etag"]}))
    before = _sent(house)
    said(easel("files", "get", "studio:models/VAE/large.safetensors", str(tmp_path), env=env))
    assert target.read_bytes() == there.read_bytes()
    assert _sent(house) - before < 3_000_000, "what was here was fetched again"

    target.unlink()
    part.write_bytes(there.read_bytes()[:4_000_000])
    note.write_text(json.dumps({"etag": head.headers["etag"]}))
    model(there, 5_000_000, seed=2)
    said(easel("files", "get", "studio:models/VAE/large.safetensors", str(tmp_path), env=env))
    assert target.read_bytes() == there.read_bytes()

    # Bytes that are not the file's are found by its hash, and thrown away.
    part.write_bytes(b"\1" * 4_000_000)
    with house.caller("studio") as client:
        head = client.head("/files/content", params={"path": "models/VAE/large.safetensors"})
    note.write_text(json.dumps({"etag": head.headers["etag"]}))
    target.unlink()
    assert "SHA-256" in said(
        easel("files", "get", "studio:models/VAE/large.safetensors", str(tmp_path), env=env), 1
    )
    assert not target.exists()
    assert not part.exists()


def _sent(house: FilesHouse) -> int:
    """Bytes of content that Caddy has handed out."""
    total = 0
    for line in (house.root / "logs" / "caddy.log").read_text().splitlines():
        found = json.loads(line)
        if "/files/content" in found.get("request", {}).get("uri", ""):
            total += int(found.get("size", 0))
    return total


@pytest.mark.parametrize("chunk", [300_000, 900_000])
def test_another_client(house: FilesHouse, tmp_path: Path, chunk: int) -> None:
    """tuspy, a client that others wrote, uploads through the door, with checksums, and resumes."""
    client = pytest.importorskip("tusclient.client")
    file = model(tmp_path / f"tuspy{chunk}.safetensors", 2_000_000, seed=chunk)
    tus = client.TusClient(
        f"{house.url('studio')}/files/uploads", headers={"Authorization": f"Bearer {house.token('studio')}"}
    )
    first = tus.uploader(str(file), chunk_size=chunk, metadata={"filename": file.name}, upload_checksum=True)
    first.upload_chunk()
    second = tus.uploader(str(file), chunk_size=chunk, url=first.url, upload_checksum=True)
    assert second.offset == chunk
    second.upload()
    assert (house.root / "models" / "Lora" / file.name).read_bytes() == file.read_bytes()
