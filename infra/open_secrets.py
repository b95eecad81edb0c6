"""Secrets that a stack file holds and must not: it lies in git, and what it says in the gateway's
configuration and in Kubernetes' objects, for everyone to read who may look there."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from infra.faults import SpecFault, Where, shown
from infra.names import SOURCE_TOKENS
from infra.spec import EndpointSpec, TeamSpec

KNOWN = re.compile(
    r"\bhf_[A-Za-z0-9]{20,}|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
    r"|\bglpat-[\w-]{20,}|\bxox[abeprs]-[\w-]{10,}|\bsk-[\w-]{20,}|\beasel_[\w-]{43}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
"""Tokens and keys that their makers give a form of their own."""
_NAMED = re.compile(r"(^|_)(API_?KEY|(ACCESS|PRIVATE|SECRET)_KEY|PASSWORD|PASSWD|SECRET|TOKEN)$")
_QUERIES = frozenset({"access_token", "api_key", "apikey", "auth", "key", "password", "secret", "token"})
_RANDOM = 16
"""Characters of a value that has letters and digits and no space, from which on it is nobody's word."""
_REFERENCE = re.compile(
    r"arn:[a-z-]+:(secretsmanager|ssm):\S+"
    r"|(/[a-z0-9_.-]+){2,}"
    r"|\$\{\w+\}|\$\(\w+\)"
)
"""What only says where a secret is: an ARN, a file (in small letters, as hardly anything random is), another
variable. Addresses are looked into beside."""

_KEPT = {
    "kubernetes": "keep it in a Secret of the namespace and name that under secrets, as {}: <secret>/<key>",
    "instances": "keep it in AWS Secrets Manager and name it under secrets, as {}: <its name or ARN>",
}
_AND_THEN = "; and if it was committed, replace it where it was given: git forgets nothing"


def endpoint_faults(here: Where, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    """Variables and addresses of models with a secret in them. On one machine they are that machine's own."""
    if team.runs_on == "local":
        return
    kept = _KEPT.get(team.runs_on, _KEPT["instances"])
    for name, value in endpoint.env.items():
        named = name not in endpoint.open_env and _sounds_secret(name, value)
        if _is_token(name, value) or named:
            else_ = f". If it is none, write {name} under open_env" if named else ""
            yield SpecFault(
                (*here, "env", name),
                f"looks like a secret, and env is for everyone to read: {kept.format(name)}"
                f"{_AND_THEN}{else_}",
                frozenset({"runs_on", "open_env"}),
            )
    for index, name in enumerate(endpoint.open_env):
        if name not in endpoint.env:
            yield SpecFault(
                (*here, "open_env", index),
                f"{shown(name)} is not among the variables of env "
                f"({', '.join(sorted(endpoint.env)) or 'none'}). open_env is for those whose names sound "
                "like a secret's and whose values are none",
                frozenset({"env"}),
            )
    for index, address in enumerate(endpoint.models):
        if address.startswith("https://") and (held := _held_by(address)):
            yield SpecFault(
                (*here, "models", index),
                f"holds a secret ({held}), which everyone may read here. Of Civitai and Hugging Face "
                "write civitai://… or hf://… without it, and name the token under secrets (CIVITAI_TOKEN, "
                f"HF_TOKEN); bring anything else in once (`easel upload`) and leave it out{_AND_THEN}",
                frozenset({"runs_on"}),
            )


def of_pulumi(value: Any, where: Where) -> Iterator[SpecFault]:
    """What `pulumi config set --secret` has written: encrypted in the file, and open everywhere else."""
    if isinstance(value, Mapping):
        if set(value) == {"secure"}:
            yield SpecFault(where, of_pulumi_told())
            return
        for key, inner in value.items():
            yield from of_pulumi(inner, (*where, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from of_pulumi(inner, (*where, index))


def of_pulumi_told() -> str:
    """What is wrong with such a value, and what to do instead."""
    return (
        "is a secret of Pulumi's (`pulumi config set --secret`), which the program would write openly into "
        "the gateway's configuration: keep it in AWS Secrets Manager, or in a Secret of the namespace, and "
        "name that under the endpoint's secrets"
    )


def _is_token(name: str, value: str) -> bool:
    """Whether it is a token of a known form, or the variable is a token's whatever is in it."""
    return bool(value) and bool(name in SOURCE_TOKENS or KNOWN.search(value))


def _sounds_secret(name: str, value: str) -> bool:
    """Whether the name is one that secrets have, and the value could be one and says not where it is."""
    if not _NAMED.search(name.upper()) or len(value) < _RANDOM or _REFERENCE.fullmatch(value):
        return False
    if re.fullmatch(r"[a-z][a-z0-9+.-]*://\S+", value):
        return bool(_held_by(value))
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value) and not re.search(r"\s", value))


def _held_by(address: str) -> str:
    """Where in an address a secret is, in words; empty where there is none."""
    try:
        parts = urlsplit(address)
        if parts.password or parts.username:
            return "before the @"
    except ValueError:
        return ""  # told as no address
    names = [name for name, value in parse_qsl(parts.query) if name.lower() in _QUERIES and value]
    return f"{names[0]}=" if names else ""
