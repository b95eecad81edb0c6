"""What AWS documents of its actions, as cfn-lint carries it: the Service Authorization Reference by action
and resource, and the handlers of each kind of resource with the actions that they call."""

import json
import re
from collections import defaultdict
from functools import cache
from importlib.resources import files
from typing import Any

DATA = files("cfnlint") / "data"


@cache
def services() -> dict[str, Any]:
    """By service: `Actions` (each with the types of `Resources` that it knows) and `Resources`."""
    found: dict[str, Any] = json.loads((DATA / "AdditionalSpecs" / "Policies.json").read_text())
    return found


def actions_like(pattern: str) -> list[str]:
    """The actions that one of a policy means, in small letters: `ec2:Describe*` means several."""
    service, _, name = pattern.lower().partition(":")
    expression = re.escape(name).replace(r"\*", ".*")
    return [
        f"{service}:{action}" for action in services()[service]["Actions"] if re.fullmatch(expression, action)
    ]


def resource_types(action: str) -> dict[str, Any]:
    """The types that an action knows, each with its formats of ARN and keys; none where it names none."""
    service, _, name = action.lower().partition(":")
    known = services()[service]
    types = {kind.lower(): about for kind, about in known["Resources"].items()}
    named = known["Actions"][name].get("Resources", [])
    return {kind: types[kind.lower()] for kind in named}


@cache
def handlers() -> dict[str, frozenset[str]]:
    """By CloudFormation's kind, in small letters all that its handlers ask for."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in (DATA / "schemas" / "resources").iterdir():
        text = file.read_text() if file.name.endswith(".json") else ""
        if '"handlers"' not in text:
            continue
        schema = json.loads(text)
        for handler in schema["handlers"].values():
            found[schema["typeName"]].update(one.lower() for one in handler.get("permissions", []))
    return {kind: frozenset(asked) for kind, asked in found.items()}
