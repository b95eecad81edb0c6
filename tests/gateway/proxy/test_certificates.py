"""What the log of certificates becomes: events in words, whatever stands in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from easel.gateway.events import Events
from easel.gateway.proxy.certificates import Certificates

HOSTS = {"studio.art.test": "studio", "console.art.test": "console"}


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "certificates.log"


def line(msg: str, **fields: object) -> str:
    return json.dumps({"msg": msg, "identifier": "studio.art.test", "issuer": "acme"} | fields) + "\n"


FAILED = "could not get certificate from issuer"


def test_what_was_there_before_is_not_told_again(log: Path, events: Events) -> None:
    """A start tells what happens from now on."""
    log.write_text(line(FAILED, error="old"))
    certificates = Certificates(log, events)
    certificates.look(HOSTS)
    assert events.of() == []
    with log.open("a") as file:
        file.write(line("certificate renewed successfully"))
    certificates.look(HOSTS)
    certificates.look(HOSTS)
    assert [event.text for event in events.of()] == ["renewed the certificate of studio.art.test from acme"]


def test_half_a_line_waits_for_its_other_half(log: Path, events: Events) -> None:
    """Caddy may be writing; a file that was put aside starts anew."""
    certificates = Certificates(log, events)
    certificates.look(HOSTS)
    whole = line("certificate obtained successfully")
    log.write_text(whole[:30])
    certificates.look(HOSTS)
    assert events.of() == []
    log.write_text(whole)
    certificates.look(HOSTS)
    assert len(events.of("studio")) == 1
    shorter = line("certificate obtained successfully", identifier="console.art.test", issuer="")
    assert len(shorter) < len(whole)
    log.write_text(shorter)
    certificates.look(HOSTS)
    assert len(events.of("team")) == 1


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("HTTP 400 urn:ietf:params:acme:error:dns - NXDOMAIN looking up A", "is the domain delegated"),
        ("urn:ietf:params:acme:error:connection - Timeout", "ports 80 and 443"),
        ("urn:ietf:params:acme:error:rateLimited - too many", "ends by itself"),
        ("urn:ietf:params:acme:error:caa - forbids", "CAA record"),
        ("connection refused", "asked again"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(log: Path, events: Events, error: str, advice: str) -> None:
    """In the authority's words, and what they usually mean."""
    certificates = Certificates(log, events)
    log.write_text(line(FAILED, error=error))
    certificates.look(HOSTS)
    (event,) = events.of("studio")
    assert event.kind == "no-certificate"
    assert error in event.text
    assert advice in event.text


@pytest.mark.parametrize(
    "said",
    ["junk\n", "[]\n", "\n", line(FAILED, identifier="stranger.test"), line("obtaining"), '{"msg": 3}\n'],
)
def test_what_is_not_ours_is_passed_over(log: Path, events: Events, said: str) -> None:
    """Other hosts, other messages, and what is no message."""
    certificates = Certificates(log, events)
    log.write_text(said)
    certificates.look(HOSTS)
    assert events.of() == []


def test_a_long_story_is_cut(log: Path, events: Events) -> None:
    """Some authorities answer with a page."""
    certificates = Certificates(log, events)
    log.write_text(line(FAILED, error="x" * 10_000))
    certificates.look(HOSTS)
    assert len(events.of("studio")[0].text) < 1000
