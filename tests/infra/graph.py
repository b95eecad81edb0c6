"""Runs the real Pulumi program under mocks and keeps every resource that it registers.

    graph = provision({"studio": {"shape": "gpu.a10"}})
    graph.of("aws:ec2/securityGroup:SecurityGroup")

Lookups are answered by a `World`, as AWS answers them. There is no engine: what depends on state (diffs,
replacements) is told by comparing two graphs.
"""

import asyncio
import gc
import json
import logging
import runpy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.link import token_provider
from tests.infra.world import ACCOUNT, REGION, World

INFRA = Path(__file__).resolve().parents[2] / "infra"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
"""What marks a secret on its way to the engine, in Pulumi's own protocol."""
SUFFIX = "-1a2b3c4"
"""As Pulumi makes physical names: seven hexadecimal digits after the logical one."""

TEAM: dict[str, Any] = {"runs_on": "instances", "domain": "art.example.com"}


@dataclass(frozen=True)
class Node:
    """One resource as it is registered."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    custom: bool
    retained: bool
    ignored: tuple[str, ...]
    first_deleted: bool
    """Whether what takes its place comes after it has gone."""
    depends: frozenset[str]
    additional_secrets: tuple[str, ...]
    raw: Any
    provider: str
    """`<urn>::<id>` of one that the program makes; empty for the stack's own."""

    @property
    def short(self) -> str:
        """`Bucket` for `aws:s3/bucket:Bucket`."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def physical(self) -> str:
        """The name that AWS sees."""
        given = next((self.inputs[key] for key in ("name", "bucket") if self.inputs.get(key)), None)
        return str(given or self.name + SUFFIX)

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The inputs that are secret, or hold a secret."""
        raw = json_format.MessageToDict(self.raw)
        return frozenset(key for key, value in raw.items() if SECRET in json.dumps(value))

    def document(self, key: str = "policy") -> list[dict[str, Any]]:
        """The statements of a policy among the inputs."""
        found = json.loads(self.inputs[key])["Statement"]
        return [found] if isinstance(found, dict) else list(found)


@dataclass
class Graph:
    """Everything that one run of the program registered."""

    nodes: list[Node]
    outputs: dict[str, Any]
    secret_outputs: str
    said: list[str]

    def of(self, *shorts: str) -> list[Node]:
        """The resources of these types, by the last part of the type."""
        return [node for node in self.nodes if node.short in shorts]

    def one(self, short: str, name: str) -> Node:
        """The resource of this type and logical name."""
        (found,) = [node for node in self.of(short) if node.name == name]
        return found

    def by_urn(self) -> dict[str, Node]:
        """Resources by URN."""
        return self._by_urn

    @cached_property
    def _by_urn(self) -> dict[str, Node]:
        return {node.urn: node for node in self.nodes}

    def below(self, node: Node) -> Iterator[Node]:
        """The resources inside a component, at any depth."""
        for child in self.nodes:
            if child.parent == node.urn:
                yield child
                yield from self.below(child)

    def component(self, short: str, name: str | None = None) -> Node:
        """A component by its type and, where there are several, its name."""
        return next(n for n in self.nodes if n.short == short and not n.custom and name in (None, n.name))


