"""Why there is no image, and what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "RequestExpired",
    "UnrecognizedClientException",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
THROTTLED = {
    "LimitExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


class BakeError(Exception):
    """There is no image. The text says why and what to do."""


class ArchiveError(BakeError):
    """What should go into the image cannot."""


class ContentChanged(BakeError):
    """The files are not those that the program saw."""


class NotOurRepository(BakeError):
    """A repository of that name is there, and easel must not push to it."""


class WrongAccount(BakeError):
    """The credentials belong to another account than the stack's resources."""


class BuildFailed(BakeError):
    """The build ended without images: a command failed, or CodeBuild could not run it."""


class BuildStopped(BakeError):
    """Somebody stopped the build."""


class BuildTimedOut(BakeError):
    """The build took longer than it may."""


class QuotaReached(BakeError):
    """The account runs as many builds as it may."""


class CredentialsExpired(BakeError):
    """AWS does not take the credentials, or there are none."""


class Denied(BakeError):
    """The credentials are right and may not do what is needed."""


class Throttled(BakeError):
    """AWS asks to be asked less, for longer than it made sense to try."""


class AwsUnreachable(BakeError):
    """AWS did not answer."""


class AwsRefused(BakeError):
    """AWS refused for a reason that is told in its own words."""


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Raise botocore's errors as ours. `doing` completes "cannot …": `start the build`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise meaning(error, doing) from None


def code_of(error: Exception) -> str:
    """AWS's own word for an error, or nothing."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def meaning(error: ClientError | BotoCoreError, doing: str) -> BakeError:
    """What an error of botocore means to the person who ran `pulumi up`."""
    code = code_of(error)
    said = _said(error)
    if code in EXPIRED or isinstance(
        error, NoCredentialsError | PartialCredentialsError | ProfileNotFound | SSOError | TokenRetrievalError
    ):
        return CredentialsExpired(
            f"cannot {doing}: AWS does not take the credentials ({said}). Sign in again (`aws sso login`, or "
            "new keys), then `pulumi up`: a build that is under way goes on meanwhile and is found again"
        )
    if code == "AccountLimitExceededException":
        return QuotaReached(
            f"cannot {doing}: the account runs as many builds as it may ({said}). Wait for one to end and "
            "run `pulumi up` again, or raise the quota (Service Quotas → AWS CodeBuild → Concurrently "
            "running builds for Linux/Large environment; new accounts begin at 1, some at 0)"
        )
    if code in DENIED:
        return Denied(
            f"cannot {doing}: {said}. Whoever runs `pulumi up` needs this permission "
            "(docs/how-to/build-the-image.md lists what the bake asks for)"
        )
    if code in THROTTLED:
        return Throttled(f"cannot {doing}: AWS is asked too much ({said}). Run `pulumi up` again in a minute")
    if not code or _status(error) >= 500:
        return AwsUnreachable(f"cannot {doing}: {said}. Check the network and run `pulumi up` again")
    return AwsRefused(f"cannot {doing}: {said}")


def _status(error: Exception) -> int:
    """What AWS answered with; from 500 on it is AWS that has trouble."""
    about = error.response.get("ResponseMetadata", {}) if isinstance(error, ClientError) else {}
    return int(about.get("HTTPStatusCode", 0))


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        about: dict[str, Any] = error.response.get("Error", {})
        return f"{about.get('Code', 'error')}: {about.get('Message', '')}".rstrip(": ")
    return str(error)
