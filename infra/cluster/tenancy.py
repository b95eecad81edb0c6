"""What a team has of a cluster beside its namespace: machines, folders, certificate, load balancer, role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from infra.account import AwsAccount
from infra.cluster import cost, load_balancer, policies
from infra.cluster.capacity import memory
from infra.cluster.certificate import wildcard_certificate
from infra.cluster.nodes import GPU, Pool, front, node_selector, pools, tolerations
from infra.cluster.platform import Platform
from infra.cluster.pools import team_pools
from infra.cluster.volumes import DRIVER, OPTIONS
from infra.domain import Domain
from infra.filesystem import Filesystem, access_point
from infra.image import Image
from infra.namespace import Placement, Target, Volume
from infra.namespace.component import KubernetesObject
from infra.namespace.gateway import LEAVING, stays
from infra.namespace.requests import cpu
from infra.namespace.storage import keeps_outputs
from infra.offers import Offers
from infra.policies import document
from infra.spec import EndpointSpec, Spec
from infra.tags import Tags
from infra.vault import Vault

STAYS = {"karpenter.sh/do-not-disrupt": "true"}
"""A replica is not moved for a newer machine image: that waits until it sleeps, or until its node's life is
over (`infra.cluster.nodes.LIFE`). By itself it holds off no drift: the pool's budget does."""
SERVICE_ACCOUNT = "gateway"
RIGHTS_AT = "169.254.170.23/32"
"""Where a pod asks EKS Pod Identity for its role's credentials ("Understand how EKS Pod Identity works")."""


@dataclass(frozen=True)
class TenancyArgs:
    """What a team's part of a cluster is made from."""

    spec: Spec
    tags: Tags
    account: AwsAccount
    offers: Offers
    platform: Platform
    filesystem: Filesystem | None
    """The team's own; None on another team's cluster, where it has folders of that one's."""
    ranges: Sequence[pulumi.Input[str]]
    """Addresses of the VPC, which the load balancer's are among."""
    domain: Domain
    image: Image
    provider: kubernetes.Provider
    ready: Sequence[pulumi.Resource]
    """What of the cluster must be there as long as the team is."""


