"""Names as Kubernetes takes them: of objects, labels, resources and networks."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"


def _name(value: str) -> str:
    if not re.fullmatch(_LABEL, value):
        raise ValueError(
            "is not a name of Kubernetes: at most 63 lowercase letters, digits and hyphens, "
            "beginning and ending with a letter or digit"
        )
    return value


def _subdomain(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(_SUBDOMAIN, value):
        raise ValueError("is not a name of Kubernetes: lowercase letters, digits, hyphens and dots")
    return value


def _key(value: str) -> str:
    if len(value) > 253 or not re.fullmatch(rf"({_SUBDOMAIN}/)?{_WORD}", value):
        raise ValueError("is not a key of Kubernetes: a word, or domain/word, such as nvidia.com/gpu")
    return value


def _label_value(value: str) -> str:
    if value and not re.fullmatch(_WORD, value):
        raise ValueError("is not a label's value: at most 63 letters, digits, and -, _ and . between them")
    return value


def _resource(value: str) -> str:
    if not re.fullmatch(rf"{_SUBDOMAIN}/{_WORD}", _key(value)):
        raise ValueError("is not a resource: write its vendor and its name, such as nvidia.com/gpu")
    if value.startswith("requests.") or "kubernetes.io/" in value:
        raise ValueError("is a name that Kubernetes keeps for itself: take what the device plugin offers")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("is not a network: write it as 10.42.0.0/16, with zeros after its length") from None


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("is not an IP address, such as 10.0.0.80") from None


def _parent(value: str) -> str:
    if not re.fullmatch(rf"{_LABEL}/{_SUBDOMAIN}(/{_SUBDOMAIN})?", value):
        raise ValueError("is not a Gateway: write namespace/name, or namespace/name/listener")
    return value


def _processors(value: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,2}(\.[0-9])?|[1-9][0-9]{1,5}m", value):
        raise ValueError('is not a number of processors: write "3", "2.5" or "2500m", in quotes')
    return value


KubernetesName = Annotated[str, AfterValidator(_name)]
"""A DNS label, which every kind of object takes."""
Subdomain = Annotated[str, AfterValidator(_subdomain)]
"""A DNS name, which most kinds take."""
LabelKey = Annotated[str, AfterValidator(_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
AnnotationKey = Annotated[str, AfterValidator(_key)]
ResourceName = Annotated[str, StringConstraints(max_length=200), AfterValidator(_resource)]
Network = Annotated[str, AfterValidator(_network)]
IpAddress = Annotated[str, AfterValidator(_address)]
ParentGateway = Annotated[str, StringConstraints(max_length=400), AfterValidator(_parent)]
Processors = Annotated[str, AfterValidator(_processors)]

SECRET_NAME = re.compile(_SUBDOMAIN)
SECRET_ENTRY = re.compile(rf"{_SUBDOMAIN}/[A-Za-z0-9_.-]{{1,253}}")
"""`<secret>/<key>`."""


def secret_entry(value: str, variable: str) -> tuple[str, str]:
    """The Secret and the key that a value of `secrets` names: `civitai/token`; without a key the variable's.

    Raises ValueError that says how it is written.
    """
    if not SECRET_ENTRY.fullmatch(value) and not SECRET_NAME.fullmatch(value):
        raise ValueError(
            "names no Secret of the namespace: write <secret>/<key>, such as civitai/token, or <secret> for "
            "the key that is called as the variable"
        )
    name, _, key = value.partition("/")
    return name, key or variable
