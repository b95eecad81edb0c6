"""The two images that the team runs, baked in its own account or given."""

import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.bake.archive import content_hash
from infra.bake.build import BUILD_MINUTES, QUEUE_MINUTES
from infra.bake.policies import build_statements
from infra.bake.provider import Bake
from infra.buckets import closed_bucket, life_cycle_rule
from infra.policies import document
from infra.references import BUILD, Reference, movable, references
from infra.spec import Spec
from infra.tags import Tags

COMPUTE = "BUILD_GENERAL1_LARGE"
"""8 CPUs, 16 GB, 128 GB of disk: torch with its CUDA is gigabytes, and is there three times over while it is
built. $0.02 a minute; the smallest has neither the memory nor the disk."""

MACHINE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
LOG_DAYS = 14
ARCHIVE_DAYS = 7


class Image(pulumi.ComponentResource):
    """What `team.image` says: references by digest, and the repositories that hosts need to pull from."""

    studio: pulumi.Output[str]
    gateway: pulumi.Output[str]
    repository_arns: pulumi.Output[list[str]]
    """Repositories of ECR; empty where a given image is in another registry."""

    def __init__(self, name: str, spec: Spec, tags: Tags, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:image:Image", name, None, opts)
        if spec.team.image == BUILD:
            bake = self._bake(tags)
            self.studio, self.gateway = bake.studio, bake.gateway
            self.repository_arns = bake.repository_arn.apply(lambda arn: [arn])
        else:
            given = references(spec.team.image)
            self.studio, self.gateway = self._pinned(given["studio"]), self._pinned(given["gateway"])
            places = {each.ecr.arn for each in given.values() if each.ecr}
            self.repository_arns = pulumi.Output.from_input(sorted(places))
        self.register_outputs(
            {"studio": self.studio, "gateway": self.gateway, "repository_arns": self.repository_arns}
        )

    def _pinned(self, given: Reference) -> pulumi.Output[str]:
        """The given image by its digest, where it has one or ECR can be asked."""
        if given.digest:
            return pulumi.Output.from_input(given.pinned(given.digest))
        if (ecr := given.ecr) is None:
            pulumi.log.warn(movable(given), resource=self)
            return pulumi.Output.from_input(str(given))
        found = aws.ecr.get_image_output(
            registry_id=ecr.account,
            region=ecr.region,
            repository_name=ecr.name,
            image_tag=given.tag,
            opts=pulumi.InvokeOutputOptions(parent=self),
        )
        return found.image_digest.apply(given.pinned)

    def _bake(self, tags: Tags) -> Bake:
        here = pulumi.ResourceOptions(parent=self)
        asked = pulumi.InvokeOutputOptions(parent=self)
        account = aws.get_caller_identity_output(opts=asked).account_id
        region = aws.get_region_output(opts=asked).region
        partition = aws.get_partition_output(opts=asked).partition
        place = {"account": account, "region": region, "partition": partition}
        bucket = self._bucket(tags)
        log = aws.cloudwatch.LogGroup(
            tags.name("bake"),
            # Not below /easel/<team>: there are its endpoints, and one may be called bake.
            name=f"/easel-bake/{tags.team}",
            retention_in_days=LOG_DAYS,
            tags=tags.of_team("bake"),
            opts=here,
        )
        role = aws.iam.Role(
            tags.name("bake"),
            description="What CodeBuild may do while it builds easel's images",
            assume_role_policy=pulumi.Output.all(**place).apply(lambda at: _trust(at, tags.name("bake"))),
            tags=tags.of_team("bake"),
            opts=here,
        )
        rights = aws.iam.RolePolicy(
            tags.name("bake"),
            role=role.name,
            policy=pulumi.Output.all(**place, bucket=bucket.arn, log=log.arn).apply(_rights),
            opts=here,
        )
        project = aws.codebuild.Project(
            tags.name("bake"),
            # A name of its own choice, so that the role's trust can name it before it is there.
            name=tags.name("bake"),
            description="Builds easel's images from the archive that `pulumi up` puts up",
            service_role=role.arn,
            artifacts=aws.codebuild.ProjectArtifactsArgs(type="NO_ARTIFACTS"),
            # Each build is started with the archive of its content in this one's place.
            source=aws.codebuild.ProjectSourceArgs(
                type="S3",
                location=pulumi.Output.concat(bucket.bucket, "/none.zip"),
                buildspec="buildspec.yml",
            ),
            environment=aws.codebuild.ProjectEnvironmentArgs(
                type="LINUX_CONTAINER",
                compute_type=COMPUTE,
                image=MACHINE,
                # Docker inside the build needs it; the machine is thrown away after each.
                privileged_mode=True,
            ),
            build_timeout=BUILD_MINUTES,
            queued_timeout=QUEUE_MINUTES,
            logs_config=aws.codebuild.ProjectLogsConfigArgs(
                cloudwatch_logs=aws.codebuild.ProjectLogsConfigCloudwatchLogsArgs(group_name=log.name)
            ),
            tags=tags.of_team("bake"),
            opts=here,
        )
        return Bake(
            tags.name("images"),
            content=content_hash(),
            region=region,
            role=role.arn,
            project=project.name,
            bucket=bucket.bucket,
            # A build without its rights would fail for no reason that anyone could see.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights, project]),
        )

    def _bucket(self, tags: Tags) -> aws.s3.Bucket:
        """Where archives lie while they are built; a build must not see the team's configuration."""
        here, name = pulumi.ResourceOptions(parent=self), tags.name("bake")
        bucket = closed_bucket(name, tags.of_team("bake"), force_destroy=True, opts=here)
        built = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=ARCHIVE_DAYS)
        rules = [life_cycle_rule("built", expiration=built)]
        aws.s3.BucketLifecycleConfiguration(name, bucket=bucket.bucket, rules=rules, opts=here)
        return bucket


def _trust(at: Mapping[str, str], project: str) -> str:
    """Who may take the role: CodeBuild, for this project of this account and no other."""
    arn = f"arn:{at['partition']}:codebuild:{at['region']}:{at['account']}:project/{project}"
    return _document(
        {
            "Sid": "OnlyThisProject",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": at["account"], "aws:SourceArn": arn}},
        }
    )


def _rights(at: Mapping[str, str]) -> str:
    statements = build_statements(at["partition"], at["region"], at["account"], at["bucket"], at["log"])
    return document(statements)


def _document(*statements: dict[str, Any]) -> str:
    said = [{"Effect": "Allow", **statement} for statement in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": said})
