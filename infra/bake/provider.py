"""The bake as a resource: what Pulumi's engine calls, in a process of its own.

The engine keeps the provider pickled in the state and loads it in a fresh process that knows nothing of the
program: `infra` must be importable there, which the editable install of `.venv` sees to (decision 0010).
By name and not by value, so that a changed line here changes no state.
"""

import json
import sys
from typing import Any

import boto3
import pulumi
from botocore.config import Config as Client
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from infra.bake.bakery import Bakery
from infra.bake.errors import BakeError, WrongAccount, told
from infra.bake.progress import BakeProgress

PLACE = ("region", "role")
"""Inputs that say where the images are: another account or region has none of them."""

RETRIES = Client(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10, read_timeout=60)


class BakeProvider(ResourceProvider):
    """Creates by baking, updates by baking again, deletes nothing."""

    serialize_as_secret_always = False  # there is no secret in it
    _profile: str | None = None
    _assume: str | None = None

    def configure(self, req: ConfigureRequest) -> None:
        """Take the credentials that pulumi-aws takes, where the stack's configuration names them."""
        self._profile = req.config.get("aws:profile")
        self._assume = _role_to_assume(req.config.get("aws:assumeRoles"))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Only what is in the image and where it is are changes; how it gets built is none."""
        moved = [name for name in PLACE if _olds.get(name) != _news.get(name)]
        changed = moved or _olds.get("content") != _news.get("content")
        return DiffResult(changes=bool(changed), replaces=moved, delete_before_replace=False)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Bake. Raises BakeError."""
        outs = self._bake(props)
        return CreateResult(f"{props['region']}/{outs['repository_arn'].rpartition(':')[2]}", outs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Bake what the files are now. Raises BakeError."""
        return UpdateResult(self._bake(_news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """On refresh: images that somebody deleted are gone, and the next `up` bakes them again."""
        try:
            there = Bakery(self._session(props).client, BakeProgress()).present(props["content"])
        except BakeError as error:
            raise _short(error) from None
        return ReadResult(id_ if there else "", props)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Images stay: another team of the account may run them."""
        BakeProgress.of_process().say(
            f"the images stay in {_props.get('repository_arn', 'the registry')}: other teams of the "
            "account may run them. Delete the repository yourself when no team is left"
        )

    def _bake(self, props: dict[str, Any]) -> dict[str, Any]:
        progress = BakeProgress.of_process()
        try:
            bakery = Bakery(self._session(props).client, progress)
            images = bakery.bake(props["content"], props["project"], props["bucket"])
        except BakeError as error:
            raise _short(error) from None
        return {
            **props,
            "studio": images.studio,
            "gateway": images.gateway,
            "repository_arn": images.repository_arn,
        }

    def _session(self, props: dict[str, Any]) -> "_Session":
        session = _Session(props["region"], self._profile, self._assume)
        wanted = props["role"].split(":")[4]
        if (account := session.account()) != wanted:
            raise WrongAccount(
                f"the credentials of this shell are account {account}'s and the stack lives in {wanted}: set "
                f"AWS_PROFILE, or `pulumi config set aws:profile …`, to a profile of {wanted}"
            )
        return session


class _Session:
    """boto3's session with the credentials that pulumi-aws was given."""

    def __init__(self, region: str, profile: str | None, assume: str | None) -> None:
        with told("sign in to AWS"):
            session = boto3.Session(profile_name=profile, region_name=region)
            if assume:
                sts = session.client("sts", config=RETRIES)
                # The longest a chained role may last. Should a build take longer, the next `up` finds it.
                given = sts.assume_role(RoleArn=assume, RoleSessionName="easel-bake", DurationSeconds=3600)
                keys = given["Credentials"]
                session = boto3.Session(
                    keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=region
                )
        self._session = session

    def client(self, service: str) -> Any:
        return self._session.client(service, config=RETRIES)

    def account(self) -> str:
        with told("ask AWS whose credentials these are"):
            return str(self.client("sts").get_caller_identity()["Account"])


def _role_to_assume(configured: Any) -> str | None:
    """The last role of `aws:assumeRoles`, which Pulumi keeps as JSON."""
    roles = json.loads(configured) if isinstance(configured, str) else configured
    return roles[-1].get("roleArn") if isinstance(roles, list) and roles else None


def _short(error: BakeError) -> BakeError:
    """The same error without where it came from: Pulumi shows the whole traceback, the reason last."""
    if "pulumi.dynamic" in sys.orig_argv:
        # Pulumi's own frames too, which only this takes away; nobody needs them to read a build's log.
        sys.tracebacklimit = 0
    return error.with_traceback(None)


class Bake(Resource, module="easel", name="Bake"):
    """Both images of `image/` as it is now, in the account's repository."""

    studio: pulumi.Output[str]
    gateway: pulumi.Output[str]
    repository_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        content: str,
        region: pulumi.Input[str],
        role: pulumi.Input[str],
        project: pulumi.Input[str],
        bucket: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`content` is the content hash, `role` the ARN that the build runs as, which names the account."""
        outputs = {"studio": None, "gateway": None, "repository_arn": None}
        given = {"content": content, "region": region, "role": role, "project": project, "bucket": bucket}
        super().__init__(BakeProvider(), name, {**given, **outputs}, opts)
