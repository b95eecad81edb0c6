"""The team's file system: models for all, pictures by endpoint. It outlives the stack."""

import json
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from infra.mounts import Mounted, mounted
from infra.network import Network, Rules
from infra.spec import Spec
from infra.tags import Tags

NFS = 2049
RARE = "AFTER_30_DAYS"
"""When what nobody read moves to Infrequent Access; the first read brings it back (decision 0033)."""
USER = 1000
"""User and group of the image, and of every file."""

MOUNT = ("elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite")
ROOT = "elasticfilesystem:ClientRootAccess"
ACCESS_POINT = "elasticfilesystem:AccessPointArn"
"""One of the four condition keys that EFS enforces for NFS clients; the others are `aws:SecureTransport`,
`aws:SourceIp` and `elasticfilesystem:AccessedViaMountTarget` (EFS user guide, "Using IAM to control access to
file systems"). Any other, such as a principal's tags, is enforced for nobody."""


class NoFilesystem(pulumi.RunError):
    """The file system to adopt is not there or not fit."""


class Filesystem(pulumi.ComponentResource):
    """EFS: encrypted, elastic, backed up, kept when the stack goes, adopted again by `storage.existing`.

    Raises NoFilesystem when the one to adopt is missing, not encrypted, in one zone only, or mounted in
    another VPC.
    """

    id: pulumi.Output[str]
    arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    models_id: pulumi.Output[str]
    models_arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        spec: Spec,
        tags: Tags,
        network: Network,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("easel:filesystem:Filesystem", name, None, opts)
        self._tags, self._inside = tags, pulumi.ResourceOptions(parent=self)
        existing = spec.team.storage.existing
        self.id, self.arn = self._adopted(existing) if existing else self._own()
        there = self._there(existing, spec.team.network.vpc) if existing else []
        self.security_group_id = self._group(network, there)
        self._targets(network, there)
        policy = aws.efs.FileSystemPolicy(
            tags.name("files"),
            file_system_id=self.id,
            policy=self.arn.apply(access_policy),
            # The last word on who may mount stays with the file system when the stack goes.
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        models = self.access_point(
            "models",
            "/models",
            tags.of_team("models"),
            pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.models_id, self.models_arn = models.id, models.arn
        self.register_outputs({"id": self.id, "models_id": self.models_id})

    def access_point(
        self, noun: str, path: str, tags: dict[str, str], opts: pulumi.ResourceOptions
    ) -> aws.efs.AccessPoint:
        """A way into one folder, as user 1000 whoever comes, a child of whoever `opts` says.

        The outputs of an endpoint: `access_point("outputs", "/outputs/studio", tags.of_endpoint(…), …)`.
        Deleting an access point deletes no file.
        """
        return access_point(tags.get("Name", self._tags.name(noun)), self.id, path, tags, opts)

    def let_in(self, who: str, group_id: pulumi.Input[str]) -> None:
        """Let a security group's members mount."""
        for noun, files in self._groups.items():
            Rules(self._tags, files, self._inside).from_group(f"{noun}-{who}", NFS, group_id)

    def _own(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        files = aws.efs.FileSystem(
            self._tags.name("files"),
            encrypted=True,
            # Bursting gives 50 KiB/s for each GiB kept: a 7 GB checkpoint would take hours.
            throughput_mode="elastic",
            performance_mode="generalPurpose",
            lifecycle_policies=[
                aws.efs.FileSystemLifecyclePolicyArgs(transition_to_ia=RARE),
                aws.efs.FileSystemLifecyclePolicyArgs(transition_to_primary_storage_class="AFTER_1_ACCESS"),
            ],
            tags=self._tags.of_team("files"),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        aws.efs.BackupPolicy(
            self._tags.name("files"),
            file_system_id=files.id,
            backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="ENABLED"),
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        return files.id, files.arn

    def _adopted(self, existing: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """A file system that is there. Its throughput and backups are left as they are found."""
        where = "easel:team.storage.existing"
        try:
            opts = pulumi.InvokeOptions(parent=self)
            found = aws.efs.get_file_system(file_system_id=existing, opts=opts)
        except Exception as error:
            # The provider has no type for it: a plain Exception with AWS's words.
            if "FileSystemNotFound" not in str(error) and "empty result" not in str(error):
                raise
            raise NoFilesystem(
                f"{where}: there is no file system {existing} in this region and account. `aws efs "
                "describe-file-systems` lists those there are; leave existing out for a new one"
            ) from None
        if not found.encrypted:
            raise NoFilesystem(
                f"{where}: {existing} is not encrypted, and EFS cannot encrypt one later. Leave existing out "
                "for a new file system, and copy the files with AWS DataSync"
            )
        if found.availability_zone_name:
            raise NoFilesystem(
                f"{where}: {existing} is a One Zone file system, of {found.availability_zone_name} alone: "
                "replicas in another zone could not mount it. Leave existing out for a new file system, and "
                "copy the files with AWS DataSync"
            )
        if found.throughput_mode != "elastic":
            pulumi.log.warn(
                f"{existing} has {found.throughput_mode} throughput: checkpoints may take minutes to load. "
                f"`aws efs update-file-system --file-system-id {existing} --throughput-mode elastic`",
                self,
            )
        return pulumi.Output.from_input(existing), pulumi.Output.from_input(found.arn)

    def _there(self, existing: str, vpc: str | None) -> list[Mounted]:
        """The mount targets that others made for the adopted file system. Raises NoFilesystem."""
        there = mounted(existing, self._tags, self)
        elsewhere = sorted({one.vpc_id for one in there} - {vpc})
        if elsewhere:
            ids = ", ".join(one.id for one in there if one.vpc_id in elsewhere)
            raise NoFilesystem(
                f"easel:team.storage.existing: {existing} has mount targets ({ids}) in {elsewhere[0]}, and "
                "AWS lets a file system be mounted in one VPC only. Live there, with "
                f"`network: {{vpc: {elsewhere[0]}}}` in easel:team, or delete them: "
                "`aws efs delete-mount-target --mount-target-id …`"
            )
        return there

    def _group(self, network: Network, there: list[Mounted]) -> pulumi.Output[str]:
        """Nobody comes in until a rule of another component says so; nothing ever goes out.

        Mount targets of others keep their own groups, which get a rule for the team's machines each.
        """
        group = network.group("files", "Mount targets of the team's file system", self._inside)
        self._groups = {"files": group.id}
        for group_id in sorted({one.group_id for one in there}):
            self._groups[f"files-{group_id}"] = pulumi.Output.from_input(group_id)
        for who, client in network.clients.items():
            self.let_in(who, client)
            for noun, files in self._groups.items():
                Rules(self._tags, client, self._inside).to_group(f"{who}-{noun}", NFS, files)
        return group.id

    def _targets(self, network: Network, there: list[Mounted]) -> None:
        """One in every zone that has none yet."""
        taken = {one.zone for one in there}
        for zone, subnet_id in zip(network.zones, network.subnet_ids, strict=True):
            if zone in taken:
                continue
            aws.efs.MountTarget(
                self._tags.name(f"files-{zone[-1]}"),
                file_system_id=self.id,
                subnet_id=subnet_id,
                security_groups=[self.security_group_id],
                # EFS has one for each zone: in another subnet it comes once this one has gone.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )


def access_point(
    name: str,
    file_system_id: pulumi.Input[str],
    path: str,
    tags: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> aws.efs.AccessPoint:
    """A way into one folder of a file system, as user 1000 whoever comes; the folder is made with it."""
    return aws.efs.AccessPoint(
        name,
        file_system_id=file_system_id,
        posix_user=aws.efs.AccessPointPosixUserArgs(uid=USER, gid=USER),
        root_directory=aws.efs.AccessPointRootDirectoryArgs(
            path=path,
            creation_info=aws.efs.AccessPointRootDirectoryCreationInfoArgs(
                owner_uid=USER, owner_gid=USER, permissions="0755"
            ),
        ),
        tags=tags,
        opts=opts,
    )


def access_policy(arn: str) -> str:
    """The policy of the file system: what no identity's own policy can allow.

    It denies what comes without TLS, without an access point (so nobody mounts the root), and as root. It
    must allow nothing: to EFS either allow is enough, so one here would let a role in past its own policy,
    which names the access points that it may come by (`infra.instances.policies`). And since it is there,
    EFS's default policy is not, which lets in whoever reaches a mount target.
    """
    ways: dict[str, tuple[list[str], dict[str, object] | None]] = {
        "OnlyByTLS": ([*MOUNT, ROOT], {"Bool": {"aws:SecureTransport": "false"}}),
        "NoRootMount": ([*MOUNT, ROOT], {"Null": {ACCESS_POINT: "true"}}),
        "NobodyIsRoot": ([ROOT], None),
    }
    statements = [
        {"Sid": sid, "Effect": "Deny", "Principal": {"AWS": "*"}, "Action": actions, "Resource": arn}
        | ({"Condition": condition} if condition else {})
        for sid, (actions, condition) in ways.items()
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
