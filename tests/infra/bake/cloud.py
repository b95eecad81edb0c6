"""A cloud to bake in: moto's server for registry, buckets, logs and identity.

CodeBuild, which moto only lets succeed, is played here over the same wire, so that a build can fail.
"""

import io
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import boto3
import httpx
from botocore.config import Config
from moto.server import DomainDispatcherApplication, ThreadedMotoServer, create_backend_app

ACCOUNT = "123456789012"
REGION = "eu-west-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/easel-art-bake"
PROJECT = "easel-art-bake"
BUCKET = "easel-art-bake-1a2b3c4"
GROUP = "/easel/art/bake"
KIND = "application/vnd.docker.distribution.manifest.v2+json"
SIGNED = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass
class Build:
    """One build of the stand-in."""

    id: str
    variables: dict[str, str]
    source: str = ""
    status: str = "IN_PROGRESS"
    asked: int = 0

    def shown(self) -> dict[str, Any]:
        over = self.status != "IN_PROGRESS"
        phase: dict[str, Any] = {"phaseType": "BUILD", "phaseStatus": self.status if over else None}
        if self.status == "FAILED":
            phase["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1"}]
        environment = [{"name": n, "value": v, "type": "PLAINTEXT"} for n, v in self.variables.items()]
        return {
            "id": self.id,
            "buildStatus": self.status,
            "currentPhase": "COMPLETED" if over else "BUILD",
            "timeoutInMinutes": 90,
            "phases": [{name: value for name, value in phase.items() if value is not None}],
            "environment": {"environmentVariables": environment},
            "logs": {
                "groupName": GROUP,
                "streamName": self.id.replace(":", "/"),
                "deepLink": "https://console.example/log",
            },
        }


@dataclass
class Cloud:
    """What a test says happens, and what happened."""

    url: str = ""
    ends: str = "SUCCEEDED"
    """How builds end."""
    polls: int = 2
    """How often a build is asked after before it ends."""
    lines: tuple[str, ...] = ("#1 [gateway] RUN pip", "#2 [studio] RUN pip")
    pushes: tuple[str, ...] | None = None
    """The targets that a build pushes before it ends; those that it was asked for, if it succeeds."""
    builds: dict[str, Build] = field(default_factory=dict)
    faults: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """Errors by operation, each given once."""
    calls: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    """Operations that may have changed something."""
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """boto3's client, which speaks to this cloud."""
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                region_name=REGION,
                endpoint_url=self.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
            )
        return self.clients[service]

    def started(self) -> list[Build]:
        """The builds that were started through the API."""
        return [build for build in self.builds.values() if build.source]

    def underway(self, content: str, project: str = PROJECT) -> Build:
        """A build that somebody else started."""
        build = Build(f"{project}:other", {"EASEL_CONTENT": content, "EASEL_TARGETS": "gateway studio"})
        self.builds[build.id] = build
        return build

    def push(self, content: str, *targets: str) -> None:
        """Put images where the bake looks for them."""
        ecr = self.client("ecr")
        for target in targets:
            manifest = {"schemaVersion": 2, "mediaType": KIND, "config": {"digest": f"{target}{content}"}}
            ecr.put_image(
                repositoryName="easel/images",
                imageTag=f"{target}-{content}",
                imageManifest=json.dumps(manifest),
            )

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What CodeBuild answers."""
        if operation == "ListBuilds":
            return {"ids": list(reversed(self.builds))}
        if operation == "StartBuild":
            variables = {one["name"]: one["value"] for one in asked["environmentVariablesOverride"]}
            build = Build(
                f"{asked['projectName']}:{len(self.builds)}", variables, asked["sourceLocationOverride"]
            )
            self.builds[build.id] = build
            return {"build": build.shown()}
        found = [self.builds[each] for each in asked["ids"] if each in self.builds]
        for build in found:
            build.asked += 1
            if build.asked > self.polls and build.status == "IN_PROGRESS":
                self._end(build)
        return {"builds": [build.shown() for build in found]}

    def _end(self, build: Build) -> None:
        logs, stream = self.client("logs"), build.id.replace(":", "/")
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": f"{line}\n"} for line in self.lines]
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
        asked = tuple(build.variables["EASEL_TARGETS"].split())
        pushed = self.pushes if self.pushes is not None else asked * (self.ends == "SUCCEEDED")
        self.push(build.variables["EASEL_CONTENT"], *pushed)
        build.status = self.ends


class Wire:
    """The WSGI application: scripted errors first, then CodeBuild, then moto."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        self._cloud.calls.append(operation)
        if changes(environ, operation):
            self._cloud.writes.append(operation or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
        if self._cloud.faults[operation]:
            code, message = self._cloud.faults[operation].pop(0)
            return _json(start, "400 Bad Request", {"__type": code, "message": message})
        if service == "CodeBuild_20161006":
            length = int(environ.get("CONTENT_LENGTH") or 0)
            asked = json.loads(environ["wsgi.input"].read(length) or b"{}")
            return _json(start, "200 OK", self._cloud.answer(operation, asked))
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


READS = ("Describe", "Get", "BatchGet", "BatchCheck", "List", "Head", "FilterLogEvents", "Assume")


def changes(environ: dict[str, Any], operation: str) -> bool:
    """Whether a request may change what AWS keeps: by its operation's name or, for S3, by its method. In
    doubt it does. STS and IAM say their action in a form, which is read and put back."""
    if operation:
        return not operation.startswith(READS)
    if environ["REQUEST_METHOD"] != "POST":
        return environ["REQUEST_METHOD"] not in ("GET", "HEAD")
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return not action.startswith(READS)


def _json(start: Callable[..., Any], status: str, content: dict[str, Any]) -> list[bytes]:
    body = json.dumps(content).encode()
    start(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))])
    return [body]


@contextmanager
def server() -> Iterator[Cloud]:
    """A cloud on a free port."""
    it = Cloud()
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    try:
        host, port = moto.get_host_and_port()
        it.url = f"http://{host}:{port}"
        moto._server.app = Wire(it)  # type: ignore[union-attr]
        yield it
    finally:
        moto.stop()


def emptied(cloud: Cloud) -> Cloud:
    """The same cloud as on its first day, with the team's bucket and log group."""
    fresh = Cloud(cloud.url, clients=cloud.clients)
    vars(cloud).clear()
    vars(cloud).update(vars(fresh))
    # The first reset imports services; beside other tests that takes longer than httpx waits by itself.
    httpx.post(f"{cloud.url}/moto-api/reset", timeout=120).raise_for_status()
    cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    cloud.client("logs").create_log_group(logGroupName=GROUP)
    cloud.calls.clear()
    cloud.writes.clear()
    return cloud
