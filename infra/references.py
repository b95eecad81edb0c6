"""`team.image`: `build`, or a given image for both targets, written in one of two ways.

`ghcr.io/acme/easel:{target}-1.2` names both: `{target}` becomes `studio` and `gateway`, which is
how the bake itself tags them. `studio=<reference>,gateway=<reference>` names each, which a digest needs.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from infra.partitions import partition_of

BUILD = "build"
TARGETS = ("studio", "gateway")
PLACE = "{target}"

_HOST = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:\d))(?::\d+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<repository>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>[\w][\w.-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr(?P<dual>-ecr|\.ecr)(?:-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.(?P<domain>[a-z0-9.-]+)/(?P<name>.+)"
)
"""A private registry as AWS's list of ECR's endpoints has it: IPv4, dual-stack, FIPS. Its domain must be its
partition's, as a host logs in to it with the account's password (`instances/host/image.sh`)."""


@dataclass(frozen=True)
class Reference:
    """An image in a registry."""

    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}{f'@{self.digest}' if self.digest else ''}"

    def pinned(self, digest: str) -> str:
        """The same image by its digest."""
        return f"{self.repository}@{digest}"

    @property
    def ecr(self) -> "EcrRepository | None":
        """The repository of ECR that it is in, if it is."""
        found = _ECR.fullmatch(self.repository)
        if found is None:
            return None
        place = partition_of(found["region"])
        domain = place.dual_stack if found["dual"] == "-ecr" else place.domain
        if found["domain"] != domain:
            return None
        return EcrRepository(found["account"], found["region"], found["name"])


@dataclass(frozen=True)
class EcrRepository:
    """A private repository of some account and region."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        """Its ARN, in the partition that its region is in."""
        place = partition_of(self.region).id
        return f"arn:{place}:ecr:{self.region}:{self.account}:repository/{self.name}"


def movable(given: Reference) -> str:
    """What is told of an image that is named by a tag alone."""
    return (
        f"team.image: {given} is a tag, which can be moved: replicas that start on another day may "
        "run another image. Write it with its digest: studio=…@sha256:…,gateway=…@sha256:…"
    )


def references(value: str) -> dict[str, Reference]:
    """The image of each target. Raises ValueError that says how it is written."""
    if "=" in value:
        return {target: _reference(text) for target, text in _named(value).items()}
    if PLACE not in value:
        raise ValueError(
            "names one image where two are needed: write the target's place, such as "
            f"{_example(value)}, or both: studio=<reference>,gateway=<reference>"
        )
    if "@" in value:
        raise ValueError("gives both targets one digest: write studio=<reference>,gateway=<reference>")
    return {target: _reference(value.replace(PLACE, target)) for target in TARGETS}


def _named(value: str) -> dict[str, str]:
    given = [part.partition("=") for part in value.split(",")]
    if sorted(name for name, _, _ in given) != sorted(TARGETS):
        raise ValueError("must name each target once: studio=<reference>,gateway=<reference>")
    return {name: text for name, _, text in given}


def _reference(text: str) -> Reference:
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise ValueError(f"is not an image ({text}): registry/name:tag or registry/name@sha256:<64 digits>")
    if not found["tag"] and not found["digest"]:
        raise ValueError(f"names no version of {text}: add a tag or, better, a digest")
    return Reference(found["repository"], found["tag"], found["digest"])


def _example(value: str) -> str:
    head, colon, tag = value.partition("@")[0].rpartition(":")
    return f"{head}:{PLACE}-{tag}" if colon and "/" not in tag else f"{value}:{PLACE}-1.0"


def _team_image(value: str) -> str:
    if value != BUILD:
        references(value)
    return value


TeamImage = Annotated[str, AfterValidator(_team_image)]
"""The type of `team.image`."""
