"""Models in and out: names, kinds, what is there already, sync, verify, remove; the same by command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from easel.models import (
    BadName,
    FileError,
    Intake,
    Kind,
    ModelError,
    ModelRequest,
    NameTaken,
    NotAModel,
    SourceError,
    Store,
    UnknownModel,
    destination,
    remove_model,
    sync,
    verify_model,
)
from easel.models.fetch.partial_journal import part_of
from scripts.__main__ import main
from tests.models.files import describe, raw
from tests.models.serving import Serving, model_bytes, sha256

ROOT = Path(__file__).resolve().parents[2]
Make = Callable[..., Intake]
CONTENT = model_bytes(200_000, seed=8)
LORA = model_bytes(200_000, seed=9, key="lora_unet_down.lora_down.weight")


def test_the_file_says_what_it_is(server: Serving, store: Store, intake: Make) -> None:
    """Without --type the header tells the folder."""
    server.put("/style.safetensors", LORA)
    assert intake().add(ModelRequest(f"{server.url}/style.safetensors")).file.kind is Kind.LORA
    server.put("/odd.safetensors", CONTENT)
    with pytest.raises(FileError, match="say where with --type"):
        intake().add(ModelRequest(f"{server.url}/odd.safetensors"))


def test_a_folder_and_a_name(server: Serving, store: Store, intake: Make) -> None:
    """`--folder` makes folders, `--name` needs no ending."""
    server.put("/x", CONTENT)
    added = intake().add(ModelRequest(f"{server.url}/x", Kind.LORA, "styles/soft", "Mine"))
    assert added.file.name == "styles/soft/Mine.safetensors"
    assert store.find(Kind.LORA, "Mine").path == added.file.path


@pytest.mark.parametrize(
    "name", ["../a", "a/b", "a\\b", "..", ".hidden", "a\0b", "x" * 200, "a\nb", " a", "a.", "a:b"]
)
def test_bad_names(store: Store, name: str) -> None:
    """No name leads out of its folder, or to a file that some system cannot hold."""
    with pytest.raises(BadName):
        destination(store, Kind.LORA, "", name)


@pytest.mark.parametrize("folder", ["..", "a/../..", "/../x", "a//b", "~\\x", ".easel", "a/.b"])
def test_bad_folders(store: Store, folder: str) -> None:
    """The same for folders."""
    with pytest.raises(BadName):
        destination(store, Kind.LORA, folder, "a")


@given(folder=st.text(max_size=30), name=st.text(min_size=1, max_size=30))
def test_nothing_leads_out(tmp_path_factory: pytest.TempPathFactory, folder: str, name: str) -> None:
    """Whatever is typed: below the kind's folder, or refused."""
    store = Store(Path("/somewhere/models"), hashing=False)
    try:
        path = destination(store, Kind.LORA, folder, name)
    except ModelError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(store.folder(Kind.LORA))
    assert path.name.lower().endswith(".safetensors")


def test_a_link_out_of_the_store(store: Store, tmp_path: Path) -> None:
    """A linked folder below the kind's is not written through."""
    (tmp_path / "elsewhere").mkdir()
    store.folder(Kind.LORA).mkdir(parents=True)
    (store.folder(Kind.LORA) / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadName, match="link"):
        destination(store, Kind.LORA, "out", "a")


def test_another_file_of_the_name(server: Serving, store: Store, intake: Make) -> None:
    """Neither overwritten nor taken for the one that is meant."""
    server.put("/a/dream.safetensors", CONTENT)
    server.put("/b/dream.safetensors", LORA)
    intake().add(ModelRequest(f"{server.url}/a/dream.safetensors", Kind.LORA))
    with pytest.raises(NameTaken, match=r"came from http.*--name FILE"):
        intake().add(ModelRequest(f"{server.url}/b/dream.safetensors", Kind.LORA))
    assert store.find(Kind.LORA, "dream").path.read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_known_by_its_hash(server: Serving, store: Store, intake: Make) -> None:
    """A copy that is the same is adopted, not fetched."""
    served = server.put("/dream.safetensors", CONTENT)
    path = store.folder(Kind.LORA) / "dream.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    added = intake().add(ModelRequest(f"{server.url}/dream.safetensors", Kind.LORA, sha256=sha256(CONTENT)))
    assert not added.fetched
    assert served.requests == 0
    assert added.record.source == f"{server.url}/dream.safetensors"


