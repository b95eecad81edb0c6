"""Tells in events how Caddy gets its certificates: its own log says it to nobody who is looking."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from easel.gateway.config import CONSOLE
from easel.gateway.events import Events

_GOT = {"certificate obtained successfully": "got", "certificate renewed successfully": "renewed"}
_FAILED = "could not get certificate from issuer"
# What an authority's refusal usually means for the team (RFC 8555, section 6.7).
_ADVICE = {
    "error:dns": "is the domain delegated to its name servers? `easel doctor` looks",
    "error:connection": "the authority must reach ports 80 and 443 from the internet",
    "error:rateLimited": "the authority's limit is reached, and ends by itself",
    "error:caa": "a CAA record of the domain names another authority",
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
            if said in _GOT:
                text = f"{_GOT[said]} the certificate of {host} from {record.get('issuer')}"
                self._events.add(owner, None, "certificate", text)
            elif said == _FAILED:
                error = str(record.get("error", "it did not say why"))
                advice = next((words for mark, words in _ADVICE.items() if mark in error), "")
                self._events.add(
                    owner,
                    None,
                    "no-certificate",
                    f"{record.get('issuer')} gave no certificate for {host}: {error[:_LONGEST]}"
                    f"{f' ({advice})' if advice else ''}; it is asked again, less and less often",
                )

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


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
