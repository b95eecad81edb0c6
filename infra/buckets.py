"""The team's bucket of configuration, and what makes a bucket a closed one."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.tags import Tags

OLD_VERSIONS = 30
"""Days that replaced and deleted objects can be had back."""


class Buckets(pulumi.ComponentResource):
    """The configuration's bucket: private, encrypted, by TLS only, versioned. It goes with the stack."""

    config: pulumi.Output[str]
    config_arn: pulumi.Output[str]

    def __init__(self, name: str, tags: Tags, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:buckets:Buckets", name, None, opts)
        inside, name = pulumi.ResourceOptions(parent=self), tags.name("config")
        # The gateway writes tokens and counts there, which the stack knows nothing of.
        bucket = closed_bucket(name, tags.of_team("config"), force_destroy=True, opts=inside)
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=inside,
        )
        old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=OLD_VERSIONS
        )
        rule = life_cycle_rule("old-versions", noncurrent_version_expiration=old)
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[rule],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        self.config, self.config_arn = bucket.bucket, bucket.arn
        self.register_outputs({"config": self.config})


def closed_bucket(
    name: str, tags: dict[str, str], *, force_destroy: bool, opts: pulumi.ResourceOptions
) -> aws.s3.Bucket:
    """A bucket that is private, encrypted and by TLS only; what closes it has the same options as itself."""
    bucket = aws.s3.Bucket(name, force_destroy=force_destroy, tags=tags, opts=opts)
    block = aws.s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=opts,
    )
    default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
        sse_algorithm="AES256"
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.bucket,
        rules=[
            aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=default
            )
        ],
        opts=opts,
    )
    aws.s3.BucketPolicy(
        name,
        bucket=bucket.bucket,
        policy=bucket.arn.apply(tls_only),
        # S3 refuses two changes of a bucket's access at once (OperationAborted).
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[block])),
    )
    return bucket


def life_cycle_rule(name: str, **what: Any) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    """A rule of a bucket's life cycle that counts for all that is in it."""
    everything = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    return aws.s3.BucketLifecycleConfigurationRuleArgs(id=name, status="Enabled", filter=everything, **what)


def tls_only(arn: str) -> str:
    """The policy of a bucket: nothing without TLS. Who may is said by identities' own policies."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "OnlyByTLS",
                    "Effect": "Deny",
                    "Principal": "*",
                    # A denial is as wide as can be: it allows nothing.
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }
    )
