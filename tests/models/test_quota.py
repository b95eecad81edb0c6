"""The quota holds for every way in: downloads, copies, `models add`, `sync`; uploads are in test_tus.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from easel.models import (
    Intake,
    Kind,
    ModelRequest,
    Offer,
    OverQuota,
    Store,
    Uploads,
    WebSource,
    quota_of,
    sync,
)
from easel.models.fetch.partial_journal import journal_of, part_of, read_journal
from easel.models.quota import StoreQuota, quota_in
from scripts.__main__ import main
from tests.models.conftest import QUICK, leftovers
from tests.models.serving import Request, Serving, model_bytes, sha256

MB = 1_000_000
ROOT = Path(__file__).resolve().parents[2]
CONTENT = model_bytes(2 * MB, seed=4, key="lora_unet_x.lora_up.weight")
Make = Callable[..., Intake]


def wish(server: Serving, name: str = "dream", **said: Any) -> ModelRequest:
    return ModelRequest(f"{server.url}/{name}.safetensors", Kind.LORA, **said)


def put(store: Store, name: str, size: int) -> Path:
    path = store.folder(Kind.LORA) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def test_a_size_that_the_source_says_is_refused_before_the_first_byte(
    server: Serving, store: Store, intake: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is asked for a byte of what there is no room for; the sentence says what to do."""
    served = server.put("/dream.safetensors", CONTENT)
    put(store, "old.safetensors", MB)
    plain = WebSource.offer

    def sized(self: WebSource, client: Any) -> Offer:
        return Offer(plain(self, client).url, name="dream.safetensors", size=len(CONTENT))

    monkeypatch.setattr(WebSource, "offer", sized)
    with pytest.raises(OverQuota) as caught:
        intake(quota=int(2.5 * MB)).add(wish(server))
    assert "it has 2.0 MB, but of the team's quota of 2.5 MB for models 1.5 MB are left" in str(caught.value)
    assert "easel models remove" in str(caught.value)
    assert "storage.quota" in str(caught.value)
    assert served.requests == 0
    assert leftovers(store.root) == []


def test_a_size_that_comes_with_the_first_answer(server: Serving, store: Store, intake: Make) -> None:
    """The first answer says how large it is: no byte of it is kept, and no other is asked for."""
    served = server.put("/dream.safetensors", CONTENT)
    with pytest.raises(OverQuota):
        intake(quota=MB).add(wish(server))
    assert served.requests == 1
    assert leftovers(store.root) == []
    assert store.files(Kind.LORA) == []


def test_a_size_that_nobody_says(server: Serving, store: Store, intake: Make) -> None:
    """It is stopped when it passes the quota, and what came is thrown away."""
    sent = threading.Event()

    def chunked(request: Request) -> bool:
        send = request.handler
        send.send_response(200)
        send.send_header("Transfer-Encoding", "chunked")
        send.end_headers()
        for at in range(0, len(CONTENT), 100_000):
            block = CONTENT[at : at + 100_000]
            send.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
            sent.wait(0.05)
        send.wfile.write(b"0\r\n\r\n")
        return True

    server.put("/dream.safetensors", CONTENT, before=chunked)
    with pytest.raises(OverQuota):
        intake(quota=MB).add(wish(server))
    assert leftovers(store.root) == []
    assert intake(quota=2 * MB).add(wish(server)).fetched, "as much as the quota is within it"


def test_a_file_of_this_machine(store: Store, intake: Make, tmp_path: Path) -> None:
    """A copy is refused before it begins."""
    source = tmp_path / "dream.safetensors"
    source.write_bytes(CONTENT)
    with pytest.raises(OverQuota):
        intake(quota=MB).add(ModelRequest(f"file:{source}"))
    assert leftovers(store.root) == []
    assert intake(quota=3 * MB).add(ModelRequest(f"file:{source}")).fetched


def test_what_is_on_its_way_counts(store: Store, tmp_path: Path) -> None:
    """A download of two gigabytes of which one has come takes two; an upload what it announced; easel's own
    notes nothing."""
    quota = StoreQuota(store.root, 10 * MB)
    put(store, "a.safetensors", MB)
    coming = store.folder(Kind.LORA) / "b.safetensors"
    part_of(coming).write_bytes(bytes(1000))
    assert quota.used() == MB + 1000
    said = {"key": "x", "size": 2 * MB, "etag": "", "host": "", "ranges": [[0, 1000]]}
    journal_of(coming).write_text(json.dumps(said))
    assert quota.used() == 3 * MB
    Uploads(store, quota=10 * MB).begin("ada", "c.safetensors", 4 * MB)
    (store.root / ".easel" / "notes").write_bytes(bytes(MB))
    assert quota.used() == 7 * MB
    # What goes on counts once: as what it will be.
    quota.check("b.safetensors", 2 * MB, besides=coming)
    with pytest.raises(OverQuota):
        quota.check("b.safetensors", 6 * MB, besides=coming)


