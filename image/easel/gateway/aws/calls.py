"""Calls to AWS, in threads, with every refusal put into a word a program can match and a sentence for people.

botocore blocks, and on a bad day it retries for half a minute: the calls have threads of their own, so that
they keep nobody else waiting.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from easel.gateway.errors import ProviderError
from easel.remark import Remark, remark

Kind = Literal["throttled", "busy", "unreachable", "credentials", "denied", "missing", "refused"]
# Waiting helps; everything else needs a person.
PASSING: frozenset[Kind] = frozenset({"throttled", "busy", "unreachable"})

_THREADS = 8
_CODES: dict[str, Kind] = {
    **dict.fromkeys(
        (
            "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled",
            "RequestThrottledException", "RequestLimitExceeded", "TooManyRequestsException", "SlowDown",
            "BandwidthLimitExceeded", "PriorRequestNotComplete", "EC2ThrottledException",
        ), "throttled",
    ),
    **dict.fromkeys(("ResourceContention", "ScalingActivityInProgress", "ResourceInUse"), "busy"),
    **dict.fromkeys(
        ("InternalFailure", "InternalError", "ServiceUnavailable", "Unavailable", "500", "502", "503", "504"),
        "unreachable",
    ),
    **dict.fromkeys(
        (
            "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId",
            "InvalidAccessKeyId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch",
            "InvalidToken", "MissingAuthenticationToken",
        ), "credentials",
    ),
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"), "denied"
    ),
    **dict.fromkeys(
        ("NoSuchBucket", "NoSuchKey", "404", "ResourceNotFoundException", "InvalidInstanceID.NotFound"),
        "missing",
    ),
}  # fmt: skip
# Only a pair of eyes with the right to decode it gains by this, and it is a thousand letters long.
_ENCODED = re.compile(r"(?<!\s)\s*+Encoded authorization failure message:.*", re.DOTALL)


class AwsError(ProviderError):
    """AWS did not do it. `action` is the name that a policy would allow it by; `code` is AWS's own."""

    def __init__(self, kind: Kind, action: str, code: str, message: str) -> None:
        super().__init__(_words(kind, action, f"{code}: {message}".strip(": ")))
        self.kind: Kind = kind
        self.action = action
        self.code = code
        self.message = message

    @property
    def passing(self) -> bool:
        """Whether asking again later may help without anybody's doing."""
        return self.kind in PASSING


class Aws:
    """The clients of one region, asked by name: `await aws.ask("autoscaling", "set_desired_capacity", …)`."""

    def __init__(self, region: str, *, attempts: int = 4, endpoint_url: str | None = None) -> None:
        self.region = region
        self._attempts = attempts
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "aws")

    def client(self, service: str) -> Any:
        """The boto3 client of a service: made once, for all threads. Blocks while boto3 is imported."""
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            settings = Config(
                retries={"mode": "standard", "total_max_attempts": self._attempts},
                connect_timeout=5, read_timeout=20, max_pool_connections=_THREADS,
            )  # fmt: skip
            # A session of its own: the default session is not made for threads.
            session = boto3.session.Session(region_name=self.region)
            self._clients[service] = session.client(service, config=settings, endpoint_url=self._endpoint_url)
        return self._clients[service]

    async def ask(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """The answer of one call. Raises AwsError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.call, service, operation, arguments)

    async def every(self, service: str, operation: str, key: str, **arguments: Any) -> list[dict[str, Any]]:
        """All items under `key` over all pages. Raises AwsError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.pages, service, operation, key, arguments)

    def call(self, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """`ask` for who is in a thread already. Raises AwsError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self.client(service), operation)(**arguments)
            return answer
        except (BotoCoreError, ClientError) as error:
            raise aws_error(service, operation, error) from None

    def pages(
        self, service: str, operation: str, key: str, arguments: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """`every` for who is in a thread already. Raises AwsError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = self.client(service).get_paginator(operation).paginate(**arguments)
            return [item for page in pages for item in page.get(key, [])]
        except (BotoCoreError, ClientError) as error:
            raise aws_error(service, operation, error) from None

    def close(self) -> None:
        """Start no more calls; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def aws_error(service: str, operation: str, error: Exception) -> AwsError:
    """What an exception of botocore means."""
    from botocore import exceptions

    action = f"{service}:{''.join(part.capitalize() for part in operation.split('_'))}"
    if isinstance(error, exceptions.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = _ENCODED.sub("", str(error.response.get("Error", {}).get("Message", "")))
        status = str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
        kind = _CODES.get(code) or _CODES.get(status) or "refused"
        if "not found" in message.lower() and code == "ValidationError":
            kind = "missing"
        return AwsError(kind, action, code, message)
    lacking = (
        exceptions.NoCredentialsError, exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError, exceptions.TokenRetrievalError,
    )  # fmt: skip
    name = type(error).__name__
    if isinstance(error, lacking):
        return AwsError("credentials", action, name, str(error))
    if isinstance(error, exceptions.HTTPClientError | exceptions.ConnectionError):
        return AwsError("unreachable", action, name, str(error))
    return AwsError("refused", action, name, str(error))


def _words(kind: Kind, action: str, said: str) -> Remark:
    match kind:
        case "throttled":
            words = "AWS asks us to go slower ({action}: {said})"
            return remark("aws_throttled", words, action=action, said=said)
        case "busy":
            words = "AWS is at work on the group already ({action}: {said})"
            return remark("aws_busy", words, action=action, said=said)
        case "unreachable":
            words = "AWS does not answer ({action}: {said})"
            return remark("aws_unreachable", words, action=action, said=said)
        case "credentials":
            words = (
                "AWS does not take the gateway's credentials ({said}): the gateway's instance needs its "
                "role; see that the role is attached and that the clock is right"
            )
            return remark("aws_credentials", words, said=said)
        case "denied":
            words = (
                "AWS denies {action} ({said}): the gateway's role must allow it; `pulumi up` writes its "
                "policy, a boundary or an organisation's policy may take it away"
            )
            return remark("aws_denied", words, action=action, said=said)
        case "missing":
            words = "AWS does not know it ({action}: {said}): `pulumi up` makes it"
            return remark("aws_missing", words, action=action, said=said)
        case "refused":
            words = "AWS refuses {action} ({said})"
            return remark("aws_refused", words, action=action, said=said)
