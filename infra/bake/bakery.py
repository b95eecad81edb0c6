"""The bake from end to end: look, and build only what no one has built."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.bake import TARGETS
from infra.bake.archive import FOLDER, archive, content_hash
from infra.bake.build import Builds, Order
from infra.bake.errors import BakeError, BuildFailed, ContentChanged, told
from infra.bake.progress import BakeProgress
from infra.bake.registry import Registry, Repository, tag


@dataclass(frozen=True)
class Images:
    """What was baked: references by digest."""

    studio: str
    gateway: str
    repository_arn: str


class Bakery:
    """Bakes in one account and region. `client` makes boto3's clients: `session.client`."""

    def __init__(
        self,
        client: Callable[..., Any],
        progress: BakeProgress,
        folder: Path = FOLDER,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._registry = Registry(client("ecr"))
        self._s3 = client("s3")
        self._builds = Builds(client("codebuild"), client("logs"), progress.say, progress.show, sleep)
        self._progress = progress
        self._folder = folder
        self._sleep = sleep

    def bake(self, content: str, project: str, bucket: str) -> Images:
        """The images of this content. Raises BakeError.

        In order: they are there; a build of them is under way, of this team or another; a build is started.
        """
        repository = self._registry.adopt()
        found = self._registry.digests(content)
        if len(found) == len(TARGETS):
            self._progress.say(f"the images of {content} are there: nothing to build")
            return _images(repository, found)
        if running := self._builds.running(content):
            self._progress.say(f"a build of {content} is under way ({running}): waiting for it")
            try:
                self._builds.follow(running)
            except BakeError as error:
                if running.split(":")[0] == project:
                    raise
                self._progress.say(f"another team's build ended without images, so this one builds: {error}")
            found = self._found(content)
            if len(found) == len(TARGETS):
                return _images(repository, found)
        return self._build(content, project, bucket, repository)

    def present(self, content: str) -> bool:
        """Whether both images are there. It only reads. Raises BakeError."""
        return self._registry.find() is not None and len(self._registry.digests(content)) == len(TARGETS)

    def _build(self, content: str, project: str, bucket: str, repository: Repository) -> Images:
        found = self._registry.digests(content)
        if len(found) == len(TARGETS):
            return _images(repository, found)  # by a build that ended between the two looks for it
        missing = [target for target in TARGETS if target not in found]
        cache = {t: f"{repository.uri}:{name}" for t, name in self._registry.newest().items()}
        order = Order(project, content, self._upload(content, bucket), repository.uri, missing, cache)
        started = self._builds.start(order)
        self._progress.say(f"building the images of {content} as {started}; the first time this takes long")
        try:
            self._builds.follow(started)
        except BakeError:
            # Two stacks of one content may start in the same second: the slower cannot push what is there.
            if len(found := self._registry.digests(content)) == len(TARGETS):
                return _images(repository, found)
            raise
        found = self._found(content)
        if len(found) < len(TARGETS):
            absent = ", ".join(tag(target, content) for target in TARGETS if target not in found)
            raise BuildFailed(f"the build {started} succeeded, and yet {absent} is not in {repository.uri}")
        return _images(repository, found)

    def _upload(self, content: str, bucket: str) -> str:
        key = f"{content}.zip"
        data = archive(self._folder)
        # Read after the program did: an editor may have been at it in between.
        if (now := content_hash(self._folder)) != content:
            raise ContentChanged(
                f"{self._folder} changed while `pulumi up` ran (from {content} to {now}): run it again"
            )
        with told("upload the archive"):
            self._s3.put_object(Bucket=bucket, Key=key, Body=data, ContentType="application/zip")
        return f"{bucket}/{key}"

    def _found(self, content: str) -> dict[str, str]:
        # What was pushed a moment ago may take one to be seen.
        for pause in (1.0, 2.0, 4.0):
            if len(found := self._registry.digests(content)) == len(TARGETS):
                return found
            self._sleep(pause)
        return self._registry.digests(content)


def _images(repository: Repository, digests: dict[str, str]) -> Images:
    return Images(
        repository.reference(digests["studio"]), repository.reference(digests["gateway"]), repository.arn
    )
