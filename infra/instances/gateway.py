"""The gateway's machine: the one that stands all the time, and the only one that the world can reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import render
from infra.account import AwsAccount, this_account
from infra.buckets import Buckets
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances import user_data
from infra.instances.boot_images import BootImages
from infra.instances.data import NOUN, Data, data_volume
from infra.instances.policies import gateway_statements
from infra.instances.roles import InstanceRole
from infra.link import AccessLink
from infra.network import InstanceNetwork
from infra.policies import AwsSecret, supply_statements
from infra.shapes import GATEWAY
from infra.spec import Spec
from infra.tags import Tags
from infra.vault import Vault

ROOT = 12
"""GiB of its root disk: the system with its images."""

DEVICE = "/dev/sdf"

CONSOLE = "console"

LOGS_KEPT = 14
"""Days."""


@dataclass(frozen=True)
class GatewayHostArgs:
    """What the gateway's machine is made from."""

    spec: Spec
    tags: Tags
    network: InstanceNetwork
    filesystem: Filesystem
    buckets: Buckets
    domain: Domain
    image: Image
    console_link: AccessLink


class GatewayHost(pulumi.ComponentResource):
    """One small instance that recovers by itself, its address, its disk, and what tells it of the team.

    It is told nothing about endpoints: those are read from the configuration bucket, so one more replaces
    no machine. It is replaced when the scripts of its host change; address and disk then move along.
    """

    address: pulumi.Output[str]
    role_arn: pulumi.Output[str]
    data_id: pulumi.Output[str]
    """The data volume, which stays when the stack goes."""
    account: AwsAccount
    boot_images: BootImages
    vault: Vault

    def __init__(self, name: str, args: GatewayHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:instances:GatewayHost", name, None, opts)
        self._args, self._tags = args, args.tags
        self._inside = pulumi.ResourceOptions(parent=self)
        self.account = this_account(self)
        self.boot_images = BootImages(args.spec.team.machine_images, self)
        self.vault = Vault(self)
        self._logs = aws.cloudwatch.LogGroup(
            self._tags.name("gateway"),
            # Without a noun: below the team's name are its endpoints, and one may be called gateway.
            name=f"/easel/{self._tags.team}",
            retention_in_days=LOGS_KEPT,
            tags=self._tags.of_team("gateway"),
            opts=self._inside,
        )
        role = self._role()
        data = data_volume(args.spec, self._tags, args.network, self)
        self.data_id = data.id
        instance = self._instance(role, data)
        self._attach(instance, data)
        self._recover(instance)
        self.address, self.role_arn, self._own_role = self._address(instance), role.arn, role
        self._configuration()
        args.domain.record(CONSOLE, self.address, self._inside)
        self.register_outputs({"address": self.address, "role_arn": self.role_arn})

    def let_supply(
        self, name: str, models: Sequence[str], secrets: Mapping[str, AwsSecret], opts: pulumi.ResourceOptions
    ) -> None:
        """Let the gateway fetch an endpoint's models, by a policy that comes and goes with the endpoint.

        Raises PolicyTooLong, at preview, when the endpoints together name more than one role can be given.
        """
        self._own_role.add(name, supply_statements(self.account, models, secrets), opts)

    def _role(self) -> InstanceRole:
        members = self._args.spec.team.members
        named = [members.client_secret] if members and members.client_secret else []
        secrets = [self.vault.secret(at, "easel:team.members.client_secret") for at in named]
        buckets, image, files = self._args.buckets, self._args.image, self._args.filesystem
        statements = pulumi.Output.all(
            buckets.config_arn, image.repository_arns, files.arn, files.models_arn
        ).apply(
            lambda found: gateway_statements(
                self.account, self._tags.team, found[0], found[1], found[2], found[3], secrets
            )
        )
        return InstanceRole(
            self._tags.name("gateway"),
            f"The gateway of team {self._tags.team}: wakes its endpoints and puts them to sleep",
            statements,
            self._tags.of_team("gateway"),
            self._inside,
        )

    def _instance(self, role: InstanceRole, data: Data) -> aws.ec2.Instance:
        boot = self.boot_images.gateway
        told = pulumi.Output.all(self._args.buckets.config, self._logs.name, data.id).apply(
            lambda found: user_data.gateway(
                user_data.GatewayFacts(self.account.region, self._tags.team, found[0], found[1], found[2])
            )
        )
        tags = self._tags.of_team("gateway")
        return aws.ec2.Instance(
            self._tags.name("gateway"),
            ami=boot.image_id,
            instance_type=GATEWAY.name,
            # Where its disk is.
            subnet_id=self._args.network.subnet_in(data.zone),
            vpc_security_group_ids=[self._args.network.gateway_group_id],
            # To fetch its image by before the Elastic IP is its own.
            associate_public_ip_address=True,
            iam_instance_profile=role.profile_name,
            # With "standard" a T3 starts without credits, at a fifth of its processors (decision 0030).
            credit_specification=aws.ec2.InstanceCreditSpecificationArgs(cpu_credits="unlimited"),
            maintenance_options=aws.ec2.InstanceMaintenanceOptionsArgs(auto_recovery="default"),
            metadata_options=aws.ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # The gateway's container is on the host's own network, one hop away; another one is two.
                http_put_response_hop_limit=1,
            ),
            root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(
                volume_type="gp3",
                volume_size=max(ROOT, boot.least),
                encrypted=True,
                delete_on_termination=True,
                tags=tags,
            ),
            user_data=told,
            # cloud-init runs once in an instance's life: in an old one, new scripts would never run.
            user_data_replace_on_change=True,
            tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[role.policy],
                # Address and disk can be one machine's only.
                delete_before_replace=True,
                ignore_changes=boot.ignored("ami"),
            ),
        )

    def _attach(self, instance: aws.ec2.Instance, data: Data) -> None:
        aws.ec2.VolumeAttachment(
            self._tags.name(NOUN),
            device_name=DEVICE,
            volume_id=data.id,
            instance_id=instance.id,
            # A mounted disk is not given up while the machine runs.
            stop_instance_before_detaching=True,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def _recover(self, instance: aws.ec2.Instance) -> None:
        """`auto_recovery` moves it off broken hardware; a system that hangs is started again by this."""
        aws.cloudwatch.MetricAlarm(
            self._tags.name("gateway-hangs"),
            alarm_description="The gateway's system does not answer: start it again",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed_Instance",
            dimensions={"InstanceId": instance.id},
            statistic="Maximum",
            period=60,
            evaluation_periods=3,
            threshold=1,
            comparison_operator="GreaterThanOrEqualToThreshold",
            alarm_actions=[f"arn:{self.account.partition}:automate:{self.account.region}:ec2:reboot"],
            tags=self._tags.of_team("gateway-hangs"),
            opts=self._inside,
        )

    def _address(self, instance: aws.ec2.Instance) -> pulumi.Output[str]:
        address = aws.ec2.Eip(
            self._tags.name("gateway"), domain="vpc", tags=self._tags.of_team("gateway"), opts=self._inside
        )
        aws.ec2.EipAssociation(
            self._tags.name("gateway"),
            allocation_id=address.allocation_id,
            instance_id=instance.id,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )
        return address.public_ip

    def _configuration(self) -> None:
        args = self._args
        content = pulumi.Output.all(
            args.console_link.hash, args.image.gateway, args.filesystem.id, args.filesystem.models_id
        ).apply(
            lambda found: render.text(
                render.team_on_instances(
                    args.spec,
                    self.account.region,
                    args.domain.host(CONSOLE),
                    found[0],
                    found[1],
                    {"file_system": found[2], "models": found[3]},
                )
            )
        )
        aws.s3.BucketObjectv2(
            self._tags.name("team-configuration"),
            bucket=args.buckets.config,
            key="config/team.json",
            content=content,
            content_type="application/json",
            tags=self._tags.of_team("team-configuration"),
            opts=self._inside,
        )
