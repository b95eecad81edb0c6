"""A disk that is full to the last byte: what must not fail does not, all else says so in words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.conftest import FETCHES, House
from tests.gateway.relay.test_revoking import COOKIE, bearer, ends, page, stream


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB, where whoever runs the tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path) -> None:
    """Write until not one byte more goes in."""
    for size in (65536, 4096, 1):
        try:
            with open(disk / "ballast", "ab", buffering=0) as file:
                while file.write(bytes(size)):
                    pass
        except OSError:
            continue


def audit(house: House) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in house.api("GET", "/api/audit").text.splitlines()]
    return [(line["kind"], line.get("what", line["actor"])) for line in lines]


def test_a_full_disk_keeps_nobody_in(disk: Path) -> None:
    """Revoking and signing out count at once and for ever, the audit log goes on, a token that cannot be made
    says what to do; a gateway starts with the disk still full and knows all of it."""
    house = House(disk / "home", studio={}, gallery={"public": True}).start()
    try:
        leaked = [house.new_token("studio", f"leaked-{number}") for number in range(3)]
        browser = page(house, house.token("studio"))
        copy = house.client("studio", headers=FETCHES, cookies={COOKIE: browser.cookies[COOKIE]})
        mine = [stream(bearer(house, leaked[0]), "/test/events"), stream(copy, "/test/events")]
        fill(disk)
        with pytest.raises(OSError, match="space"):
            (disk / "one").write_bytes(bytes(4096))

        assert house.api("DELETE", "/api/tokens/studio/leaked-0").status_code == 200
        assert browser.post("/easel/signout").status_code == 303
        ends(mine, "streams end on a full disk too")
        fill(disk)  # what was given up for those is taken by others
        answer = house.api("POST", "/api/tokens", json={"endpoint": "studio", "name": "new"})
        assert answer.status_code == 507
        assert "make room" in answer.json()["detail"]
        # Again and again: the room for one is the room for all.
        for number in (1, 2):
            fill(disk)
            assert house.api("DELETE", f"/api/tokens/studio/leaked-{number}").status_code == 200
        assert {bearer(house, one).get("/").status_code for one in leaked} == {401}
        # A leaked secret, too.
        fill(disk)
        assert house.api("POST", "/api/secret/rotation", json={"now": True}).status_code == 201
        noted = audit(house)
        assert [("token-revoked", f"leaked-{number}") in noted for number in range(3)] == [True] * 3
        assert any(kind == "signed-out" for kind, _ in noted)

        assert house.stop() in (0, 120)  # 120: Python could not write its last words
        # An endpoint that has no link yet does not keep the others shut.
        (disk / "ballast").unlink()
        house.set("late")
        house.team(endpoints=["studio", "gallery", "late"])
        fill(disk)
        house.start()
        assert {bearer(house, one).get("/").status_code for one in leaked} == {401}
        assert copy.get("/").status_code == 401
        assert page(house, house.token("studio")).get("/").status_code == 200
        assert set(noted) <= set(audit(house))
        assert (disk / "home" / "secret").read_text()
        texts = [event["text"] for event in house.api("GET", "/api/events?endpoint=late").json()]
        assert any("no first link yet" in text for text in texts)
        assert house.client("late").get("/").status_code == 401
        (disk / "ballast").unlink()
        house.new_token("studio", "new")
    finally:
        house.stop()


def test_a_first_start_without_room_leaves_no_empty_secret(disk: Path) -> None:
    """It is refused in words; once there is room, the secret is a whole one."""
    house = House(disk / "home", studio={})
    fill(disk)
    with pytest.raises(AssertionError):
        house.start()
    assert house.process
    assert house.process.wait(10) == 2
    (disk / "ballast").unlink()
    house.start()
    try:
        assert len((disk / "home" / "secret").read_text()) >= 48
        assert httpx.get(house.url("studio") + "/").status_code == 401
    finally:
        house.stop()
