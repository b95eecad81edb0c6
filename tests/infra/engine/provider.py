"""A stand-in for pulumi-aws in the protocol of Pulumi's providers: what it makes is a file in a folder.

    python -m tests.infra.engine.provider FOLDER ACCOUNT [ENGINE]

The engine starts it as `pulumi-resource-aws`, reads its port from its first line and calls it over gRPC. It
answers as pulumi-aws does where the engine can tell: what only AWS knows is unknown in a preview, inputs that
AWS cannot change replace, a resource whose file is gone is gone on refresh.
"""

import json
import signal
import sys
import threading
from concurrent import futures
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]
import pulumi
from google.protobuf import empty_pb2, json_format, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from tests.infra.engine.replaced import replacing
from tests.infra.graph import ACCOUNT, Pretended, World
from tests.infra.world import Refused

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands for a value that is not known before it is made, in Pulumi's own protocol."""
VERSION = version("pulumi-aws")
VERSIONED = ("latestVersion", "defaultVersion")
"""Outputs of a launch template that each change of it raises."""

Values = dict[str, Any]


class Store:
    """The resources that are there, a file each, named by id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def put(self, urn: str, id_: str, state: Values) -> None:
        """Write one, new or changed."""
        self._file(id_).write_text(json.dumps({"urn": urn, "id": id_, "state": state}, indent=1))

    def get(self, id_: str) -> Values | None:
        """The state of one, or None where there is none."""
        file = self._file(id_)
        return dict(json.loads(file.read_text())["state"]) if file.exists() else None

    def drop(self, id_: str) -> None:
        """Forget one."""
        self._file(id_).unlink(missing_ok=True)

    def free(self, id_: str) -> str:
        """This id, or one like it that nothing has: a replacement comes before what it replaces goes."""
        with self._lock:
            number, found = 1, id_
            while self._file(found).exists():
                number += 1
                found = f"{id_}-{number}"
            self._file(found).write_text("{}")
            return found

    def _file(self, id_: str) -> Path:
        return self._folder / f"{quote(id_, safe='')}.json"


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """The calls of the engine."""

    def __init__(self, store: Store, account: str) -> None:
        self._store = store
        self._account = account
        self._aws = Pretended(World())

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def GetSchema(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetSchemaResponse(schema=json.dumps({"name": "aws", "version": VERSION}))

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        changes = _plain(request.olds) != _plain(request.news)
        return provider_pb2.DiffResponse(changes=_some(changes))

    def Configure(self, request: Any, context: Any) -> Any:
        # As a bridged provider: the engine itself keeps secret what came in as a secret.
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def Diff(self, request: Any, context: Any) -> Any:
        olds, news = _plain(request.old_inputs), _plain(request.news)
        changed = {key for key in olds.keys() | news.keys() if olds.get(key) != news.get(key)}
        changed -= set(request.ignoreChanges)
        replaces = replacing(_kind(request.urn), changed, news)
        return provider_pb2.DiffResponse(
            changes=_some(bool(changed)), replaces=sorted(replaces), diffs=sorted(changed)
        )

    def Create(self, request: Any, context: Any) -> Any:
        inputs = _plain(request.properties)
        id_, state = self._made(request.urn, inputs)
        if request.preview:
            return provider_pb2.CreateResponse(properties=_struct({**_unknown(state), **inputs}))
        id_ = self._store.free(id_)
        self._store.put(request.urn, id_, state)
        return provider_pb2.CreateResponse(id=id_, properties=_struct(state))

    def Read(self, request: Any, context: Any) -> Any:
        state = self._store.get(request.id)
        if state is None:
            return provider_pb2.ReadResponse()
        # As a bridged provider: what was asked for is, after a refresh, what is there.
        inputs = {key: state.get(key, value) for key, value in _plain(request.inputs).items()}
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(state), inputs=_struct(inputs))

    def Update(self, request: Any, context: Any) -> Any:
        olds, news = _plain(request.olds), _plain(request.news)
        versions = {key: olds[key] + 1 for key in VERSIONED if key in olds}
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct({**olds, **news, **_unknown(versions)}))
        if self._store.get(request.id) is None:
            context.abort(grpc.StatusCode.UNKNOWN, f"updating {request.id}: there is none")
        dropped = _plain(request.old_inputs).keys() - news.keys()
        state = {**{key: value for key, value in olds.items() if key not in dropped}, **news, **versions}
        self._store.put(request.urn, request.id, state)
        return provider_pb2.UpdateResponse(properties=_struct(state))

    def Delete(self, request: Any, context: Any) -> Any:
        self._store.drop(request.id)
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        asked = pulumi.runtime.MockCallArgs(request.tok, _plain(request.args), "")
        try:
            answer = self._aws.call(asked)
        except Refused as error:
            context.abort(grpc.StatusCode.UNKNOWN, f"invocation of {request.tok} returned an error: {error}")
        return provider_pb2.InvokeResponse(**{"return": _struct(self._of_account(answer))})

    def _made(self, urn: str, inputs: Values) -> tuple[str, Values]:
        typ, name = urn.split("::")[2].rpartition("$")[2], urn.rpartition("::")[2]
        known = {key: value for key, value in inputs.items() if value != UNKNOWN}
        args = pulumi.runtime.MockResourceArgs(
            typ=typ, name=name, inputs=known, provider=None, resource_id=None, custom=True
        )
        id_, state = self._aws.new_resource(args)
        return str(id_), self._of_account({**state, "id": id_})

    def _of_account(self, values: Values) -> Values:
        return dict(json.loads(json.dumps(values).replace(ACCOUNT, self._account)))


def _kind(urn: str) -> str:
    return urn.split("::")[2].rpartition(":")[2]


def _unknown(values: Values) -> Values:
    return dict.fromkeys(values, UNKNOWN)


def _some(changes: bool) -> Any:
    return provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE


def _struct(content: Values) -> struct_pb2.Struct:
    return json_format.ParseDict(content, struct_pb2.Struct())


def _plain(content: struct_pb2.Struct) -> Values:
    return dict(json_format.MessageToDict(content))


def main() -> None:
    """Serve until the engine ends the process."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4),
        # Whole user data and policies: as much as the engine sends.
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(
        StandIn(Store(Path(sys.argv[1])), sys.argv[2]), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's; it ends its plugins itself
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
