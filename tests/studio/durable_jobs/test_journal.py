"""What the page accepted, on disk: cut or forged entries trouble nobody, and no picture comes twice."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.api.jobs.takeover import note_saved
from easel.studio.durable_jobs import Journal
from easel.studio.outputs import Outputs
from easel.studio.png import encode

REQUEST = {"prompt": "a “red” circle 🖌️\n", "width": 64, "height": 64, "steps": 2, "seed": 7, "n_iter": 3}
ID, OTHER, GONE = "a" * 32, "b" * 32, "c" * 32


def entry(**fields: object) -> AcceptedRequest:
    said = {
        "id": ID,
        "owner": "ada",
        "by": GONE,
        "at": 1.0,
        "place": 1.0,
        "kind": "txt2img",
        "shown": REQUEST,
    }
    return AcceptedRequest(**{**said, **fields})  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> Journal[AcceptedRequest]:
    return Journal(tmp_path / "journal", AcceptedRequest)


def taken_over(journal: Journal[AcceptedRequest], outputs: Outputs | None = None) -> list[AcceptedRequest]:
    return journal.take_over(partial(note_saved, outputs or Outputs(journal.folder / "none")))


texts = st.text(max_size=200)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(texts, texts, st.integers(0, 2**63 - 1), st.floats(0, 100), st.sets(st.integers(0, 2)), texts)
def test_an_entry_comes_back_as_it_was(
    journal: Journal[AcceptedRequest],
    prompt: str,
    negative: str,
    seed: int,
    cfg: float,
    done: set[int],
    told: str,
) -> None:
    """Whatever text a person wrote, and every digit of seed and guidance: the same pictures again."""
    asked = {**REQUEST, "prompt": prompt, "negative_prompt": negative, "seed": seed, "cfg_scale": cfg}
    written = entry(shown=asked, done={number: f"2026-01-01/{number:05}-7.png" for number in done}, told=told)
    journal.write(written)
    assert journal.read(ID) == written


def test_what_was_accepted_comes_back(journal: Journal[AcceptedRequest]) -> None:
    """The request lies beside its entry, for its owner alone, and goes with it."""
    request = bytes(range(256)) * 1000
    journal.write_request(ID, request)
    journal.write(entry())
    assert journal.request(ID) == request
    assert (journal.folder / f"{ID}-request.json").stat().st_mode & 0o777 == 0o600
    journal.remove(ID)
    assert journal.request(ID) is None
    assert [path for path in journal.folder.iterdir() if ID in path.name] == []


def test_entries_are_for_their_owner_alone(journal: Journal[AcceptedRequest]) -> None:
    """Prompts are nobody's business: 0700 and 0600."""
    journal.write(entry())
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    assert (journal.folder / f"{ID}.json").stat().st_mode & 0o777 == 0o600


GARBAGE = {
    "empty": b"",
    "cut": None,
    "text": b"not JSON",
    "deep": b"[" * 100_000,
    "list": b"[]",
    "null": b"null",
    "huge": b" " * 2_000_000,
    "nan": json.dumps({**json.loads(entry().model_dump_json()), "at": float("nan")}).encode(),
    "binary": os.urandom(500),
    "other id": entry(id=OTHER).model_dump_json().encode(),
    "surplus": json.dumps({**json.loads(entry().model_dump_json()), "command": "rm"}).encode(),
    "pictures without a name": json.dumps({**json.loads(entry().model_dump_json()), "done": "3"}).encode(),
    "owner as a path": json.dumps({**json.loads(entry().model_dump_json()), "owner": ["../.."]}).encode(),
    "process as a path": json.dumps({**json.loads(entry().model_dump_json()), "by": "../../etc"}).encode(),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_is_removed_and_the_rest_is_drawn(journal: Journal[AcceptedRequest], what: str) -> None:
    """A cut or foreign file is no entry, goes, and holds up none of the others."""
    journal.write(entry())
    journal.write(entry(id=OTHER, owner="bob"))
    whole = (journal.folder / f"{ID}.json").read_bytes()
    (journal.folder / f"{ID}.json").write_bytes(GARBAGE[what] if GARBAGE[what] is not None else whole[:-20])
    assert [one.id for one in taken_over(journal)] == [OTHER]
    assert not (journal.folder / f"{ID}.json").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=8))
def test_any_damage_is_an_entry_or_none(journal: Journal[AcceptedRequest], place: int, bytes_: bytes) -> None:
    """Bytes overwritten anywhere: what comes back is valid, or nothing does. Never an exception."""
    journal.write(entry())
    path = journal.folder / f"{ID}.json"
    content = bytearray(path.read_bytes())
    content[place : place + len(bytes_)] = bytes_
    path.write_bytes(bytes(content))
    found = journal.read(ID)
    assert found is None or found.id == ID
    journal.remove(ID)


def test_links_and_folders_are_no_entries(journal: Journal[AcceptedRequest], tmp_path: Path) -> None:
    """A name that leads elsewhere is not followed; a folder or a pipe holds nobody up."""
    journal.write(entry(id=OTHER))
    outside = tmp_path / "outside.json"
    outside.write_bytes(entry().model_dump_json().encode())
    (journal.folder / f"{ID}.json").symlink_to(outside)
    (journal.folder / f"{'d' * 32}.json").mkdir()
    os.mkfifo(journal.folder / f"{'e' * 32}.json")
    assert [one.id for one in taken_over(journal)] == [OTHER]
    assert outside.exists()


