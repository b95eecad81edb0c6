"""What only a team on AWS has in its configuration: groups, containers, first links, a budget."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Link(_Read):
    """A first token, by its SHA-256: its plaintext is a secret output of the stack and never comes here."""

    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Instances(_Read):
    """An endpoint's Auto Scaling group. `price` is dollars an hour for one instance of the preferred type.

    `hook` is the launch hook, which the host completes; `farewell` the termination hook, which the gateway
    completes; `warm` how many stopped instances are kept ready; `least_vcpus` those of the smallest type that
    the group may start.
    """

    group: Annotated[str, Field(min_length=1, max_length=255)]
    hook: str = "ready"
    farewell: str = "drained"
    warm: Annotated[int, Field(ge=0)] = 0
    price: Annotated[float, Field(ge=0)] = 0.0
    least_vcpus: Annotated[int, Field(ge=0)] = 0
    log_group: str = ""


class Container(_Read):
    """How the gateway speaks to a replica: its port, the path that answers when it is up (None: the port
    alone tells), and how it says what it does."""

    # What hosts run: a reference by digest, or an own container's.
    image: str = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 7860
    health: Annotated[str, Field(pattern=r"^/[!-~]*$")] | None = "/internal/ping"
    load: Literal["easel", "a1111", "requests"] = "easel"
    # Variable → ARN in Secrets Manager. The hosts read all; the gateway those that sources of models ask for.
    secrets: dict[str, str] = {}


class Budget(_Read):
    """Dollars a month for awake instances; with `stop` a fuse, past which nothing wakes."""

    monthly: Annotated[float, Field(gt=0)]
    stop: bool = False
