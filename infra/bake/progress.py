"""What a person sees of a bake while `pulumi up` runs.

Pulumi's engine starts the process of a dynamic provider with the address of its own log as the last argument,
and shows each line that the process writes to stderr as a message that stays (`newPlugin` there).
A build has thousands of lines: they go to the engine as ephemeral messages, each in place of the last.
"""

import re
import sys
from collections.abc import Sequence

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

LONGEST = 200
"""Characters of a line that are shown."""

SECONDS = 5
"""A display that does not take a message for this long is done without."""


class BakeProgress:
    """Messages to whoever runs Pulumi."""

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        """`arguments` are those of the process."""
        address = next(
            (word for word in reversed(arguments) if re.fullmatch(r"[\w.\[\]:-]+:\d{2,5}", word)), None
        )
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address)) if address else None

    @classmethod
    def of_process(cls) -> "BakeProgress":
        """To the engine that started this process."""
        return cls(sys.argv[1:])

    def say(self, text: str) -> None:
        """Tell something that stays."""
        if not self._log(text, ephemeral=False):
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

    def show(self, text: str) -> None:
        """Show something until the next one. Without an engine nothing is shown."""
        self._log(text, ephemeral=True)

    def _log(self, text: str, ephemeral: bool) -> bool:
        if self._engine is None:
            return False
        line = "".join(c if c.isprintable() or c == "\n" else " " for c in text)
        message = line[:LONGEST] if ephemeral else line
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, ephemeral=ephemeral)
        try:
            self._engine.Log(request, timeout=SECONDS)
        except grpc.RpcError:
            self._engine = None  # a build is not given up because nobody watches
            return False
        return True
