"""The small file beside a checkpoint that says what its weights cannot: `<name>.yaml` or `<name>.json`.

Two are read. A1111 and the original repositories put the training configuration in `<name>.yaml`; its
`model.params.parameterization: v` means v-prediction. Our own is `<name>.json` (or `.yaml`) with an `easel`
table: `{"easel": {"architecture": "sd2-v"}}`. Everything else in them is left alone: A1111 keeps notes in
`<name>.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import structlog
import yaml

from easel.models.model_file import beside

# A training configuration is a few kilobytes; a picture saved under the name is not worth parsing.
LIMIT = 1_000_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the file says; empty strings where it says nothing.

    `prediction` is "epsilon" or "v_prediction".
    """

    architecture: str = ""
    prediction: str = ""


def read_sidecar(checkpoint: Path) -> Sidecar:
    """Read what stands beside `checkpoint`.

    A file that cannot be understood is logged and counts as saying nothing.
    """
    for suffix in (".json", ".yaml", ".yml"):
        path = beside(checkpoint, suffix)
        found = _parse(path)
        if found is not None:
            said = _said(found)
            if said != Sidecar():
                return said
    return Sidecar()


def _parse(path: Path) -> object:
    try:
        if path.stat().st_size > LIMIT:
            return None
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    try:
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        log.warning("sidecar ignored: it cannot be parsed", file=path.name, error=str(error)[:200])
        return None


def _said(found: object) -> Sidecar:
    own = _table(found, "easel")
    architecture = own.get("architecture", "")
    prediction = own.get("prediction_type", "")
    if not prediction:
        training = _table(_table(found, "model"), "params")
        prediction = {"v": "v_prediction", "eps": "epsilon"}.get(
            str(training.get("parameterization", "")), ""
        )
    return Sidecar(str(architecture), str(prediction))


def _table(found: object, key: str) -> dict[str, object]:
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, dict) else {}
