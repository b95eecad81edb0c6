"""Names that become DNS labels, resource names, variables and addresses of models."""

import re
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

TEAM_LENGTH = 16
ENDPOINT_LENGTH = 24
"""The longest derived name is an IAM role's, 64 characters: `easel-<team>-<endpoint>-replicas-<7 random>`."""

LABEL_PATTERN = r"^[a-z]([a-z0-9-]*[a-z0-9])?$"

# `config/team.json` is the team's own file, and the console answers at console.<domain>.
RESERVED = ("team", "console")

SOURCE_TOKENS = ("CIVITAI_TOKEN", "HF_TOKEN")
"""Which of an endpoint's secrets open sources of models."""

_PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
_MODEL_SOURCES = ("hf://", "civitai://", "s3://", "https://", "file:")


def label(value: str, longest: int, what: str) -> str:
    """Check a name that becomes a DNS label. Raises ValueError that says what is allowed."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", value):
        raise ValueError(
            f"is not a name for {what}: lowercase letters, digits and hyphens, "
            "beginning with a letter and not ending with a hyphen"
        )
    if len(value) > longest:
        raise ValueError(
            f"is {len(value)} characters long: at most {longest}, as names of resources are made from it"
        )
    return value


def team_name(value: str) -> str:
    """Check a team's name, which is its stack's name."""
    return label(value, TEAM_LENGTH, "a team")


def endpoint_name(value: str) -> str:
    """Check an endpoint's name."""
    if value in RESERVED:
        raise ValueError("is kept for easel itself: take another name")
    return label(value, ENDPOINT_LENGTH, "an endpoint")


def _domain(value: str) -> str:
    part = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if len(value) > 200 or not re.fullmatch(rf"({part}\.)+[a-z][a-z0-9-]*[a-z0-9]", value):
        raise ValueError(
            f"is not a domain: write it in lowercase without https:// or a path: {_in_the_dns(value)}"
        )
    return value


def _in_the_dns(value: str) -> str:
    """A name in another script as the DNS has it, `xn--bcher-kva.example.com`; else an example."""
    try:
        name = value.encode("idna").decode()
    except UnicodeError:
        name = ""
    return name if "xn--" in name and "xn--" not in value else "art.example.com"


def _model(value: str) -> str:
    if not value.startswith(_MODEL_SOURCES) or value in _MODEL_SOURCES or any(c.isspace() for c in value):
        raise ValueError(f"is not the address of a model: begin with one of {', '.join(_MODEL_SOURCES)}")
    if value.split("?")[0].lower().endswith(_PICKLES):
        raise ValueError("is a pickle, which can run code when it is opened: take the .safetensors of it")
    return value


def _checkpoint(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError(
            "is not the name of a file in models/Stable-diffusion, such as dreamshaper_8.safetensors"
        )
    if "://" in value or value.startswith("file:"):
        raise ValueError("is an address: write that under models, and the name of its file here")
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError("is a path: write the name below models/Stable-diffusion")
    if value.lower().endswith(_PICKLES):
        raise ValueError("is a pickle, which can run code when it is opened: take the .safetensors of it")
    return value


def _path(value: str) -> str:
    if not value.startswith("/") or any(c.isspace() for c in value) or ".." in value.split("/"):
        raise ValueError("is not a path: begin with /, without spaces and ..")
    return value


def _health(value: str) -> str:
    return value if value == "none" else _path(value)


def _directory(value: str) -> str:
    # It becomes a word of Caddy's configuration, in quotes.
    if not re.fullmatch(r"https://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~%/-]*)?", value):
        raise ValueError(
            "is not the address of an ACME directory: https://, a host, and a path without a query"
        )
    return value


def _origin(value: str) -> str:
    # Browsers send exactly this as `Origin`, and it is compared as it is; it becomes a word of Caddy's too.
    part = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if "*" in value:
        raise ValueError("is a pattern: name each origin, such as https://app.example.com")
    if not re.fullmatch(
        rf"https://{part}(\.{part})*(:[0-9]{{1,5}})?|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{{1,5}})?",
        value,
    ):
        raise ValueError(
            "is not the origin of a web page: https:// and a host in lowercase, without a path or a slash at "
            "its end, such as https://app.example.com; http:// only on this machine (http://localhost:3000)"
        )
    if re.search(r"^https:.*:443$|^http:.*:80$", value):
        raise ValueError("names a port that browsers leave out: write it without")
    return value


def _pem(value: str) -> str:
    body = r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
    if not re.fullmatch(rf"({body}\s*)+", value.lstrip()):
        raise ValueError("is not a certificate in PEM: the lines from BEGIN CERTIFICATE to END CERTIFICATE")
    return value


AcmeDirectory = Annotated[str, StringConstraints(max_length=500), AfterValidator(_directory)]
Pem = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_pem)]
Domain = Annotated[str, AfterValidator(_domain)]
ModelAddress = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_model)]
Checkpoint = Annotated[str, StringConstraints(max_length=250), AfterValidator(_checkpoint)]
AbsolutePath = Annotated[str, StringConstraints(max_length=500), AfterValidator(_path)]
Health = Annotated[str, StringConstraints(max_length=500), AfterValidator(_health)]
Origin = Annotated[str, StringConstraints(max_length=300), AfterValidator(_origin)]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=320)]
SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
AWS_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
"""A secret's name in Secrets Manager ("CreateSecret", its API reference)."""
SecretPlace = Annotated[
    str, StringConstraints(pattern=rf"^({SECRET_ARN.pattern}|[a-z0-9][A-Za-z0-9/_.-]*)$", max_length=600)
]
"""The ARN of a secret, or on Kubernetes the name of a Secret; `infra.rules` says which goes where."""
PrincipalArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/([\w+=,.@-]+/)*[\w+=,.@-]+$", max_length=600
    ),
]
PolicyArn = Annotated[
    str,
    StringConstraints(
        pattern=r"^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/([\w+=,.@-]+/)*[\w+=,.@-]+$", max_length=600
    ),
]
KubernetesVersion = Annotated[str, StringConstraints(pattern=r"^1\.[0-9]{2}$")]
MachineImage = Annotated[str, StringConstraints(pattern=r"^ami-[0-9a-f]{8,17}$")]
VolumeId = Annotated[str, StringConstraints(pattern=r"^vol-[0-9a-f]{8,17}$")]
Zone = Annotated[str, StringConstraints(pattern=r"^(find|create|Z[A-Z0-9]{1,32})$")]


def reserved_label(domain: str) -> str:
    """The part of a domain that the DNS keeps for names in other scripts and that is none; empty without one.

    Hyphens as third and fourth character (R-LDH, RFC 5890): public authorities certify none but `xn--…`.
    """
    return next((one for one in domain.split(".") if one[2:4] == "--" and one[:2] != "xn"), "")


def suffixes(domain: str) -> list[str]:
    """A domain and what is above it, the longest first, without the top level."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels) - 1)]