class Tenancy(pulumi.ComponentResource):
    """A team on a cluster. All of it carries the team's name, as most is nobody's namespace's."""

    target: Target

    def __init__(self, name: str, args: TenancyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("easel:cluster:Tenancy", name, None, opts)
        self._args, self._spec, self._tags = args, args.spec, args.tags
        self._inside = pulumi.ResourceOptions(parent=self)
        self._namespace = self._tags.name("")
        self._pools = pools(self._spec)
        self._vault = Vault(self)
        machines = team_pools(self._pools.values(), args.platform, args.offers, self._objects())
        outputs = self._outputs_by_endpoint()
        self.target = Target(
            namespace=self._namespace,
            studio_image=args.image.studio,
            gateway_image=args.image.gateway,
            placement=lambda endpoint: placement(self._pool(endpoint)),
            models=self._volume(self._models()),
            # One that keeps no pictures asks for no volume, but would have none that outlives the objects.
            outputs=lambda endpoint: outputs.get(endpoint, Volume(csi_driver=DRIVER)),
            secrets=self._secrets_by_endpoint().__getitem__,
            edge=load_balancer.edge(self._tags.team, args.ranges, LEAVING + stays(self._spec)),
            apart=True,
            client_secret=self._client_secret(),
            region=args.account.region,
            machines=cost.machines(self._spec),
            rights_at=RIGHTS_AT,
            provider=args.provider,
            depends_on=[*args.ready, *machines, self._balancer(), *self._gateway_role()],
        )
        self.register_outputs({"namespace": self._namespace})

    def _objects(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        """For what is in the cluster: it ends before what it stands on."""
        return pulumi.ResourceOptions(
            parent=self, provider=self._args.provider, depends_on=[*self._args.ready, *after]
        )

    def _pool(self, endpoint: str) -> Pool:
        asked = self._spec.endpoints[endpoint]
        return self._pools[asked.shape, asked.capacity]

    def _folder(self, path: str) -> str:
        return path if self._args.filesystem else f"/teams/{self._tags.team}{path}"

    def _models(self) -> pulumi.Output[str]:
        if self._args.filesystem:
            return self._args.filesystem.models_id
        return self._access_point("/models", self._tags.of_team("models")).id

    def _outputs_by_endpoint(self) -> Mapping[str, Volume]:
        """The folder of each endpoint that keeps its pictures."""
        return {
            name: self._volume(
                self._access_point(f"/outputs/{name}", self._tags.of_endpoint(name, "outputs")).id
            )
            for name, endpoint in self._spec.endpoints.items()
            if keeps_outputs(endpoint)
        }

    def _access_point(self, path: str, tags: dict[str, str]) -> aws.efs.AccessPoint:
        return access_point(
            tags["Name"], self._args.platform.file_system, self._folder(path), tags, self._inside
        )

    def _volume(self, point: pulumi.Output[str]) -> Volume:
        handle = pulumi.Output.concat(self._args.platform.file_system, "::", point)
        return Volume(csi_driver=DRIVER, handle=handle, mount_options=OPTIONS)

    def _secrets_by_endpoint(self) -> Mapping[str, Mapping[str, pulumi.Output[str]]]:
        return {name: self._values(name, endpoint) for name, endpoint in self._spec.endpoints.items()}

    def _values(self, name: str, endpoint: EndpointSpec) -> Mapping[str, pulumi.Output[str]]:
        where = f"easel:endpoints.{name}.secrets"
        return {variable: self._value(at, f"{where}.{variable}") for variable, at in endpoint.secrets.items()}

    def _client_secret(self) -> pulumi.Output[str] | None:
        members = self._spec.team.members
        if not members or not members.client_secret:
            return None
        return self._value(members.client_secret, "easel:team.members.client_secret")

    def _value(self, at: str, where: str) -> pulumi.Output[str]:
        """A secret's value, read when the stack is brought up. Raises NoSecret, at preview."""
        arn = self._vault.secret(at, where).arn
        opts = pulumi.InvokeOutputOptions(parent=self)
        found = aws.secretsmanager.get_secret_version_output(
            secret_id=arn, region=arn.split(":")[3], opts=opts
        )
        return pulumi.Output.secret(found.secret_string)

    def _balancer(self) -> pulumi.Resource:
        """The IngressClass. The Ingress, and so the balancer, ends before it, and the certificate after."""
        team, platform = self._tags.team, self._args.platform
        certificate = wildcard_certificate(self._spec, self._args.domain, self._tags, self)
        params = load_balancer.ingress_class_params(
            team,
            self._namespace,
            platform.subnets.apply(lambda by_zone: [by_zone[zone] for zone in front(by_zone)]),
            certificate,
        )
        name = load_balancer.class_name(team)
        how = KubernetesObject(name, params, self._objects())
        return KubernetesObject(name, load_balancer.ingress_class(team), self._objects(how))

    def _gateway_role(self) -> list[pulumi.Resource]:
        """What gateways fetch models of s3:// by; none where there are none."""
        models = [model for endpoint in self._spec.endpoints.values() for model in endpoint.models]
        statements = policies.fetch_statements(self._args.account, models)
        if not statements:
            return []
        cluster, noun = self._args.platform.cluster, "gateway"
        role = aws.iam.Role(
            self._tags.name(noun),
            description=f"Gateways of team {self._tags.team}: fetch its models",
            assume_role_policy=cluster.apply(
                lambda name: document(policies.pod_trust(name, self._namespace, SERVICE_ACCOUNT))
            ),
            tags=self._tags.of_team(noun),
            opts=self._inside,
        )
        rights = aws.iam.RolePolicy(
            self._tags.name(noun), role=role.name, policy=document(statements), opts=self._inside
        )
        identity = aws.eks.PodIdentityAssociation(
            self._tags.name(noun),
            cluster_name=cluster,
            namespace=self._namespace,
            service_account=SERVICE_ACCOUNT,
            role_arn=role.arn,
            tags=self._tags.of_team(noun),
            opts=self._inside,
        )
        return [rights, identity]


def placement(pool: Pool) -> Placement:
    """Where a pool's replicas go, and what each asks for."""
    return Placement(
        node_selector=node_selector(pool),
        tolerations=tolerations(pool),
        gpu=GPU if pool.shape.gpu else None,
        cpu=cpu(pool.shape.name),
        memory=memory(pool.shape),
        annotations=STAYS,
    )
