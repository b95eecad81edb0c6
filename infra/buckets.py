"""The team's buckets: its configuration, and models on their way in."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra.tags import Tags

OLD_VERSIONS = 30
"""Days that replaced and deleted objects can be had back."""


@dataclass(frozen=True)
class BucketsArgs:
    """What the buckets are made from."""

    tags: Tags


class Buckets(pulumi.ComponentResource):
    """Two buckets: private, encrypted, by TLS only, versioned.

    The configuration goes with the stack. Uploads are somebody's files and stay, with what keeps them closed.
    """

    config: pulumi.Output[str]
    config_arn: pulumi.Output[str]
    uploads: pulumi.Output[str]
    uploads_arn: pulumi.Output[str]

    def __init__(self, name: str, args: BucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:buckets:Buckets", name, None, opts)
        config = self._bucket(args.tags, "config", keep=False)
        uploads = self._bucket(args.tags, "uploads", keep=True)
        self.config, self.config_arn = config.bucket, config.arn
        self.uploads, self.uploads_arn = uploads.bucket, uploads.arn
        self.register_outputs({"config": self.config, "uploads": self.uploads})

    def _bucket(self, tags: Tags, noun: str, keep: bool) -> aws.s3.Bucket:
        name = tags.name(noun)
        # What closes a bucket has to stay as long as the bucket does: a retained bucket whose access block
        # and policy are destroyed would be an open one.
        opts = pulumi.ResourceOptions(parent=self, retain_on_delete=keep)
        # The gateway writes tokens and counts there, which the stack knows nothing of.
        bucket = closed_bucket(name, tags.of_team(noun), force_destroy=not keep, opts=opts)
        versioning = aws.s3.BucketVersioning(
            name,
            bucket=bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=opts,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id="old-versions",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=(
                        aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                            noncurrent_days=OLD_VERSIONS
                        )
                    ),
                    # Parts of an upload that was given up cost as much as a file and are listed nowhere.
                    abort_incomplete_multipart_upload=(
                        aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                            days_after_initiation=7
                        )
                    ),
                )
            ],
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[versioning])),
        )
        return bucket


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
