"""Makes the store hold what a spec lists under `models:`, before anybody waits for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from easel.models.errors import FileError, ModelError
from easel.models.intake.add import Added, Intake, ModelRequest
from easel.models.intake.removal import remove_model
from easel.models.kind import Kind
from easel.models.model_file import ModelFile
from easel.models.source_errors import BadAddress, Interrupted
from easel.models.store import Store
from easel.remark import said_by

# The end of an address that says what the file is, where the file itself does not: "#type=upscaler". No
# source is told of it.
_TYPED = re.compile(r"#type=([^#&]*)$")
# What `easel up` puts there itself.
_OURS = "easel-starter"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one model, as soon as it is known. `name` is the file's, or of one that failed the
    address as people may read it; `why` is said of those that failed."""

    what: Literal["there", "came", "failed", "removed"]
    name: str
    why: str = ""

    def __str__(self) -> str:
        """A line for a log."""
        words = {"there": "is there", "came": "is in", "removed": "is removed: no spec lists it"}
        return self.why or f"{self.name} {words[self.what]}"


@dataclass(frozen=True, slots=True)
class Synced:
    """What was done: `there` before, `added`, `removed`, and what `failed` with its address as shown."""

    there: tuple[Added, ...] = ()
    added: tuple[Added, ...] = ()
    removed: tuple[ModelFile, ...] = ()
    failed: tuple[tuple[str, ModelError], ...] = field(default=())


def sync(
    store: Store,
    addresses: Iterable[str],
    intake: Intake,
    *,
    prune: bool = False,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Synced:
    """Bring in what is listed and not there; one that fails does not keep the others out.

    A model that came from a listed address is there, and is not asked for again. With `prune` everything
    that is not listed is removed, unless something failed or somebody downloads to it. Raises Interrupted.
    """
    there: list[Added] = []
    added: list[Added] = []
    failed: list[tuple[str, ModelError]] = []
    for address in dict.fromkeys(addresses):
        try:
            one = intake.add(_request(address))
        except Interrupted:
            raise
        except ModelError as error:
            where = str(getattr(error, "address", "") or getattr(error, "name", "") or "a model")
            failed.append((where, error))
            told(Outcome("failed", where, said_by(error)))
            continue
        (added if one.fetched else there).append(one)
        told(Outcome("came" if one.fetched else "there", one.file.name))
    removed: list[ModelFile] = []
    if prune and not failed:
        kept = {one.file.path for one in (*there, *added)}
        for file in [file for kind in Kind for file in store.files(kind)]:
            if file.path not in kept and not file.path.name.startswith(_OURS):
                try:
                    remove_model(store, file)
                except FileError as error:
                    failed.append((file.name, error))
                    told(Outcome("failed", file.name, said_by(error)))
                    continue
                removed.append(file)
                told(Outcome("removed", file.name))
    return Synced(tuple(there), tuple(added), tuple(removed), tuple(failed))


def _request(address: str) -> ModelRequest:
    """What a line of the list asks for. Raises BadAddress."""
    found = _TYPED.search(address)
    if found is None:
        return ModelRequest(address)
    kinds = {kind.name.lower(): kind for kind in Kind}
    if found[1] not in kinds:
        raise BadAddress(
            found[0][:100],
            f"is no type of model at the end of an address: write #type= and one of {', '.join(kinds)}",
        )
    return ModelRequest(address[: found.start()], kinds[found[1]])


def listed(config: Path) -> list[str]:
    """The addresses under `models` of an endpoint's configuration. Raises BadAddress."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadAddress(
            str(config), f"cannot be read ({error.strerror}); give --config the endpoint's JSON"
        ) from None
    except (ValueError, RecursionError) as error:
        raise BadAddress(str(config), f"is no JSON ({str(error).splitlines()[0][:100]})") from None
    models = found.get("models", []) if isinstance(found, dict) else None
    if not isinstance(models, list) or not all(isinstance(one, str) for one in models):
        raise BadAddress(str(config), "has no list of addresses under `models`")
    return models