def test_two_at_once_do_not_both_find_room(server: Serving, store: Store) -> None:
    """The second of two downloads sees the first one's size, of which little has come."""
    server.put("/one.safetensors", CONTENT, rate=400_000)
    server.put("/two.safetensors", model_bytes(2 * MB, seed=5, key="lora_unet_x.lora_up.weight"))
    ended = threading.Event()

    def fetch() -> None:
        Intake(Store(store.root, hashing=False), limits=QUICK, quota=3 * MB).add(wish(server, "one"))
        ended.set()

    thread = threading.Thread(target=fetch)
    thread.start()
    end = time.monotonic() + 20
    while (known := read_journal(store.folder(Kind.LORA) / "one.safetensors")) is None or not known.size:
        assert time.monotonic() < end
        time.sleep(0.01)
    with pytest.raises(OverQuota):
        Intake(store, limits=QUICK, quota=3 * MB).add(wish(server, "two"))
    thread.join(60)
    assert ended.is_set()


def test_a_newer_one_takes_the_place_of_the_old(server: Serving, store: Store, intake: Make) -> None:
    """What it replaces makes room for it."""
    server.put("/dream.safetensors", CONTENT)
    intake(quota=3 * MB).add(wish(server))
    path = store.find(Kind.LORA, "dream").path
    newer = model_bytes(2 * MB + 500_000, seed=8, key="lora_unet_x.lora_up.weight")
    server.put("/dream.safetensors", newer, etag='"two"')
    assert intake(quota=3 * MB).add(wish(server, sha256=sha256(newer))).fetched
    assert path.read_bytes() == newer


def test_sync_keeps_to_it(server: Serving, store: Store, intake: Make) -> None:
    """What fits comes in, what does not is told, and the others are not kept out by it."""
    server.put("/big.safetensors", model_bytes(4 * MB, seed=6, key="lora_unet_x.lora_up.weight"))
    server.put("/dream.safetensors", CONTENT)
    addresses = [f"{server.url}/big.safetensors", f"{server.url}/dream.safetensors"]
    done = sync(store, addresses, intake(quota=3 * MB))
    assert [one.file.name for one in done.added] == ["dream.safetensors"]
    assert [type(error) for _, error in done.failed] == [OverQuota]


def test_sync_on_a_host_keeps_to_it(server: Serving, tmp_path: Path) -> None:
    """The endpoint's configuration tells it, as it tells the studio."""
    server.put("/dream.safetensors", CONTENT)
    config = tmp_path / "studio.json"
    models = [f"{server.url}/dream.safetensors"]
    config.write_text(json.dumps({"name": "studio", "models": models, "env": {"EASEL_QUOTA": str(MB)}}))
    line = [
        sys.executable,
        "-m",
        "easel.models",
        "sync",
        "--config",
        str(config),
        "--store",
        str(tmp_path / "s"),
    ]
    done = subprocess.run(
        line, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "image")},
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "team's quota of 1.0 MB" in done.stdout + done.stderr


def test_the_command_keeps_to_the_stack_file(
    server: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`easel models add` knows it from EASEL_QUOTA or the stack file; without either there is none."""
    server.put("/dream.safetensors", CONTENT)
    stack = tmp_path / "Pulumi.here.yaml"
    text = (
        "config:\n  easel:team: {{runs_on: local, storage: {{quota: {}}}}}\n"
        "  easel:endpoints:\n    studio: {{shape: cpu.small}}\n"
    )
    stack.write_text(text.format("100MB"))
    for name, value in (("EASEL_HOME", tmp_path), ("EASEL_STACK", stack), ("EASEL_QUOTA", "1000000")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("signal.signal", lambda *_: None)

    def add() -> Any:
        return CliRunner().invoke(
            main, ["models", "add", f"{server.url}/dream.safetensors", "--type", "lora"]
        )

    refused = add()
    assert (refused.exit_code, "quota of 1.0 MB" in refused.stderr) == (1, True), refused.output
    monkeypatch.delenv("EASEL_QUOTA")
    (tmp_path / "models" / "Lora").mkdir(parents=True, exist_ok=True)
    with open(tmp_path / "models" / "Lora" / "other.safetensors", "wb") as other:
        other.truncate(99 * MB)
    refused = add()
    assert (refused.exit_code, "quota of 100.0 MB" in refused.stderr) == (1, True), refused.output
    stack.write_text("nothing of the kind")
    assert add().exit_code == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("", None), (" 5 ", 5), ("5GB", None), ("-5", None), ("٥", None), ("9" * 19, None), ("0", 0)],
)
def test_what_the_setting_may_be(text: str, found: int | None) -> None:
    """A number of bytes; anything else is none, and logged."""
    assert quota_of({"EASEL_QUOTA": text}) == found


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "null", "{}", '{"env": null}', '{"env": []}', '{"env": {"EASEL_QUOTA": "x"}}',
     '{"env": {"EASEL_QUOTA": null}}', "[" * 100_000],
)  # fmt: skip
def test_a_configuration_without_one(tmp_path: Path, text: str) -> None:
    """Whatever it is, none is found in it."""
    (tmp_path / "a.json").write_text(text)
    assert quota_in(tmp_path / "a.json") is None
    assert quota_in(tmp_path / "none.json") is None