def test_a_replaced_file_loses_its_record(server: Serving, store: Store, intake: Make) -> None:
    """Same name, same size, same time: another inode is another file."""
    server.put("/dream.safetensors", CONTENT)
    path = intake().add(ModelRequest(f"{server.url}/dream.safetensors", Kind.LORA)).file.path
    before = path.stat()
    new = path.with_name("new")
    new.write_bytes(LORA)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(new, path)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert store.record(path).sha256 == ""
    assert Store(store.root, hashing=False).index(Kind.LORA)[0].sha256 == ""
    assert store.hash_now(path) == sha256(LORA)


def test_a_file_of_this_machine(store: Store, intake: Make, tmp_path: Path) -> None:
    """`file:` copies, checks and hashes; a pickle, a web page and nothing at all are refused."""
    raw_file = tmp_path / "from here.safetensors"
    raw_file.write_bytes(LORA)
    added = intake().add(ModelRequest(f"file:{str(raw_file).replace(' ', '%20')}", sha256=sha256(LORA)))
    assert added.file.path.read_bytes() == LORA
    assert added.file.path.stat().st_ino != raw_file.stat().st_ino
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"<html>")
    for address, error in (
        (f"file:{bad}", FileError),
        (f"file:{tmp_path}/none.safetensors", SourceError),
        (f"file:{tmp_path}", SourceError),
        (f"file:{tmp_path}/{'long' * 99}.safetensors", SourceError),
        ("file:~nobody-knows/a.safetensors", SourceError),
    ):
        with pytest.raises(error):
            intake().add(ModelRequest(address, Kind.LORA))
    with pytest.raises(FileError, match="thrown away"):
        intake().add(ModelRequest(f"file:{raw_file}".replace(" ", "%20"), Kind.VAE, sha256="0" * 64))
    assert store.files(Kind.VAE) == []


def test_remove_takes_all_of_it(server: Serving, store: Store, intake: Make) -> None:
    """Model, record, information and what an unfinished download left; others stay."""
    server.put("/dream.safetensors", CONTENT)
    server.put("/stay.safetensors", LORA)
    for name in ("dream", "stay"):
        intake().add(ModelRequest(f"{server.url}/{name}.safetensors", Kind.LORA))
    file = store.find(Kind.LORA, "dream")
    file.path.with_name("dream.civitai.info").write_text("{}")
    part_of(file.path).write_bytes(b"half")
    remove_model(store, file)
    names = {path.name for path in store.root.rglob("*") if path.is_file()}
    assert names == {"stay.safetensors", "stay.safetensors.json"}
    with pytest.raises(UnknownModel):
        store.find(Kind.LORA, "dream")


def test_verify_finds_what_a_disk_has_lost(server: Serving, store: Store, intake: Make) -> None:
    """A changed bit, a cut file; a file without a known hash is new and gets one."""
    server.put("/dream.safetensors", CONTENT)
    path = intake().add(ModelRequest(f"{server.url}/dream.safetensors", Kind.LORA)).file.path
    file = store.find(Kind.LORA, "dream")
    assert verify_model(store, file).problem is None
    before = path.stat()
    with open(path, "r+b") as content:
        content.seek(1000)
        content.write(b"?")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "its record says" in str(verify_model(store, file).problem)
    os.truncate(path, 1000)
    assert "cut short" in str(verify_model(store, file).problem)
    path.write_bytes(LORA)
    verdict = verify_model(store, file)
    assert (verdict.known, verdict.problem, verdict.sha256) == (False, None, sha256(LORA))
    assert store.record(path).sha256 == sha256(LORA)


def test_sync_makes_the_store_match(server: Serving, store: Store, intake: Make) -> None:
    """What is listed comes in, what is there is not asked for, one that fails keeps no other out."""
    served = server.put("/a.safetensors", LORA)
    server.put("/b.safetensors", model_bytes(90_000, key="lora_unet_x.lora_up.weight"))
    hand = store.folder(Kind.LORA) / "by-hand.safetensors"
    hand.parent.mkdir(parents=True)
    hand.write_bytes(CONTENT)
    (hand.parent / "easel-starter-lora.safetensors").write_bytes(CONTENT)
    addresses = [f"{server.url}/{name}.safetensors" for name in "aub"]
    done = sync(store, addresses, intake(), prune=True)
    assert [each.file.name for each in done.added] == ["a.safetensors", "b.safetensors"]
    assert len(done.failed) == 1
    assert hand.exists(), "nothing is removed while something is missing"
    requests = served.requests
    again = sync(store, [addresses[0], addresses[2]], intake())
    assert (len(again.there), len(again.added), served.requests) == (2, 0, requests)
    assert hand.exists()
    pruned = sync(store, [addresses[0]], intake(), prune=True)
    assert sorted(file.name for file in pruned.removed) == ["b.safetensors", "by-hand.safetensors"]
    assert [file.name for file in store.files(Kind.LORA)] == [
        "a.safetensors",
        "easel-starter-lora.safetensors",
    ]