class Pretended(pulumi.runtime.Mocks):
    """Gives every resource what AWS would give it: an id, an ARN, a physical name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        return self._world.answer(args.token, args.args)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ == "pulumi:pulumi:StackReference":
            told = self._world.exports.get(args.name, {})
            return args.name, {"name": args.name, "outputs": told, "secretOutputNames": []}
        if not args.custom:
            return None, args.inputs
        kind = args.typ.rsplit(":", 1)[-1]
        physical = str(args.inputs.get("name") or args.inputs.get("bucket") or args.name + SUFFIX)
        service = args.typ.split(":")[1].split("/")[0]
        id_ = f"{kind.lower()}-{args.name}"
        state = {
            "arn": f"arn:aws:{service}:{REGION}:{ACCOUNT}:{kind.lower()}/{args.name}",
            "name": physical,
            **args.inputs,
            **_given(kind, args, physical),
        }
        return id_, state


def _given(kind: str, args: pulumi.runtime.MockResourceArgs, physical: str) -> dict[str, Any]:
    """What AWS decides for a kind of resource."""
    arn = f"{REGION}:{ACCOUNT}"
    given: dict[str, Callable[[], dict[str, Any]]] = {
        "Token": lambda: dict(token_provider().create({}).outs or {}),
        "Bake": lambda: (
            {
                part: f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/easel@sha256:{digit * 64}"
                for part, digit in (("studio", "1"), ("gateway", "2"))
            }
            | {"repository_arn": f"arn:aws:ecr:{arn}:repository/easel"}
        ),
        "Bucket": lambda: {"bucket": physical, "arn": f"arn:aws:s3:::{physical}"},
        "FileSystem": lambda: {"arn": f"arn:aws:elasticfilesystem:{arn}:file-system/{args.name}"},
        "AccessPoint": lambda: {"arn": f"arn:aws:elasticfilesystem:{arn}:access-point/{args.name}"},
        "Cluster": lambda: {
            "endpoint": "https://example.eks.amazonaws.com",
            "certificateAuthority": {"data": "Q0E="},
            "vpcConfig": {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-cluster"},
        },
        "Certificate": lambda: {
            "domainValidationOptions": [
                {
                    "domainName": args.inputs["domainName"],
                    "resourceRecordName": "_proof.example.com",
                    "resourceRecordType": "CNAME",
                    "resourceRecordValue": "_value.acm-validations.aws",
                }
            ]
        },
        "Ingress": lambda: {
            "status": {"loadBalancer": {"ingress": [{"hostname": "k8s-art.us-east-1.elb.amazonaws.com"}]}}
        },
        "Zone": lambda: {"zoneId": f"Z{args.name}", "nameServers": ["ns-1.example.org", "ns-2.example.org"]},
        "Eip": lambda: {"publicIp": "192.0.2.7", "allocationId": "eipalloc-1"},
        "Role": lambda: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{physical}"},
        "InstanceProfile": lambda: {"arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{physical}"},
        "LogGroup": lambda: {"arn": f"arn:aws:logs:{arn}:log-group:{physical}"},
        "Group": lambda: {"arn": f"arn:aws:autoscaling:{arn}:autoScalingGroup:uuid:{physical}"},
        "LaunchTemplate": lambda: {"latestVersion": 1, "defaultVersion": 1},
        "Repository": lambda: {
            "arn": f"arn:aws:ecr:{arn}:repository/{physical}",
            "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{physical}",
        },
    }
    return given.get(kind, dict)()


class _Recorder(MockMonitor):
    """Pulumi's own mock of the engine, which forgets who is whose child."""

    def __init__(self, mocks: pulumi.runtime.Mocks) -> None:
        super().__init__(mocks)
        self.nodes: list[Node] = []
        self.outputs: Any = None

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.nodes.append(
                Node(
                    request.type,
                    request.name,
                    answer.urn,
                    request.parent,
                    _plain(pulumi.runtime.rpc.deserialize_properties(request.object)),
                    request.custom,
                    request.retainOnDelete,
                    tuple(request.ignoreChanges),
                    request.deleteBeforeReplace,
                    frozenset(request.dependencies),
                    tuple(request.additionalSecretOutputs),
                    request.object,
                    request.provider,
                )
            )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = request.outputs
        return super().RegisterResourceOutputs(request)


def _plain(value: Any) -> Any:
    """Values without what marks them as secret."""
    if isinstance(value, Mapping):
        if SECRET in value.values():
            return _plain(value.get("value"))
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


class _Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def run(
    config: Mapping[str, Any],
    stack: str,
    world: World | None = None,
    preview: bool = False,
    cloud: pulumi.runtime.Mocks | None = None,
    secret_keys: Sequence[str] = (),
) -> Graph:
    """Run the program with a stack's configuration. Raises what the program raises.

    `cloud` stands for AWS in the place of a pretended one that says yes to everything. `secret_keys` are
    those that Pulumi has decrypted something of.
    """
    logger, said = logging.Logger("pulumi-under-mocks", logging.DEBUG), _Said()
    logger.addHandler(said)
    cloud = cloud or Pretended(world or World())
    recorder = _Recorder(cloud)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # What ran before and failed left calls and outputs, which would be waited for in a loop that is closed.
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    try:
        pulumi.runtime.set_mocks(
            cloud,
            project="easel",
            stack=stack,
            organization="organization",
            preview=preview,
            logger=logger,
            monitor=recorder,
        )
        pulumi.runtime.set_all_config(
            {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()},
            secret_keys,
        )
        set_root_resource(None)  # each run has its own, or outputs of one are the next one's too
        loop.run_until_complete(
            run_in_stack(lambda: runpy.run_path(str(INFRA / "__main__.py"), run_name="__main__"))
        )
    finally:
        gc.enable()  # the program turns it off for its own process
        set_root_resource(None)
        asyncio.set_event_loop(None)
        loop.close()
    raw = recorder.outputs
    outputs = _plain(pulumi.runtime.rpc.deserialize_properties(raw)) if raw is not None else {}
    secret = json.dumps(json_format.MessageToDict(raw)) if raw is not None else "{}"
    return Graph(recorder.nodes, outputs, secret, said.lines)


def provision(
    endpoints: Mapping[str, Any],
    team: Mapping[str, Any] | None = None,
    stack: str = "art",
    world: World | None = None,
    preview: bool = False,
) -> Graph:
    """The graph of a team with these endpoints; `team` is laid over `TEAM`."""
    config = {"easel:team": {**TEAM, **(team or {})}, "easel:endpoints": dict(endpoints)}
    return run(config, stack, world, preview)


def urns(nodes: Iterable[Node]) -> set[str]:
    """The URNs of resources."""
    return {node.urn for node in nodes}
