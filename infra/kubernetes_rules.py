"""What must hold in a stack file with `runs_on: kubernetes`, and of its section elsewhere.

What AWS alone can do is refused, not passed over: a budget that no alarm watches would be believed.
"""

from collections.abc import Iterable, Iterator, Mapping

from infra.faults import SpecFault, Where, nearest, shown
from infra.kubernetes_names import SECRET_ENTRY, SECRET_NAME, secret_entry
from infra.kubernetes_spec import TolerationSpec
from infra.names import AWS_SECRET_NAME, SECRET_ARN
from infra.references import BUILD
from infra.spec import EndpointSpec, TeamSpec

KUBERNETES = "kubernetes"
TEAM: Where = ("easel:team",)
HERE: Where = (*TEAM, KUBERNETES)
RUNS_ON = frozenset({"runs_on"})
CLUSTERS_OWN = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Namespaces that every cluster has."""

OF_AWS: dict[tuple[str, ...], str] = {
    ("zone",): "a hosted zone of Route 53: on Kubernetes point console.<domain> and each endpoint's name at "
    "the edge yourself, or *.<domain>",
    (
        "acme",
    ): "for certificates of the gateway's own: on Kubernetes TLS ends at the edge, so give that one its "
    "certificate (kubernetes.edge.tls, cert-manager)",
    ("budget",): "an alarm of AWS Budgets: on Kubernetes replicas.max is the limit of what an endpoint costs",
    (
        "iam",
        "permissions_boundary",
    ): "for roles of AWS, of which this stack makes none: on Kubernetes the namespace's role is the limit",
    ("network", "vpc"): "a network of AWS: on Kubernetes nodes have theirs already",
    ("storage", "existing"): "a file system of AWS: name claims under kubernetes.storage",
    ("storage", "gateway"): "a disk of AWS: on Kubernetes the gateway keeps nothing of its own",
    ("machine_images", "gateway"): "of EC2 instances: on Kubernetes nodes are there already",
    ("machine_images", "gpu"): "of EC2 instances: on Kubernetes nodes are there already",
}
"""Fields of the team that mean something of AWS, and what takes their place."""


def team_faults(team: TeamSpec) -> Iterator[SpecFault]:
    """Rules within the team's own fields."""
    if team.runs_on == KUBERNETES:
        yield from _cluster(team)
        yield from _edge(team)
        yield from _of_aws(team)
        for where, one in _tolerations(team):
            yield from _toleration(where, one)
    elif team.runs_on != "local" and KUBERNETES in team.model_fields_set:
        yield SpecFault(HERE, f"goes with runs_on: kubernetes only; here runs_on is {team.runs_on}", RUNS_ON)
    members = team.members
    if members and members.client_secret is not None:
        where = (*TEAM, "members", "client_secret")
        yield from _secret_place(where, members.client_secret, team, "<secret>/<key> of the namespace")


def endpoint_faults(here: Where, endpoint: EndpointSpec, team: TeamSpec) -> Iterator[SpecFault]:
    """Rules within one endpoint, and between it and the team."""
    own = endpoint.image
    if own is not None and own.registry is not None:
        where = (*here, "image", "registry")
        yield from _secret_place(where, own.registry, team, "the name of a Secret to pull by", by_name=True)
    if own is not None and own.user == 0 and team.runs_on in (KUBERNETES, "cluster"):
        yield SpecFault(
            (*here, "image", "user"),
            "0 is root, which Pod Security's level restricted lets nobody be: take 1000, who owns the files",
            RUNS_ON,
        )
    if team.runs_on in ("instances", "cluster"):
        yield from _of_secrets_manager(here, endpoint)
    if team.runs_on != KUBERNETES:
        return
    if endpoint.capacity != "on-demand":
        yield SpecFault(
            (*here, "capacity"),
            f"{endpoint.capacity} is how AWS sells instances: on Kubernetes choose nodes by "
            "kubernetes.shapes (node_selector, tolerations)",
            RUNS_ON,
        )
    for variable, value in endpoint.secrets.items():
        try:
            secret_entry(value, variable)
        except ValueError as error:
            yield SpecFault((*here, "secrets", variable), str(error), RUNS_ON)
    for index, address in enumerate(endpoint.models):
        if address.startswith("s3://"):
            yield SpecFault(
                (*here, "models", index),
                f"{shown(address)} is read by the rights of a machine of AWS, which no pod has here: give an "
                "https:// address, or send it when the endpoint runs (`easel upload`)",
                RUNS_ON,
            )


def _of_secrets_manager(here: Where, endpoint: EndpointSpec) -> Iterator[SpecFault]:
    """Names and ARNs as AWS has them; a star in one would be a policy's for all secrets."""
    for variable, at in endpoint.secrets.items():
        if not (SECRET_ARN if at.startswith("arn:") else AWS_SECRET_NAME).fullmatch(at):
            yield SpecFault(
                (*here, "secrets", variable),
                "names no secret of AWS Secrets Manager: write its name (letters, digits, and any of "
                "/_+=.@-), or its whole ARN, "
                "arn:aws:secretsmanager:<region>:<account>:secret:<name>-<six letters>",
                RUNS_ON,
            )


