"""Pulumi's engine as far as a dynamic provider knows it: it starts the process, calls it, and keeps its log.

After the engine's `NewProvider` and its script `pulumi-resource-pulumi-python`: the process runs in the
folder of the program's `main`, and looks there for the virtual environment that Pulumi.yaml names.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import yaml
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

ROOT = Path(__file__).resolve().parents[3]
PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
URN = "urn:pulumi:art::easel::pulumi-python:dynamic/easel:Bake::easel-art-images"


class Log(engine_pb2_grpc.EngineServicer):
    """What is shown to the person."""

    def __init__(self) -> None:
        self.stayed: list[str] = []
        self.passed: list[str] = []

    def Log(self, request: Any, context: Any) -> Any:
        (self.passed if request.ephemeral else self.stayed).append(request.message)
        return empty_pb2.Empty()


class Provider:
    """A running provider, called as the engine calls it."""

    def __init__(self, stub: Any, log: Log, stderr: list[str]) -> None:
        self._stub = stub
        self.log = log
        self.stderr = stderr

    def configure(self, config: dict[str, str]) -> None:
        self._stub.Configure(provider_pb2.ConfigureRequest(args=_struct(config)))

    def check(self, news: dict[str, Any]) -> dict[str, Any]:
        answer = self._stub.Check(provider_pb2.CheckRequest(urn=URN, olds=_struct({}), news=_struct(news)))
        assert not answer.failures
        return _plain(answer.inputs)

    def diff(self, olds: dict[str, Any], news: dict[str, Any]) -> Any:
        asked = provider_pb2.DiffRequest(id="1", urn=URN, olds=_struct(olds), news=_struct(news))
        return self._stub.Diff(asked)

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Create(provider_pb2.CreateRequest(urn=URN, properties=_struct(inputs)))
        return answer.id, _plain(answer.properties)

    def update(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        asked = provider_pb2.UpdateRequest(id="1", urn=URN, olds=_struct(olds), news=_struct(news))
        return _plain(self._stub.Update(asked).properties)

    def read(self, id_: str, state: dict[str, Any]) -> str:
        asked = provider_pb2.ReadRequest(id=id_, urn=URN, properties=_struct(state), inputs=_struct(state))
        return str(self._stub.Read(asked).id)

    def delete(self, state: dict[str, Any]) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id="1", urn=URN, properties=_struct(state)))


@contextmanager
def provider(**environment: str) -> Iterator[Provider]:
    """The provider's process, fresh: it knows nothing of the program."""
    log = Log()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    engine_pb2_grpc.add_EngineServicer_to_server(log, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    folder = ROOT / PROJECT["main"]
    python = folder / PROJECT["runtime"]["options"]["virtualenv"] / "bin" / "python"
    bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = subprocess.Popen(
        [str(python), "-u", "-m", "pulumi.dynamic", f"127.0.0.1:{port}"],
        cwd=folder,
        env={**bare, "PULUMI_PROJECT": PROJECT["name"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    stderr: list[str] = []
    reader = threading.Thread(
        target=lambda stream: stderr.extend(stream), args=(process.stderr,), daemon=True
    )
    reader.start()
    try:
        listening = process.stdout.readline().strip()
        assert listening.isdigit(), f"no port: {process.wait(10)} {stderr}"
        with grpc.insecure_channel(f"127.0.0.1:{listening}") as channel:
            yield Provider(provider_pb2_grpc.ResourceProviderStub(channel), log, stderr)
    finally:
        process.kill()
        process.wait(10)
        reader.join(10)
        process.stdout.close()
        process.stderr.close()
        server.stop(0)


def _struct(content: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(content, struct_pb2.Struct())


def _plain(content: struct_pb2.Struct) -> dict[str, Any]:
    return json_format.MessageToDict(content)
