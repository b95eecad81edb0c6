"""What was measured of wide calls outlives the process, on its device; and why calls are so wide."""

from __future__ import annotations

import json
import time
from collections.abc import Hashable
from pathlib import Path

import pytest
import torch

from easel.models import Kind, ModelFile, Store
from easel.studio.engine import Engine, EngineObserver, TextToImage, TimedCall, call_widths, worker
from easel.studio.engine.widths import batch_width
from easel.studio.engine.widths.batch_width import LONGEST, SAMPLES, WARM_UP, BatchWidth
from easel.studio.engine.widths.kept_widths import (
    CEILING_SECONDS,
    MOST_KINDS,
    KeptWidth,
    KeptWidths,
    device_name,
    spelled,
)  # fmt: skip
from easel.studio.engine.widths.width_reason import Why, WidthReason

KIND: Hashable = (("sd1", (1, 4, 64, 64), (2, 77, 768), "torch.float16", False, (), None), False)
WAIT = 120
EIGHT = TextToImage(prompt="a", width=64, height=64, steps=16, batch_size=8, seed=1)


def measured(takes: dict[int, float], kept: dict[str, KeptWidth] | None = None) -> BatchWidth:
    """A width that has timed calls of these widths."""
    width = BatchWidth(kept=kept)
    for size, seconds in takes.items():
        for _ in range(WARM_UP + SAMPLES):
            width.record(KIND, size, seconds)
    return width


def test_the_next_life_begins_with_what_this_one_measured(tmp_path: Path) -> None:
    """Nothing is measured again; what is written is read back as it was."""
    first = measured({1: 0.1, 2: 0.11, 4: 0.12, 8: 0.3})
    kept = KeptWidths(tmp_path, "a GPU")
    kept.write(first.learned())
    again = BatchWidth(kept=KeptWidths(tmp_path, "a GPU").read())
    assert again.reason(KIND) == first.reason(KIND)
    assert again.bucket(KIND, 8) == 4
    assert first.learned() == {}, "nothing is new"


def test_what_takes_longer_now_is_seen() -> None:
    """A dozen calls outweigh what an earlier life found: a driver may have become slower."""
    kept = measured({1: 0.1, 2: 0.11, 4: 0.12, 8: 0.13}).learned()
    again = BatchWidth(kept=kept)
    assert again.bucket(KIND, 8) == 8
    for _ in range(batch_width.REMEMBERED + WARM_UP):
        again.record(KIND, 8, LONGEST * 2)
    assert again.reason(KIND) == WidthReason(4, Why.TOO_LONG, 8, LONGEST * 2)


def test_another_devices_numbers_are_not_taken(tmp_path: Path) -> None:
    """Nor those of a file that another device's name leads to by its letters."""
    KeptWidths(tmp_path, "A10G, 24 GB").write(measured({1: 0.1, 2: 0.11}).learned())
    assert KeptWidths(tmp_path, "A10G, 24 GB").read()
    assert KeptWidths(tmp_path, "T4, 16 GB").read() == {}
    assert KeptWidths(tmp_path, "A10G; 24 GB").read() == {}
    cpu = torch.device("cpu")
    assert device_name(cpu) == device_name(cpu)
    assert device_name(cpu, "compiled") != device_name(cpu)
    assert torch.__version__ in device_name(cpu)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"device": "a GPU"}', b'{"device": "a GPU", "kinds": [1]}',
        b'{"device": "a GPU", "kinds": {"k": {"seconds": {"two": [1]}}}}',
        b'{"device": "a GPU", "kinds": {"k": {"seconds": {"2": [-1]}}}}',
        b'{"device": "a GPU", "kinds": {"k": {"seconds": {"2": [NaN]}}}}',
        b'{"device": "a GPU", "kinds": {"k": {"seconds": {}, "ceiling": "four"}}}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_broken_file_is_left_aside(tmp_path: Path, content: bytes) -> None:
    """It stops nobody, and the next write makes it whole."""
    kept = KeptWidths(tmp_path, "a GPU")
    (tmp_path / "a-GPU.json").write_bytes(content)
    assert kept.read() == {}
    kept.write(measured({1: 0.1, 2: 0.11}).learned())
    assert len(kept.read()) == 1


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """It is logged."""
    (tmp_path / "file").write_text("")
    KeptWidths(tmp_path / "file" / "below", "a GPU").write(measured({1: 0.1}).learned())


