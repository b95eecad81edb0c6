"""A build of CodeBuild: found, started, followed to its end."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.bake.errors import (
    AwsUnreachable,
    BakeError,
    BuildFailed,
    BuildStopped,
    BuildTimedOut,
    Throttled,
    meaning,
    told,
)

CONTENT = "EASEL_CONTENT"
"""The variable that a build carries its content hash in, and that a running build is recognised by."""

BUILD_MINUTES = 90
QUEUE_MINUTES = 60
"""CodeBuild's own limits for a build; the project is made with them."""

PATIENCE = (BUILD_MINUTES + QUEUE_MINUTES + 10) * 60
"""Seconds after which a build is given up from here, should CodeBuild never end it."""

LAST_LINES = 25
"""Lines of a failed build's log that its error quotes."""

MISSES = 8
"""Polls in a row that may go unanswered: a laptop's network comes and goes, and the build goes on."""


@dataclass(frozen=True)
class Order:
    """What a build is started with."""

    project: str
    content: str
    source: str
    """`<bucket>/<key>` of the archive."""
    repository: str
    """The registry's address of the repository, to push to."""
    targets: Sequence[str]
    """Targets that are missing: a tag that is there cannot be pushed again."""
    cache: Mapping[str, str] = field(default_factory=dict)
    """The image whose layers may be used again, by target."""

    def variables(self) -> dict[str, str]:
        """What image/buildspec.yml reads."""
        cache = {f"EASEL_CACHE_{target.upper()}": tag for target, tag in self.cache.items()}
        return {
            CONTENT: self.content,
            "EASEL_REPOSITORY": self.repository,
            "EASEL_TARGETS": " ".join(self.targets),
            **cache,
        }


class Builds:
    """The builds of an account and region. `codebuild` and `logs` are boto3's clients."""

    def __init__(
        self,
        codebuild: Any,
        logs: Any,
        say: Callable[[str], None],
        show: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`say` tells what lasts, `show` a line of the build's log, which the next one replaces."""
        self._codebuild = codebuild
        self._logs = logs
        self._say = say
        self._show = show
        self._sleep = sleep
        self._clock = clock

    def running(self, content: str) -> str | None:
        """The id of a build of this content that is under way, in any team's project."""
        with told("list the builds"):
            ids = self._codebuild.list_builds(sortOrder="DESCENDING")["ids"]
            builds = self._codebuild.batch_get_builds(ids=ids[:100])["builds"] if ids else []
        for build in builds:
            variables = build.get("environment", {}).get("environmentVariables", [])
            carried = {one["name"]: one["value"] for one in variables}.get(CONTENT)
            if build["buildStatus"] == "IN_PROGRESS" and carried == content:
                return str(build["id"])
        return None

    def start(self, order: Order) -> str:
        """Start a build; the answer is its id. Raises BakeError."""
        with told("start the build"):
            answer = self._codebuild.start_build(
                projectName=order.project,
                sourceTypeOverride="S3",
                sourceLocationOverride=order.source,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"}
                    for name, value in order.variables().items()
                ],
                # botocore asks again when an answer is lost, which must not start a second build. Not the
                # content hash: a token holds for minutes, and who tries again would get the failed build.
                idempotencyToken=str(uuid.uuid4()),
            )
        return str(answer["build"]["id"])

    def follow(self, build_id: str) -> None:
        """Wait until the build has succeeded. Raises BakeError when it ends otherwise or does not end."""
        began, pause, phase, misses = self._clock(), 1.0, "", 0
        tail: deque[str] = deque(maxlen=LAST_LINES)
        log = _Log(self._logs)
        while True:
            try:
                build = self._get(build_id)
                misses = 0
            except (Throttled, AwsUnreachable) as error:
                misses += 1
                if misses >= MISSES:
                    raise type(error)(f"{error} The build goes on and is found again") from None
                build = None
            if build is not None:
                phase = self._tell_phase(build, phase, self._clock() - began)
                for line in log.read(build, self._say):
                    tail.append(line)
                    self._show(line)
                if build["buildStatus"] == "SUCCEEDED":
                    return
                if build["buildStatus"] != "IN_PROGRESS":
                    raise _ending(build, tail)
            if self._clock() - began > PATIENCE:
                raise BuildTimedOut(
                    f"the build {build_id} has not ended after {PATIENCE // 60} minutes. Stop it in the "
                    "console and run `pulumi up` again"
                )
            self._sleep(pause)
            pause = min(pause * 1.5, 8.0)

    def _get(self, build_id: str) -> dict[str, Any]:
        with told("ask how the build is doing"):
            found = self._codebuild.batch_get_builds(ids=[build_id])["builds"]
        if not found:
            raise BuildFailed(f"the build {build_id} was deleted while it ran. Run `pulumi up` again")
        return dict(found[0])

    def _tell_phase(self, build: Mapping[str, Any], before: str, seconds: float) -> str:
        phase = str(build.get("currentPhase", "")) or before
        if phase != before and phase != "COMPLETED":
            self._say(f"image build: {phase.lower().replace('_', ' ')} ({seconds / 60:.0f} min)")
        return phase


