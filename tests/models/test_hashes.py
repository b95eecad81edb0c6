"""SHA-256 and AutoV3 of what comes in blocks, on one thread or two."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from easel.models import Intake, Kind, ModelRequest, Store, verify_model
from easel.models.hashes import Digests
from tests.models.civitai_stand_in import CONTENT, Civitai, version
from tests.models.conftest import QUICK
from tests.models.serving import Serving, model_bytes, serving, sha256

BIG = model_bytes(1_000_000, seed=11)


@pytest.fixture(scope="module")
def helper() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as found:
        yield found


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, len(BIG)), max_size=6), both=st.booleans())
def test_the_same_in_any_pieces(helper: ThreadPoolExecutor, cuts: list[int], both: bool) -> None:
    """However it is cut, on one thread or two: the hash of all bytes, and of those behind the header."""
    digests = Digests(helper if both else None)
    edges = [0, *sorted(cuts), len(BIG)]
    for begin, end in pairwise(edges):
        digests.update(memoryview(BIG)[begin:end] if begin % 2 else BIG[begin:end])
    assert (digests.sha256, digests.autov3) == (sha256(BIG), sha256(BIG[512:])[:12])


@pytest.mark.parametrize("content", [b"", b"{", b"\x05\0\0", b"\x80\x02}q\x00" + bytes(200_000), bytes(9)])
def test_what_is_no_safetensors_file(helper: ThreadPoolExecutor, content: bytes) -> None:
    """It has a SHA-256; an AutoV3 only if its first bytes could be a header's length."""
    digests = Digests(helper)
    digests.update(content)
    assert digests.sha256 == hashlib.sha256(content).hexdigest()
    assert digests.autov3 == (sha256(b"\0")[:12] if content == bytes(9) else "")


def test_without_the_second() -> None:
    """Where it is known already it is not computed."""
    digests = Digests(rest=False)
    digests.update(BIG)
    assert (digests.sha256, digests.autov3) == (sha256(BIG), "")


def test_the_second_is_done_on_another_thread(helper: ThreadPoolExecutor) -> None:
    """So that on two cores both take as long as one."""
    digests, seen = Digests(helper), []
    assert digests._rest is not None
    plain = digests._rest.update

    def noted(block: bytes | memoryview) -> None:
        seen.append(threading.current_thread().name)
        plain(block)

    digests._rest.update = noted  # type: ignore[method-assign]
    digests.update(BIG)
    assert seen != [threading.current_thread().name]
    assert digests.autov3 == sha256(BIG[512:])[:12]


def test_what_the_source_says_is_taken(
    server: Serving, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Civitai names both hashes, and the bytes are held to the one: the other is not computed again."""
    made: list[bool] = []
    plain = Digests.__init__

    def noted(self: Digests, helper: ThreadPoolExecutor | None = None, *, rest: bool = True) -> None:
        made.append(rest)
        plain(self, helper, rest=rest)

    monkeypatch.setattr(Digests, "__init__", noted)
    with serving() as storage:
        monkeypatch.setenv("CIVITAI_ENDPOINT", server.url)
        Civitai(server, storage).publish(version())
        added = Intake(store, limits=QUICK).add(ModelRequest("civitai://models/4384?version=128713"))
        assert added.record.autov3 == sha256(CONTENT[512:])[:12]
        assert not any(made)
        storage.put("/plain.safetensors", CONTENT)
        added = Intake(store, limits=QUICK).add(ModelRequest(f"{storage.url}/plain.safetensors", Kind.LORA))
        assert added.record.autov3 == sha256(CONTENT[512:])[:12]
        assert any(made)


def test_a_large_file_has_one_hash(server: Serving, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoV3 is for LoRAs: what is larger than any is not hashed twice as it comes; `verify` says it."""
    monkeypatch.setattr("easel.models.fetch.follower.AUTOV3_BELOW", len(CONTENT))
    server.put("/large.safetensors", CONTENT)
    added = Intake(store, limits=QUICK).add(ModelRequest(f"{server.url}/large.safetensors", Kind.CHECKPOINT))
    assert (added.record.sha256, added.record.autov3) == (sha256(CONTENT), "")
    assert verify_model(store, added.file).problem is None
    assert store.record(added.file.path).autov3 == sha256(CONTENT[512:])[:12]
