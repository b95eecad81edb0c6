"""Pulumi's mocks that make what is registered, through boto3 on moto's server.

So references are the ids that AWS's calls return, and one that dangles is refused by the call that gets it.
Each resource's inputs must be used up by its translation: one that nobody translated is a fault, not a gap.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import pulumi
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from tests.infra.cloud.strictness import strict

Outputs = dict[str, Any]
Made = tuple[str, Outputs]

REGION = "us-east-1"


class Given:
    """The inputs of a resource, each to be taken once."""

    def __init__(self, name: str, inputs: dict[str, Any]) -> None:
        self.name, self._left = name, dict(inputs)

    def __call__(self, key: str, default: Any = None) -> Any:
        return self._left.pop(key, default)

    def physical(self, key: str = "name") -> str:
        """The name given, or one as Pulumi makes it: the logical one and seven hexadecimal digits."""
        return str(self(key) or f"{self.name}-{hashlib.sha256(self.name.encode()).hexdigest()[:7]}")

    def tags(self, key: str = "tags") -> list[dict[str, str]]:
        """Tags as most of AWS's calls take them."""
        return [{"Key": name, "Value": value} for name, value in (self(key) or {}).items()]

    @property
    def left(self) -> list[str]:
        """What no translation took."""
        return sorted(self._left)


@dataclass
class Registered:
    """A resource as the program registered it, and what came of it."""

    typ: str
    name: str
    inputs: dict[str, Any]
    id: str
    outputs: Outputs


class Cloud:
    """boto3 clients of one moto server, every one of them strict."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._clients: dict[str, Any] = {}
        self._models: dict[str, Any] = {}
        self._images: dict[str, str] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = strict(self.plain(service))
        return self._clients[service]

    def image(self, parameter: str) -> str:
        """The machine image that a public parameter names. moto's own list has none for GPUs."""
        if parameter not in self._images:
            made = self("ec2").register_image(
                Name=parameter.strip("/").replace("/", "."),
                Architecture="x86_64",
                RootDeviceName="/dev/xvda",
                BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30}}],
            )
            self._images[parameter] = str(made["ImageId"])
        return self._images[parameter]

    def model(self, service: str) -> Any:
        """A client whose requests are held against the service model and go nowhere: what moto cannot do."""

        def unsent(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
            return AWSResponse("", 200, {}, None), {}

        if service not in self._models:
            self._models[service] = strict(self.plain(service))
            self._models[service].meta.events.register("before-call.*.*", unsent)
        return self._models[service]

    def plain(self, service: str) -> Any:
        """A client that asks without being checked."""
        return boto3.client(
            service,
            REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="AKIAEXAMPLE",
            aws_secret_access_key="example",
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )


Maker = Callable[[Cloud, Given], Made]
MAKERS: dict[str, Maker] = {}
LOOKUPS: dict[str, Callable[[Cloud, dict[str, Any]], Outputs]] = {}


def makes(typ: str) -> Callable[[Maker], Maker]:
    """The translation of a type of resource."""

    def kept(maker: Maker) -> Maker:
        MAKERS[typ] = maker
        return maker

    return kept


def looks_up(
    token: str,
) -> Callable[[Callable[[Cloud, dict[str, Any]], Outputs]], Callable[[Cloud, dict[str, Any]], Outputs]]:
    """The answer to one of the provider's functions."""

    def kept(
        lookup: Callable[[Cloud, dict[str, Any]], Outputs],
    ) -> Callable[[Cloud, dict[str, Any]], Outputs]:
        LOOKUPS[token] = lookup
        return lookup

    return kept


def _whole(value: Any) -> Any:
    """Whole numbers as such: on their way to the engine all numbers are floats."""
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass
class Provider(pulumi.runtime.Mocks):
    """Makes each resource when it is registered."""

    cloud: Cloud
    registered: list[Registered] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        inputs = _whole(dict(args.inputs))
        if args.typ.startswith("easel:"):
            return args.name, inputs
        if args.typ.startswith(("kubernetes:", "pulumi:")):
            # Of the cluster, which moto has none of: a balancer's name is all that AWS's side takes from it.
            address = {"hostname": "k8s-art.us-east-1.elb.amazonaws.com"}
            return args.name, {**inputs, "status": {"loadBalancer": {"ingress": [address]}}}
        with self._one:
            maker = MAKERS.get(args.typ)
            if maker is None:
                self.faults.append(f"{args.typ} {args.name}: has no translation")
                return args.name, inputs
            given = Given(args.name, inputs)
            try:
                made, outputs = maker(self.cloud, given)
            except Exception as error:
                self.faults.append(f"{args.typ} {args.name}: {error}")
                return args.name, inputs
            if given.left:
                self.faults.append(f"{args.typ} {args.name}: nobody translates {', '.join(given.left)}")
            self.registered.append(Registered(args.typ, args.name, inputs, made, {**inputs, **outputs}))
            return made, {**inputs, **outputs}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        if args.token not in LOOKUPS:
            raise AssertionError(f"{args.token} has no answer")
        return LOOKUPS[args.token](self.cloud, dict(args.args))

    def of(self, typ: str) -> list[Registered]:
        """What was registered of a type, by the end of its token: `LaunchTemplate`."""
        return [one for one in self.registered if one.typ.endswith(f":{typ}")]

    def one(self, typ: str, name: str = "") -> Registered:
        """The only one of a type whose name holds `name`."""
        (found,) = (one for one in self.of(typ) if name in one.name)
        return found
