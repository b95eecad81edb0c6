"""Keeps EASEL_HOME/config as the objects below `config/` of the team's bucket are.

What cannot be fetched leaves the last good files as they are, with an event that says why: endpoints go on
with the settings they have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from easel.gateway.aws.bucket import Bucket
from easel.gateway.aws.calls import AwsError
from easel.gateway.disk import write_private
from easel.remark import figure, remark

PREFIX = "config/"
_TEAM = "team.json"
_FILE = re.compile(r"config/([a-z][a-z0-9-]{0,39}\.json)")
_LARGEST = 1024 * 1024


class ConfigMirror:
    """Copies what changed. `say` hears, once each, of what goes wrong and when it goes well again."""

    def __init__(self, bucket: Bucket, folder: Path, say: Callable[[str], None]) -> None:
        self._bucket = bucket
        self._folder = folder
        self._say = say
        self._etags: dict[str, str] = {}
        self._trouble: str | None = None
        self._passing = 0
        # Every object of the bucket by key with its ETag, as the last look saw it; None if it saw nothing.
        self.seen: dict[str, str] | None = None

    def sync(self) -> bool:
        """Look once; whether the files are as the bucket is. Blocks: ask in a thread."""
        try:
            # The whole bucket, which is small: one question tells of configuration and tokens, and costs what
            # a dozen GETs do.
            self.seen = None
            self.seen = found = self._bucket.list("")
            wrong = self._copy(found)
        except AwsError as error:
            # One look that AWS was too busy for is nothing to tell.
            self._passing = self._passing + 1 if error.passing else 0
            if not error.passing or self._passing >= 3:
                self._tell(f"the configuration is not followed: {error}; what was read last goes on")
            return False
        except OSError as error:
            self._tell(f"the configuration cannot be written to {self._folder}: {error}; the last goes on")
            return False
        self._passing = 0
        self._tell(wrong)
        return not wrong

    def _copy(self, found: dict[str, str]) -> str | None:
        names = {match.group(1): etag for key, etag in found.items() if (match := _FILE.fullmatch(key))}
        if _TEAM not in names:
            words = "{object} is not there: `pulumi up` writes it; what was read last goes on"
            return remark("config_object_missing", words, object=self._object(_TEAM))
        fresh: dict[str, tuple[str, str]] = {}
        for name, etag in names.items():
            if self._etags.get(name) == etag and (self._folder / name).exists():
                continue
            stored = self._bucket.get(PREFIX + name)
            if stored is None:
                return None  # removed between two questions: the next look sees it
            if (wrong := _fault(stored.content)) is not None:
                words = "{object} {wrong}; what was read last goes on"
                return remark("config_object_wrong", words, object=self._object(name), wrong=wrong)
            fresh[name] = (stored.content.decode(), stored.etag)
        # The team last: it names the endpoints, whose files must be there by then.
        for name in sorted(fresh, key=lambda one: one == _TEAM):
            text, etag = fresh[name]
            write_private(self._folder / name, text)
            self._etags[name] = etag
        for path in self._folder.glob("*.json"):
            if path.name not in names:
                path.unlink(missing_ok=True)
                self._etags.pop(path.name, None)
        return None

    def _object(self, name: str) -> str:
        """Where a file lies in the bucket, as people write it."""
        return f"s3://{self._bucket.name}/{PREFIX}{name}"

    def _tell(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        if trouble is not None:
            self._say(trouble)
        elif self._trouble is not None:
            self._say(remark("config_followed_again", "the configuration is followed again"))
        self._trouble = trouble


def _fault(content: bytes) -> str | None:
    if len(content) > _LARGEST:
        words = "has {n} bytes, more than the {most} of any configuration"
        return remark("config_too_large", words, n=figure(len(content), "d"), most=figure(_LARGEST, "d"))
    try:
        parsed = json.loads(content)
    except ValueError as error:
        return remark("config_no_json", "is not JSON ({why})", why=error)
    return None if isinstance(parsed, dict) else remark("config_no_object", "is not a JSON object")