class _Log:
    """The log of one build, from its beginning, each line once."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs
        self._token: str | None = None
        self._refused = False

    def read(self, build: Mapping[str, Any], say: Callable[[str], None]) -> list[str]:
        """The lines since last time. A log that may not be read is said once and is no reason to fail."""
        about = build.get("logs", {})
        group, stream = about.get("groupName"), about.get("streamName")
        if not group or not stream or self._refused:
            return []
        lines: list[str] = []
        while True:
            asked = {"nextToken": self._token} if self._token else {}
            try:
                answer = self._logs.get_log_events(
                    logGroupName=group, logStreamName=stream, startFromHead=True, **asked
                )
            except (ClientError, BotoCoreError) as error:
                reason = meaning(error, "read the build's log")
                # Not there yet, or too much asked: the next poll tries again.
                if "ResourceNotFoundException" not in str(reason) and not isinstance(
                    reason, Throttled | AwsUnreachable
                ):
                    self._refused = True
                    say(f"{reason}. The build goes on without its log shown here")
                return lines
            lines += [event["message"].rstrip() for event in answer["events"] if event["message"].strip()]
            # The end is where the token no longer moves.
            if answer["nextForwardToken"] == self._token:
                return lines
            self._token = answer["nextForwardToken"]


def _ending(build: Mapping[str, Any], tail: Sequence[str]) -> BakeError:
    status, where = build["buildStatus"], _url(build)
    if status == "STOPPED":
        return BuildStopped(f"somebody stopped the image build. Run `pulumi up` to start it again. {where}")
    if status == "TIMED_OUT":
        return BuildTimedOut(
            f"the image build was ended after {build.get('timeoutInMinutes', BUILD_MINUTES)} minutes. "
            f"Its last lines:\n{_quoted(tail)}\nRun `pulumi up` to try again. {where}"
        )
    failed = [
        phase for phase in build.get("phases", []) if phase.get("phaseStatus") not in ("SUCCEEDED", None)
    ]
    said = [
        f"{phase['phaseType'].lower().replace('_', ' ')}: {context['message']}"
        for phase in failed
        for context in phase.get("contexts", [])
        if context.get("message")
    ]
    reason = "; ".join(said) or ("CodeBuild itself failed" if status == "FAULT" else "a command failed")
    return BuildFailed(
        f"the image build failed: {reason}. The last lines of its log:\n{_quoted(tail)}\n"
        f"Correct what they name and run `pulumi up` again. {where}"
    )


def _quoted(tail: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in tail) or "    (nothing was written)"


def _url(build: Mapping[str, Any]) -> str:
    link = build.get("logs", {}).get("deepLink")
    return f"The whole log: {link}" if link else f"The build: {build['id']}"
