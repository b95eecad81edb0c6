"""Secrets of AWS Secrets Manager that the stack names, looked up at preview, each with the key it is under.

A secret that is encrypted with a key of the account's own can be read only by who may decrypt with that key.
The right comes along with the secret's name, so that nobody has to name the key too and nobody's role may use
one for anything else.
"""

import re

import pulumi
import pulumi_aws as aws

from infra.policies import AwsSecret

AWS_OWN = "alias/aws/secretsmanager"
_KEY = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/.+")


class NoSecret(pulumi.RunError):
    """A secret that the stack names is not there."""


class NoKey(pulumi.RunError):
    """The key that a secret is encrypted with cannot be looked at."""


class Vault:
    """The secrets that a stack names, each looked up once."""

    def __init__(self, parent: pulumi.Resource) -> None:
        self._parent = parent
        self._found: dict[str, AwsSecret] = {}

    def secret(self, at: str, where: str) -> AwsSecret:
        """The secret of this name or ARN. `where` is the field that names it.

        Raises NoSecret and NoKey, at preview. A secret of another account may forbid to be looked at: that is
        warned of, and then its ARN is taken as it is.
        """
        if at not in self._found:
            self._found[at] = self._looked_up(at, where)
        return self._found[at]

    def _looked_up(self, at: str, where: str) -> AwsSecret:
        by_arn = at.startswith("arn:")
        region = at.split(":")[3] if by_arn else None
        opts = pulumi.InvokeOptions(parent=self._parent)
        try:
            if by_arn:
                found = aws.secretsmanager.get_secret(arn=at, region=region, opts=opts)
            else:
                found = aws.secretsmanager.get_secret(name=at, opts=opts)
        except Exception as error:
            # The provider has no type for it: a plain Exception with the words of the lookup.
            said = str(error)
            if "couldn't find resource" in said or "ResourceNotFound" in said:
                raise NoSecret(f"{where}: {_missing(at, by_arn)}") from None
            if by_arn and "AccessDenied" in said:
                pulumi.log.warn(
                    f"{where}: {at} may not be looked at (secretsmanager:DescribeSecret). If it is encrypted "
                    "with a key other than AWS's own, the roles that read it lack kms:Decrypt on that key",
                    self._parent,
                )
                return AwsSecret(at)
            raise
        return AwsSecret(found.arn, self._key(found.kms_key_id, region, found.arn, where))

    def _key(self, key: str | None, region: str | None, secret: str, where: str) -> str | None:
        """The ARN of a key, which Secrets Manager tells as its maker wrote it: an id, an alias or an ARN."""
        if not key or key.endswith(AWS_OWN):
            return None
        if _KEY.fullmatch(key):
            return key
        try:
            found = aws.kms.get_key(key_id=key, region=region, opts=pulumi.InvokeOptions(parent=self._parent))
        except Exception as error:
            # As above: no type, whatever is wrong.
            raise NoKey(
                f"{where}: {secret} is encrypted with {key}, and that key cannot be looked at: {error}. "
                "Whoever runs pulumi needs kms:DescribeKey on it; or encrypt the secret with another key"
            ) from None
        return None if found.key_manager == "AWS" else found.arn


def _missing(at: str, by_arn: bool) -> str:
    if by_arn:
        return (
            f"Secrets Manager has no secret {at}: it must be the whole ARN, with the six letters at its end"
        )
    return (
        f"Secrets Manager has no secret {at} in this region. `aws secretsmanager create-secret --name {at}` "
        "makes it, or give an ARN"
    )
