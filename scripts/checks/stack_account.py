"""The AWS account of a stack, and a way to ask it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.checks.check import Check
from scripts.settings import Settings, shown
from scripts.stacks.provider import provider_of

if TYPE_CHECKING:
    from infra.spec import Spec


@dataclass(frozen=True)
class StackAccount:
    """A stack, and a way to ask about it."""

    spec: Spec
    region: str
    client: Callable[[str], Any]
    """A boto3 client of a service, in the stack's region."""

    def quota(self, service: str, code: str) -> int:
        """What AWS allows of it. A quota that nobody raised may not be listed, and then AWS's own holds."""
        client, asked = self.client("service-quotas"), {"ServiceCode": service, "QuotaCode": code}
        try:
            found = client.get_service_quota(**asked)
        except client.exceptions.NoSuchResourceException:
            found = client.get_aws_default_service_quota(**asked)
        return int(found["Quota"]["Value"])


def opened(here: Settings, spec: Spec) -> StackAccount | Check:
    """The account that the stack file names; a check that failed, where nobody can be asked."""
    try:
        import boto3
        import botocore.config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        return Check("aws", "warning", "boto3 is not installed", "run `make test` once, which installs it")
    region, profile = provider_of(here.stack)
    try:
        session = boto3.Session(profile_name=profile or os.environ.get("AWS_PROFILE"), region_name=region)
    except BotoCoreError as error:
        return Check("aws", "failed", str(error), "look at aws:profile and ~/.aws/config")
    if not session.region_name:
        return Check("aws", "failed", "no region", f"add `aws:region: us-east-1` to {shown(here.stack)}")
    patience = botocore.config.Config(connect_timeout=5, read_timeout=15, retries={"max_attempts": 2})
    return StackAccount(spec, session.region_name, lambda service: session.client(service, config=patience))
