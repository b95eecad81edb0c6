"""A small evaluator of IAM policies, for the elements and conditions that easel's policies use.

As AWS does: a denial wins, something must allow, and a condition key that the request does not have fails
every operator but those with `Not` and `Null`. An operator that is not known here is an error, not a pass.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Context = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True)
class Request:
    """What somebody asks of AWS."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


def allowed(request: Request, *policies: Iterable[Mapping[str, Any]]) -> bool:
    """Whether these policies (of the identity and of the resource, in one account) let a request pass."""
    effects = [one["Effect"] for policy in policies for one in policy if _matches(one, request)]
    return "Deny" not in effects and "Allow" in effects


def _matches(statement: Mapping[str, Any], request: Request) -> bool:
    actions, resources = _list(statement["Action"]), _list(statement["Resource"])
    return (
        any(_like(request.action.lower(), action.lower(), {}) for action in actions)
        and any(_like(request.resource, resource, request.context) for resource in resources)
        and all(
            _holds(operator, key, _list(values), request.context)
            for operator, conditions in statement.get("Condition", {}).items()
            for key, values in conditions.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    present = {name.lower(): value for name, value in context.items()}.get(key.lower())
    wanted = [_filled(value, context) for value in wanted]
    match operator:
        case "Null":
            return wanted == ["true" if present is None else "false"]
        case "StringEquals" | "Bool":
            return present is not None and present in wanted
        case "StringNotEquals":
            return present is None or present not in wanted
        case "StringLike":
            return isinstance(present, str) and any(_like(present, value, context) for value in wanted)
        case "ForAllValues:StringLike":
            return all(any(_like(value, one, context) for one in wanted) for value in _list(present or []))
        case "ForAllValues:StringEquals":
            return all(value in wanted for value in _list(present or []))
    raise NotImplementedError(operator)


def _like(text: str, pattern: str, context: Context) -> bool:
    parts = re.split(r"(\*|\?)", re.sub(r"\$\{([*?$])\}", lambda sign: f"\0{ord(sign[1])}\0", pattern))
    expression = "".join(
        {"*": ".*", "?": "."}.get(part) or re.escape(_plain(part, context)) for part in parts
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _plain(part: str, context: Context) -> str:
    return re.sub(r"\0(\d+)\0", lambda code: chr(int(code[1])), _filled(part, context))


def _filled(value: str, context: Context) -> str:
    """Policy variables: `${aws:ResourceTag/easel:team, 'none'}`."""

    def put(found: re.Match[str]) -> str:
        known = context.get(found["name"])
        return known if isinstance(known, str) else (found["otherwise"] or found[0])

    return re.sub(r"\$\{(?P<name>[\w:/.-]+)(?:, '(?P<otherwise>[^']*)')?\}", put, value)


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