def test_an_index_of_what_is_there(store: Store, tmp_path: Path) -> None:
    """Precision, words and problems, from headers alone."""
    folder = store.folder(Kind.LORA)
    folder.mkdir(parents=True)
    said = {"modelspec.trigger_phrase": "soft, light", "ss_base_model_version": "sdxl_base_v1-0"}
    header = describe({"lora_unet_x.lora_up.weight": (2, 3)}, metadata=said)
    raw(folder / "a.safetensors", header, bytes(12))
    (folder / "b.safetensors").write_bytes(b"<html>")
    good, bad = store.index(Kind.LORA)
    assert (good.precision, good.trained_words, good.base_model, good.problem) == (
        "fp16", ("soft", "light"), "sdxl_base_v1-0", "",
    )  # fmt: skip
    assert "web page" in bad.problem


def command(*arguments: str, home: Path) -> Any:
    """`python -m easel.models …`, as a host runs it."""
    environment = {**os.environ, "EASEL_HOME": str(home), "PYTHONPATH": str(ROOT / "image")}
    line = [sys.executable, "-m", "easel.models", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture
def easel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The command, in this process: a dozen of them would spend their time importing."""
    monkeypatch.setenv("EASEL_HOME", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return lambda *arguments: CliRunner().invoke(main, ["models", *arguments])


def test_the_commands(server: Serving, easel: Callable[..., Any]) -> None:
    """add, list, verify and remove as people type them; 0 only for a whole file."""
    server.put("/dream.safetensors", CONTENT)
    flags = ("--type", "lora", "--folder", "soft", "--sha256", sha256(CONTENT).upper())
    done = easel("add", f"{server.url}/dream.safetensors", *flags)
    assert (done.exit_code, done.stdout) == (0, f"Lora/soft/dream.safetensors is in  {sha256(CONTENT)}\n")
    (row,) = json.loads(easel("list", "--json").stdout)
    assert (row["name"], row["sha256"]) == ("soft/dream.safetensors", sha256(CONTENT))
    assert sha256(CONTENT)[:10] in easel("list").stdout
    assert easel("verify", "Lora/soft/dream.safetensors").stdout.startswith("whole")
    refused = easel("add", "ftp://x")
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    failed = easel("add", f"{server.url}/none.safetensors")
    assert (failed.exit_code, "no such file" in failed.stderr) == (1, True)
    assert easel("remove", "dream").exit_code == 0
    assert easel("remove", "dream").exit_code == 2


def test_sync_from_the_stack_file(
    server: Serving, easel: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`easel models sync` brings in what the endpoints of the stack file list, and prunes when asked."""
    source = tmp_path / "style.safetensors"
    source.write_bytes(LORA)
    stack = tmp_path / "Pulumi.here.yaml"
    endpoint = "studio: {{shape: cpu.small, models: [{}]}}"
    text = f"config:\n  easel:team: {{{{runs_on: local}}}}\n  easel:endpoints:\n    {endpoint}\n"
    stack.write_text(text.format(f"file:{source}"))
    monkeypatch.setenv("EASEL_STACK", str(stack))
    done = easel("sync")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "1 came, 0 were there, 0 failed"), (
        done.output
    )
    stack.write_text(text.format(""))
    assert "is removed" in easel("sync", "--prune").stdout


def test_sync_on_a_host(server: Serving, tmp_path: Path) -> None:
    """`python -m easel.models sync`: from the endpoint's JSON, without torch, 1 if a model is not whole."""
    server.put("/style.safetensors", LORA)
    config = tmp_path / "studio.json"
    config.write_text(json.dumps({"name": "studio", "models": [f"{server.url}/style.safetensors"]}))
    arguments = ("sync", "--config", str(config), "--store", str(tmp_path / "store"))
    done = command(*arguments, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 came, 0 were there, 0 failed"
    assert (tmp_path / "store" / "Lora" / "style.safetensors").read_bytes() == LORA
    config.write_text(json.dumps({"models": ["https://127.0.0.1:9/none.safetensors"]}))
    assert command(*arguments, home=tmp_path).returncode == 1
    config.write_text("[")
    assert command(*arguments, home=tmp_path).returncode == 2


def test_sync_imports_no_torch() -> None:
    """It runs on hosts and in containers that have none."""
    code = "import sys, easel.models.__main__; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image")}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


def test_an_error_of_the_wire_is_one_of_ours(server: Serving, intake: Make) -> None:
    """No library's exception comes out."""
    server.put("/a.safetensors", b'{"message": "no"}', type="application/json")
    with pytest.raises(NotAModel, match="it says: no"):
        intake().add(ModelRequest(f"{server.url}/a.safetensors"))
