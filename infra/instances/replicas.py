"""One endpoint on instances: its group, what its instances start from, may do and are told; its address."""

import math
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import render
from infra.buckets import Buckets
from infra.domain import Domain
from infra.filesystem import Filesystem
from infra.image import Image
from infra.instances.gateway import GatewayHost
from infra.instances.group import GroupArgs, endpoint_group
from infra.instances.policies import Host, host_statements, repository_arn
from infra.instances.roles import InstanceRole
from infra.instances.template import TemplateArgs, launch_template
from infra.link import AccessLink
from infra.network import InstanceNetwork, Rules
from infra.policies import AwsSecret
from infra.shapes import SHAPES
from infra.spec import EndpointSpec, Spec
from infra.tags import Tags

LOGS_KEPT = 14
"""Days."""


@dataclass(frozen=True)
class ReplicaHostsArgs:
    """What an endpoint is made from."""

    spec: Spec
    name: str
    endpoint: EndpointSpec
    tags: Tags
    network: InstanceNetwork
    filesystem: Filesystem
    buckets: Buckets
    domain: Domain
    image: Image
    gateway: GatewayHost


class ReplicaHosts(pulumi.ComponentResource):
    """An endpoint. All that is its own is a child of it, so that it comes and goes without touching another.

    Raises, at preview, what `infra.vault.Vault` does for a secret that is not there, and
    `infra.offers.NotSold` where no zone of the network sells its shape.
    """

    url: pulumi.Output[str]
    link: pulumi.Output[str]
    """The address with the first token in it, a secret."""
    group_name: pulumi.Output[str]

    def __init__(self, name: str, args: ReplicaHostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:instances:Replicas", name, None, opts)
        self._args, self._tags = args, args.tags
        self._inside = pulumi.ResourceOptions(parent=self)
        self._host = args.domain.host(args.name)
        shape, network = SHAPES[args.endpoint.shape], args.network
        self._sold = network.offers.replicas(args.name, shape, network.zones)
        url = f"https://{self._host}"
        link = AccessLink(self._named("link"), url, self._inside)
        self._secrets = self._named_secrets()
        self._outputs = self._outputs_folder()
        self._logs = aws.cloudwatch.LogGroup(
            self._named("logs"),
            name=f"/easel/{self._tags.team}/{args.name}",
            retention_in_days=LOGS_KEPT,
            tags=self._tagged("logs"),
            opts=self._inside,
        )
        security_group = self._security_group()
        group = self._group(self._role(), security_group)
        args.gateway.let_supply(self._named("supply"), args.endpoint.models, self._secrets, self._inside)
        self._configuration(group, link)
        args.domain.record(args.name, args.gateway.address, self._inside)
        self.url, self.link, self.group_name = pulumi.Output.from_input(url), link.url, group.name
        self.register_outputs({"url": self.url, "link": self.link, "group_name": self.group_name})

    def _named(self, noun: str) -> str:
        return self._tags.name(noun, self._args.name)

    def _tagged(self, noun: str) -> dict[str, str]:
        return self._tags.of_endpoint(self._args.name, noun)

    def _named_secrets(self) -> dict[str, AwsSecret]:
        """What the endpoint names, by variable."""
        where = f"easel:endpoints.{self._args.name}.secrets"
        named = self._args.endpoint.secrets.items()
        return {
            variable: self._args.gateway.vault.secret(at, f"{where}.{variable}") for variable, at in named
        }

    def _outputs_folder(self) -> aws.efs.AccessPoint | None:
        """The endpoint's own folder of pictures; without `storage.outputs` it has none."""
        own = self._args.endpoint.image
        asked = own is not None and any(mount.source == "outputs" for mount in own.mounts)
        if not self._args.endpoint.storage.outputs and not asked:
            return None
        return self._args.filesystem.access_point(
            "outputs", f"/outputs/{self._args.name}", self._tagged("outputs"), self._inside
        )

    def _security_group(self) -> aws.ec2.SecurityGroup:
        """In: the gateway, at the container's port. The ways out are in the team's group of replicas."""
        network = self._args.network
        port = render.port_inside(self._args.endpoint)
        group = aws.ec2.SecurityGroup(
            self._named("replicas"),
            description=f"Replicas of {self._args.name}: only the gateway comes in",
            vpc_id=network.vpc_id,
            tags=self._tagged("replicas"),
            opts=self._inside,
        )
        Rules(self._tags, group.id, self._inside, self._args.name).from_group(
            "from-gateway", port, network.gateway_group_id
        )
        return group

    def _role(self) -> InstanceRole:
        args, files = self._args, self._args.filesystem
        outputs_arn = self._outputs.arn if self._outputs else None
        secrets = [*self._secrets.values(), *self._registry()]
        statements = pulumi.Output.all(
            bucket=args.buckets.config_arn,
            files=files.arn,
            points=[files.models_arn, *([outputs_arn] if outputs_arn is not None else [])],
            logs=self._logs.arn,
            repositories=args.image.repository_arns,
        ).apply(
            lambda found: host_statements(
                Host(
                    args.gateway.account,
                    self._tags.team,
                    args.name,
                    bucket_arn=found["bucket"],
                    file_system_arn=found["files"],
                    access_point_arns=found["points"],
                    log_group_arn=found["logs"],
                    repository_arns=self._repositories(found["repositories"]),
                    secrets=secrets,
                )
            )
        )
        return InstanceRole(
            self._named("replicas"),
            f"Instances of endpoint {args.name} of team {self._tags.team}",
            statements,
            self._tagged("replicas"),
            self._inside,
        )

    def _repositories(self, easel: list[str]) -> list[str]:
        """Where the endpoint's image is pulled from, as far as that is ECR."""
        own = self._args.endpoint.image
        if own is None:
            return easel
        arn = repository_arn(own.ref)
        return [arn] if arn else []

    def _registry(self) -> list[AwsSecret]:
        """The login of an own container's registry."""
        own = self._args.endpoint.image
        if own is None or own.registry is None:
            return []
        where = f"easel:endpoints.{self._args.name}.image.registry"
        return [self._args.gateway.vault.secret(own.registry, where)]

    def _group(self, role: InstanceRole, security_group: aws.ec2.SecurityGroup) -> aws.autoscaling.Group:
        args, shape = self._args, SHAPES[self._args.endpoint.shape]
        boots = args.gateway.boot_images
        boot = boots.gpu if shape.gpu else boots.gateway
        template = launch_template(
            self._named("replicas"),
            TemplateArgs(
                boot,
                args.gateway.account.region,
                instance_type=self._sold.types[0].name,
                disk=max(math.ceil(args.endpoint.storage.disk / 2**30), boot.least),
                profile_arn=role.profile_arn,
                security_group_ids=[security_group.id, args.network.replicas_group_id],
                bucket=args.buckets.config,
                log_group=self._logs.name,
                team=self._tags.team,
                endpoint=args.name,
                tags=self._tagged("replicas"),
            ),
            self._inside,
        )
        return endpoint_group(
            self._named("replicas"),
            GroupArgs(
                args.endpoint,
                template,
                [args.network.subnet_in(zone) for zone in self._sold.zones],
                self._sold.types,
                self._tagged("replicas"),
            ),
            # A warm pool launches at once: without its policy an instance could not even read what it is for.
            pulumi.ResourceOptions(parent=self, depends_on=[role.policy]),
        )

    def _configuration(self, group: aws.autoscaling.Group, link: AccessLink) -> None:
        args, files = self._args, self._args.filesystem
        content = pulumi.Output.all(
            link_hash=link.hash,
            group=group.name,
            log_group=self._logs.name,
            image=args.image.studio,
            file_system=files.id,
            models=files.models_id,
            outputs=self._outputs.id if self._outputs else None,
        ).apply(
            lambda found: render.text(
                render.endpoint_on_instances(
                    args.name,
                    args.endpoint,
                    render.Provisioned(
                        host=self._host,
                        secrets={variable: secret.arn for variable, secret in self._secrets.items()},
                        types=self._sold.types,
                        quota=args.spec.team.storage.quota,
                        **found,
                    ),
                )
            )
        )
        aws.s3.BucketObjectv2(
            self._named("configuration"),
            bucket=args.buckets.config,
            key=f"config/{args.name}.json",
            content=content,
            content_type="application/json",
            tags=self._tagged("configuration"),
            opts=self._inside,
        )
