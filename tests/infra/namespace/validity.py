"""What the API takes of names, labels and quantities. The whole schema a real API holds, in tests/cluster."""

import re
from collections.abc import Iterator
from typing import Any

from infra.namespace.manifest import Manifest

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
WORD = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|[MGTP]i?|Ki)?")
PORT_NAME = re.compile(r"[a-z0-9-]{1,15}")
# Of these a name is a DNS label; of others a DNS name.
LABELS_ONLY = {"Namespace", "Service"}
QUANTITIES = {"requests", "limits", "hard", "capacity"}


def wrong(content: Manifest) -> list[str]:
    """What of an object the API would refuse."""
    kind, meta = content["kind"], content["metadata"]
    found = []
    pattern, longest = (LABEL, 63) if kind in LABELS_ONLY else (SUBDOMAIN, 253)
    if not pattern.fullmatch(meta["name"]) or len(meta["name"]) > longest:
        found.append(f"{kind} {meta['name']}: name")
    for way, value in walked(content):
        if way[-1:] == ("labels",) or way[-1:] in (("matchLabels",), ("nodeSelector",)):
            found += [f"{way}: {key}={each}" for key, each in value.items() if not labelled(key, each)]
        if way[-1:] and way[-1] in QUANTITIES and isinstance(value, dict):
            found += [f"{way}: {each}" for each in value.values() if not QUANTITY.fullmatch(each)]
        if way[-1:] == ("sizeLimit",) and not QUANTITY.fullmatch(value):
            found.append(f"{way}: {value}")
        if way[-2:-1] == ("env",) and not isinstance(value.get("value", ""), str):
            found.append(f"{way}: not text")
    return found


def labelled(key: str, value: str) -> bool:
    """Whether a label is one."""
    prefix, _, word = key.rpartition("/")
    return bool(
        WORD.fullmatch(word)
        and word
        and (not prefix or SUBDOMAIN.fullmatch(prefix))
        and WORD.fullmatch(value)
    )


def walked(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of an object with its way."""
    yield way, value
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield from walked(inner, (*way, key))
