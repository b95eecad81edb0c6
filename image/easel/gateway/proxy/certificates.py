"""Tells in events how Caddy gets its certificates: its own log says it to nobody who is looking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from easel.gateway.config import CONSOLE
from easel.gateway.events import Events
from easel.remark import remark

_GOT, _RENEWED = "certificate obtained successfully", "certificate renewed successfully"
_FAILED = "could not get certificate from issuer"
# What an authority's refusal usually means for the team (RFC 8555, section 6.7).
_ADVICE = {
    "error:dns": remark("acme_dns", "is the domain delegated to its name servers? `easel doctor` looks"),
    "error:connection": remark("acme_ports", "the authority must reach ports 80 and 443 from the internet"),
    "error:rateLimited": remark("acme_limit", "the authority's limit is reached, and ends by itself"),
    "error:caa": remark("acme_caa", "a CAA record of the domain names another authority"),
}
_LONGEST = 400


class Certificates:
    """What is added to the log of certificates from now on, as events of the endpoint whose host it is."""

    def __init__(self, log: Path, events: Events) -> None:
        self._log = log
        self._events = events
        self._read = _size(log)

    def look(self, hosts: Mapping[str, str]) -> None:
        """Tell what is new. `hosts`: whose each host is."""
        for record in self._new():
            host, said = str(record.get("identifier", "")), str(record.get("msg", ""))
            owner = hosts.get(host)
            if owner is None:
                continue
            # The console is nobody's endpoint: what happens to it is told on the top of the page.
            owner = "team" if owner == CONSOLE else owner
            issuer = str(record.get("issuer"))
            if said == _GOT:
                words = "got the certificate of {host} from {issuer}"
                self._events.add(
                    owner, None, "certificate", remark("certificate_got", words, host=host, issuer=issuer)
                )
            elif said == _RENEWED:
                words = "renewed the certificate of {host} from {issuer}"
                self._events.add(
                    owner, None, "certificate", remark("certificate_renewed", words, host=host, issuer=issuer)
                )
            elif said == _FAILED:
                refused = _refused(host, issuer, record.get("error"))
                self._events.add(owner, None, "no-certificate", refused)

    def _new(self) -> Iterator[dict[str, object]]:
        if _size(self._log) < self._read:
            self._read = 0  # the file was put aside for a new one
        try:
            with self._log.open("rb") as file:
                file.seek(self._read)
                *whole, _ = file.read().split(b"\n")
        except FileNotFoundError:
            return
        self._read += sum(len(line) + 1 for line in whole)
        for line in whole:
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def _refused(host: str, issuer: str, error: object) -> str:
    why = remark("acme_silent", "it did not say why") if error is None else str(error)[:_LONGEST]
    advice = next((words for mark, words in _ADVICE.items() if mark in str(error)), "")
    if advice:
        why = remark("acme_advice", "{why} ({advice})", why=why, advice=advice)
    words = "{issuer} gave no certificate for {host}: {why}; it is asked again, less and less often"
    return remark("certificate_none", words, issuer=issuer, host=host, why=why)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