def claim_faults(team: TeamSpec, endpoints: Iterable[str]) -> Iterator[SpecFault]:
    """Whether claims of pictures are for endpoints that there are, each for one."""
    names, given = set(endpoints), team.kubernetes.storage
    whose = {given.models: "the models"} if given.models else {}
    for name, claim in given.outputs.items():
        where = (*HERE, "storage", "outputs", name)
        if claim in whose:
            yield SpecFault(
                where, f"{shown(claim)} holds {whose[claim]} already, and files would mix: name another claim"
            )
        whose.setdefault(claim, f"the pictures of {name}")
        if name not in names:
            near = nearest(name, names) or f": there are {', '.join(sorted(names)) or 'none'}"
            yield SpecFault(where, f"is no endpoint of this file{near}")


def _cluster(team: TeamSpec) -> Iterator[SpecFault]:
    namespace = team.kubernetes.namespace
    if namespace in (*CLUSTERS_OWN, team.kubernetes.keda_namespace):
        yield SpecFault(
            (*HERE, "namespace"),
            f"{shown(namespace)} is of others: in its namespace easel lets nobody speak to anybody but its "
            "own, nor run what Pod Security's level restricted refuses. Leave it out, for easel-<team>",
            RUNS_ON,
        )
    if team.kubernetes.context is None:
        yield SpecFault(
            (*HERE, "context"),
            "is missing: name the context of the kubeconfig (`kubectl config get-contexts`); the current one "
            "may be another cluster's tomorrow",
            RUNS_ON,
        )
    if team.image == BUILD:
        yield SpecFault(
            (*TEAM, "image"),
            "build needs AWS: build the images yourself (docs/how-to/build-the-image.md), push them where "
            "the cluster pulls from, and write studio=<reference>,gateway=<reference>",
            RUNS_ON,
        )


def _edge(team: TeamSpec) -> Iterator[SpecFault]:
    edge, where = team.kubernetes.edge, (*HERE, "edge")
    given = [way for way in ("ingress", "gateway", "address") if getattr(edge, way) is not None]
    if len(given) != 1:
        seen = "names no way in" if not given else f"names {' and '.join(given)}"
        yield SpecFault(
            where,
            f"{seen}: give one of ingress (a class), gateway (a Gateway's namespace/name) and address",
            RUNS_ON,
        )
    if edge.tls is not None and edge.ingress is None:
        yield SpecFault(
            (*where, "tls"), "goes with ingress only: elsewhere the certificate is the edge's own"
        )
    if "timeouts" in edge.model_fields_set and edge.gateway is None:
        yield SpecFault((*where, "timeouts"), "goes with gateway only: it is a field of HTTPRoutes", RUNS_ON)
    if edge.service_annotations and edge.address is not None:
        yield SpecFault(
            (*where, "service_annotations"), "with address the Service is the edge: write annotations"
        )


def _of_aws(team: TeamSpec) -> Iterator[SpecFault]:
    for way, told in OF_AWS.items():
        section: object = team
        for name in way[:-1]:
            section = getattr(section, name)
        if way[-1] in section.model_fields_set and getattr(section, way[-1]) is not None:  # type: ignore[attr-defined]
            yield SpecFault((*TEAM, *way), f"is {told}", RUNS_ON)


def _tolerations(team: TeamSpec) -> Iterator[tuple[Where, TolerationSpec]]:
    spec = team.kubernetes
    by_place: Mapping[Where, Iterable[TolerationSpec]] = {
        HERE: spec.tolerations,
        **{(*HERE, "shapes", name): shape.tolerations for name, shape in spec.shapes.items()},
    }
    for where, found in by_place.items():
        for index, one in enumerate(found):
            yield (*where, "tolerations", index), one


def _toleration(where: Where, one: TolerationSpec) -> Iterator[SpecFault]:
    if one.operator == "Equal" and (one.key is None or one.value is None):
        yield SpecFault(where, "Equal compares a key's value: write both, or operator: Exists")
    if one.operator == "Exists" and one.value is not None:
        yield SpecFault((*where, "value"), "is not looked at with Exists: take operator: Equal")


def _secret_place(
    where: Where, value: str, team: TeamSpec, instead: str, by_name: bool = False
) -> Iterator[SpecFault]:
    """AWS takes an ARN and Kubernetes a name; a cluster on AWS takes either."""
    if team.runs_on == "instances" and not SECRET_ARN.fullmatch(value):
        yield SpecFault(
            where,
            f"{shown(value)} does not fit. On AWS it is the ARN of a secret in Secrets Manager",
            RUNS_ON,
        )
    if team.runs_on == KUBERNETES and not (SECRET_NAME if by_name else SECRET_ENTRY).fullmatch(value):
        yield SpecFault(where, f"{shown(value)} does not fit. On Kubernetes it is {instead}", RUNS_ON)