def test_replicas_keep_what_others_kept(tmp_path: Path) -> None:
    """Two of one endpoint on devices of one name write one file, of bounded length."""
    one, other = KeptWidths(tmp_path, "a GPU"), KeptWidths(tmp_path, "a GPU")
    one.write({"mine": KeptWidth({1: [0.1] * SAMPLES})})
    other.write({"theirs": KeptWidth({1: [0.2] * SAMPLES})})
    assert set(one.read()) == {"mine", "theirs"}
    one.write({f"{number}": KeptWidth({}) for number in range(MOST_KINDS)})
    assert "mine" not in one.read()
    assert len(one.read()) == MOST_KINDS


def test_out_of_memory_is_remembered_for_a_day(tmp_path: Path) -> None:
    """The next life does not fail at the same width again; some other day there may be room."""
    width = BatchWidth()
    width.out_of_memory(KIND, 8)
    kept = KeptWidths(tmp_path, "a GPU")
    kept.write(width.learned())
    again = measured({1: 0.1, 2: 0.11, 4: 0.12}, kept.read())
    assert again.reason(KIND) == WidthReason(4, Why.OUT_OF_MEMORY, 8)
    content = json.loads((tmp_path / "a-GPU.json").read_text())
    (one,) = content["kinds"].values()
    one["ceiling"][1] = time.time() - CEILING_SECONDS - 1
    (tmp_path / "a-GPU.json").write_text(json.dumps(content))
    assert measured({1: 0.1, 2: 0.11, 4: 0.12}, kept.read()).bucket(KIND, 8) == 8


def test_kinds_with_somebodys_file_are_not_kept() -> None:
    """What is drawn with a control model of this store means nothing by its spelling."""
    file = ModelFile(Path("/a"), "a", Kind.CONTROLNET, 1, 1.0)
    assert spelled((file, "a")) is None
    assert spelled(KIND) == spelled((("sd1", torch.Size((1, 4, 64, 64)), *KIND[0][2:]), False))  # type: ignore[index]


@pytest.mark.parametrize(
    ("takes", "words"),
    [
        ({}, "1 at once: not measured yet"),
        ({1: 0.2}, "2 at once: not measured yet"),
        ({1: 0.1, 2: 0.11, 4: 0.14, 8: 0.16}, "8 at once: 5.0 times the pictures of one alone"),
        ({1: 0.1, 2: 0.19}, "1 at once: 2 would draw 1.05 times as many, which is not worth it"),
        ({1: 0.4, 2: 0.42, 4: 1.2}, "2 at once: 4 would take 1.2 s, and others wait 1 s at the most"),
        ({1: 0.6}, "1 at once: 2 would take 1.2 s, and others wait 1 s at the most"),
    ],
)  # fmt: skip
def test_the_width_has_a_reason(takes: dict[int, float], words: str) -> None:
    """Which whoever runs the endpoint can read."""
    assert measured(takes).reason(KIND).said(LONGEST) == words


class Widths(EngineObserver):
    """Notes how many pictures were in each call."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def called(self, call: TimedCall) -> None:
        if call.kind == "backbone":
            self.seen.append(len(call.jobs))


def draw(store: Store, widths: Path) -> tuple[list[int], str, int]:
    """Eight pictures in an engine that starts and ends; pictures by call, and what it says of them."""
    engine, noted = Engine(store, default_checkpoint="easel-starter", widths=widths), Widths()
    engine.observe(noted)
    engine.start()
    engine.submit("ada", EIGHT).result(WAIT)
    now = engine.status()
    engine.stop()
    return noted.seen, now.width_reason, now.width


def test_a_restart_keeps_the_width(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call of the next life is as wide as this one found to be good, and says why; on another
    device it is measured again."""
    # whatever a busy machine's clock says: every width pays
    monkeypatch.setattr(batch_width, "WORTH", 0.0)
    monkeypatch.setattr(batch_width, "LONGEST", 1000.0)
    monkeypatch.setattr(worker, "BEGINNING_SECONDS", 60.0)
    first, said, width = draw(store, tmp_path)
    assert (first[0], max(first)) == (1, 8)
    assert (width, said[:16]) == (8, "64x64, 8 at once")
    assert len(list(tmp_path.glob("*.json"))) == 1
    second, said, _ = draw(store, tmp_path)
    assert set(second) == {8}
    assert "times the pictures of one alone" in said
    monkeypatch.setattr(call_widths, "device_name", lambda *_: "another device")
    assert draw(store, tmp_path)[0][0] == 1
    assert len(list(tmp_path.glob("*.json"))) == 2
