"""The small files beside a checkpoint that say what its weights cannot.

Read are `<name>.json` (ours has an `easel` table: `{"easel": {"architecture": "sd2-v"}}`), `<name>.yaml` or
`.yml` (the training configuration, as A1111 and the original repositories have it, with
`model.params.parameterization: v`) and `<name>.civitai.info`; all that say something, in this order. Of what
is in them only the architecture, Civitai's `baseModel` and how the model was trained count (training.py):
A1111 keeps its notes in `<name>.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import structlog
import yaml

from easel.models import evidence
from easel.models.model_file import sidecar_path
from easel.models.training import Fact, facts_of_table

# A training configuration is a few kilobytes, and YAML is slow to read.
# What Civitai has of a model with many versions is longer.
_LIMITS = {".json": 1_000_000, ".yaml": 200_000, ".yml": 200_000, ".civitai.info": 5_000_000}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the files say; empty where they say nothing. `files` are the names of those that say something of
    the architecture or the training. `base_model` is Civitai's word for what the model was made from."""

    architecture: str = ""
    facts: tuple[Fact, ...] = ()
    base_model: str = ""
    files: tuple[str, ...] = field(default=(), compare=False)


def read_sidecar(checkpoint: Path) -> Sidecar:
    """Read what stands beside `checkpoint`.

    A file that cannot be understood is logged and counts as saying nothing. YAML is read as plain data: what
    would make objects of classes is refused by the parser.
    """
    architecture, base_model, facts, files = "", "", list[Fact](), list[str]()
    for ending, limit in _LIMITS.items():
        path = sidecar_path(checkpoint, ending)
        found = _parse(path, limit)
        own = found.get("easel") if isinstance(found, dict) else None
        named = str(own.get("architecture") or "") if isinstance(own, dict) else ""
        if isinstance(found, dict) and isinstance(word := found.get("baseModel"), str):
            base_model = base_model or word[:80]
        said = facts_of_table(found, evidence.file_beside(path.name))
        if named or said:
            architecture = architecture or named
            facts += said
            files.append(path.name)
    return Sidecar(architecture, tuple(facts), base_model, tuple(files))


def state_beside(checkpoint: Path) -> tuple[tuple[int, int], ...]:
    """What tells the files beside a checkpoint from later ones: size and time of change of each."""
    found = []
    for ending in _LIMITS:
        try:
            status = sidecar_path(checkpoint, ending).stat()
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return tuple(found)


def _parse(path: Path, limit: int) -> object:
    try:
        size = path.stat().st_size
        if size > limit:
            log.warning("sidecar ignored: it is too large", file=path.name, bytes=size, most=limit)
            return None
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    except UnicodeDecodeError:
        log.warning("sidecar ignored: it is no text", file=path.name)
        return None
    try:
        return yaml.safe_load(text) if path.suffix in (".yaml", ".yml") else json.loads(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        log.warning("sidecar ignored: it cannot be parsed", file=path.name, error=str(error)[:200])
        return None