def test_the_living_keep_their_own(journal: Journal[AcceptedRequest]) -> None:
    """What a living replica draws is not taken over; once it has ended it is, by one of those that look."""
    living = Journal(journal.folder, AcceptedRequest)
    living.write(entry(by=living.process))
    assert taken_over(journal) == []
    living.close()
    (taken,) = taken_over(journal)
    assert (taken.id, taken.by, taken.taken) == (ID, journal.process, 1)
    assert taken_over(Journal(journal.folder, AcceptedRequest)) == []
    journal.close()


def test_a_picture_that_has_its_name_is_not_drawn_again(
    journal: Journal[AcceptedRequest], tmp_path: Path
) -> None:
    """Killed after the picture was named and before that was noted: it counts as done. Killed before it was
    named: what is half there goes, and it is drawn."""
    outputs = Outputs(tmp_path / "outputs")
    journal.write(entry())
    # on the same disk as the gallery, as it is in a studio
    file = encode(Image.new("RGB", (8, 8)))
    outputs.save("ada", file, 8, staged=journal.staging(ID, 1))
    journal.staging(ID, 2).write_bytes(file[:20])
    (taken,) = taken_over(journal, outputs)
    (picture,) = outputs.recent("ada")
    assert taken.done == {1: f"{picture.parent.name}/{picture.name}"}
    assert not [one for one in journal.folder.iterdir() if one.suffix == ".png"]
    assert len(outputs.recent("ada")) == 1
    journal.close()


def test_what_ended_is_kept_for_a_time(journal: Journal[AcceptedRequest]) -> None:
    """An hour for its result, a week where its owner has to be told; and so long is what was left staged."""
    now = time.time()
    for number, (told, ended) in enumerate((("", 60), ("", 7200), ("Not drawn.", 7200), ("Old.", 8 * 86400))):
        journal.write(entry(id=f"{number}" * 32, told=told, state="failed", ended=now - ended))
    journal.staging("d" * 32, 0).write_bytes(b"x")
    os.utime(journal.staging("d" * 32, 0), (now - 7200, now - 7200))
    journal.tidy()
    assert sorted(one.id[0] for one in journal.entries()) == ["0", "2"]
    assert not journal.staging("d" * 32, 0).exists()
    assert taken_over(journal) == []


def looks_at(journal: Journal[AcceptedRequest], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Looks at the folder from now on."""
    looks: list[str] = []

    def listed(folder: Path) -> list[str]:
        looks.append(str(folder))
        with os.scandir(folder) as found:
            return [one.name for one in found]

    monkeypatch.setattr("easel.studio.durable_jobs.journal.os.listdir", listed)
    return looks


def test_an_end_is_no_look_at_all_that_waits(
    journal: Journal[AcceptedRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a network ten thousand names take a second; what lies beside an entry of one's own is known."""
    for id in (ID, OTHER):
        journal.write_request(id, b"{}")
        journal.write(entry(id=id, by=journal.process))
        journal.write_steps(id, 0, 0, "0" * 8, b"x")
        journal.write_steps(id, 1, 0, "0" * 8, b"x")
        journal.staging(id, 2).write_bytes(b"x")
    looks = looks_at(journal, monkeypatch)
    assert set(journal.steps(ID, "0" * 8)) == {0, 1}
    journal.remove_steps(ID, 0)
    assert set(journal.steps(ID, "0" * 8)) == {1}
    journal.remove_request(ID)
    journal.remove(ID)
    assert looks == []
    left = sorted(path.name for path in journal.folder.iterdir() if path.name.startswith(ID))
    assert left == []
    assert len([path for path in journal.folder.iterdir() if path.name.startswith(OTHER)]) == 5


def test_what_is_taken_over_is_looked_at_once_however_much_it_is(
    journal: Journal[AcceptedRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that died with a hundred tickets; their ends are no looks either."""
    ids = [f"{number:032x}" for number in range(100)]
    gone = Journal(journal.folder, AcceptedRequest)
    for id in ids:
        gone.write_request(id, b"{}")
        gone.write(entry(id=id, by=gone.process))
        gone.write_steps(id, 0, 3, "1" * 8, b"x")
        gone.staging(id, 4).write_bytes(b"x")
    gone.close()
    looks = looks_at(journal, monkeypatch)
    assert len(taken_over(journal)) == 100
    for id in ids:
        assert list(journal.steps(id, "1" * 8)[0]) == [3]
        journal.remove_request(id)
        journal.remove(id)
    assert len(looks) <= 2
    assert not [path for path in journal.folder.iterdir() if path.suffix in (".json", ".png", ".steps")]
    journal.close()


def test_what_another_process_keeps_is_removed_all_the_same(journal: Journal[AcceptedRequest]) -> None:
    """Somebody may ask any replica to forget a ticket."""
    drawing = Journal(journal.folder, AcceptedRequest)
    drawing.write_request(ID, b"{}")
    drawing.write(entry(by=drawing.process))
    drawing.write_steps(ID, 0, 0, "0" * 8, b"x")
    journal.remove(ID)
    assert not [path for path in journal.folder.iterdir() if path.name.startswith(ID)]
    drawing.close()


def test_as_many_entries_are_looked_at_as_people_may_have(
    journal: Journal[AcceptedRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries, not files: with a request beside each, half of the tickets were not seen after a restart."""
    monkeypatch.setattr("easel.studio.durable_jobs.journal._MOST", 10)
    for number in range(10):
        journal.write_request(f"{number:032x}", b"{}")
        journal.write(entry(id=f"{number:032x}"))
    assert len(list(journal.entries())) == 10
