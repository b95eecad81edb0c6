"""Secrets: those that the gateway writes, and variables of endpoints."""

from collections.abc import Mapping

import pulumi

from infra.namespace.manifest import GATEWAY, STUDIO, Manifest, labels, manifest
from infra.namespace.target import SecretKey, SecretValue, Target
from infra.spec import Spec

WRITTEN = ("easel-secret", "easel-tokens", "easel-ended")
"""Secrets that the gateway writes: what signs, hashes of tokens, ended sessions."""

KEYS = "easel-keys"
"""The ConfigMap of the public keys that studios know it by, which it writes too."""

SPENT = "easel-spent"
"""The ConfigMap of what the team's machines cost, by month, which it writes where machines are bought."""

CLIENT_SECRET = "EASEL_OIDC_CLIENT_SECRET"  # noqa: S105 - a variable's name
GATEWAYS = "easel-gateway"
"""Variables of the gateway whose values come by the program."""


def secrets(spec: Spec, target: Target) -> list[Manifest]:
    """What the gateway writes is made empty: without `data`, a later apply takes nothing away."""
    written = [
        manifest("v1", "Secret", name, target.namespace, labels(GATEWAY), type="Opaque") for name in WRITTEN
    ]
    for name in (KEYS, SPENT) if target.machines else (KEYS,):
        written.append(manifest("v1", "ConfigMap", name, target.namespace, labels(GATEWAY)))
    given = [
        _given(environment_of(name), target, labels(STUDIO, name), target.secrets(name))
        for name in spec.endpoints
    ]
    given.append(_given(GATEWAYS, target, labels(GATEWAY), gateway_variables(target)))
    return written + [one for one in given if one["stringData"]]


def environment_of(endpoint: str) -> str:
    """The Secret with the variables of an endpoint whose values come by the program."""
    return f"env-{endpoint}"


def gateway_variables(target: Target) -> dict[str, SecretValue]:
    """The gateway's secret variables."""
    return {} if target.client_secret is None else {CLIENT_SECRET: target.client_secret}


def entry_of(endpoint: str, variable: str, value: SecretValue) -> tuple[str, str]:
    """Which entry of which Secret holds a variable of an endpoint."""
    return _entry(environment_of(endpoint), variable, value)


def environment(secret: str, variables: Mapping[str, SecretValue]) -> list[Manifest]:
    """The variables of a container, by reference; `secret` holds those whose values come by the program."""
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
        for variable, value in variables.items()
        for name, key in [_entry(secret, variable, value)]
    ]


def _entry(secret: str, variable: str, value: SecretValue) -> tuple[str, str]:
    return (value.name, value.key) if isinstance(value, SecretKey) else (secret, variable)


def _given(
    name: str, target: Target, labelled: dict[str, str], variables: Mapping[str, SecretValue]
) -> Manifest:
    values: dict[str, pulumi.Input[str]] = {
        variable: value for variable, value in variables.items() if not isinstance(value, SecretKey)
    }
    return manifest("v1", "Secret", name, target.namespace, labelled, type="Opaque", stringData=values)
