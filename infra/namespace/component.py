"""A team's objects, applied by Pulumi, server-side, and waited for by conditions."""

from importlib import metadata
from typing import Any

import pulumi

from infra.link import AccessLink
from infra.namespace.configuration import CONSOLE, host
from infra.namespace.manifest import COMPONENT, INSTANCE, STUDIO, Manifest
from infra.namespace.objects import manifests
from infra.namespace.target import Target, Volume
from infra.spec import Spec

WAIT_FOR = "pulumi.com/waitFor"
SKIP = "pulumi.com/skipAwait"
FORCE = "pulumi.com/patchForce"

# What is waited for, and what is not. By default Pulumi waits for the replicas of a Deployment, of which one
# asleep has none; for the pod that a claim is bound with; for an Ingress's address, which not every
# controller tells; and for pods behind a Service before there are any.
_WAITED: dict[str, dict[str, str]] = {
    "ScaledObject": {WAIT_FOR: "condition=Ready"},
    # One that an earlier stack left is taken back with what this one says, such as another size.
    "PersistentVolumeClaim": {SKIP: "true", FORCE: "true"},
    "Service": {SKIP: "true"},
    "Ingress": {SKIP: "true"},
}
_GATEWAY = {WAIT_FOR: "condition=Available"}
_BALANCER = {WAIT_FOR: "jsonpath={.status.loadBalancer.ingress}"}


class TeamNamespace(pulumi.ComponentResource):
    """The namespace of a team with all that is in it, and the first links to its endpoints."""

    console: AccessLink
    endpoints: dict[str, AccessLink]
    """By the endpoint's name."""
    edge_address: pulumi.Output[str]
    """Where the load balancer of the edge answers: a host name or an address; empty where none is told."""

    def __init__(
        self, name: str, spec: Spec, target: Target, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("easel:namespace:Team", name, None, opts)
        self._spec, self._target, self._team = spec, target, f"easel-{spec.name}"
        self.console = self._link(CONSOLE)
        self.endpoints = {each: self._link(each) for each in spec.endpoints}
        links = {each: link.hash for each, link in self.endpoints.items()} | {CONSOLE: self.console.hash}
        made: dict[tuple[str, str], KubernetesObject] = {}
        home: KubernetesObject | None = None
        for each in manifests(spec, target, links):
            key = each["kind"], each["metadata"]["name"]
            made[key] = self._object(each, home, made)
            home = home or made[key]
        self.edge_address = self._edge_address(made)
        self.register_outputs({"namespace": target.namespace, "edge_address": self.edge_address})

    def _link(self, label: str) -> AccessLink:
        inside = pulumi.ResourceOptions(parent=self)
        return AccessLink(f"{self._team}-{label}-link", f"https://{host(self._spec, label)}", inside)

    def _object(
        self,
        content: Manifest,
        home: "KubernetesObject | None",
        made: "dict[tuple[str, str], KubernetesObject]",
    ) -> "KubernetesObject":
        kind, name = content["kind"], content["metadata"]["name"]
        # An empty mapping is dropped by the API, and would be a difference at every later `up`.
        noted = {"annotations": found} if (found := self._annotations(content)) else {}
        props = {**content, "metadata": {**content["metadata"], **noted}}
        ignored = []
        if kind == "Deployment" and _of_studio(content):
            # Without it the API would begin with one, on a GPU that nobody asked for; then it is KEDA's.
            least = self._spec.endpoints[content["metadata"]["labels"][INSTANCE]].replicas.min
            props["spec"] = {"replicas": least, **content["spec"]}
            ignored.append("spec.replicas")
        first = [*self._target.depends_on] if home is None else [home]
        if kind == "ScaledObject":
            first += [made[("Deployment", name)], made[("Deployment", "gateway")]]
        return KubernetesObject(
            f"{self._team}-{kind.lower()}-{name}",
            props,
            pulumi.ResourceOptions(
                parent=self,
                provider=self._provider_of(content),
                depends_on=first,
                ignore_changes=ignored,
                retain_on_delete=self._keeps(content),
            ),
        )

    def _provider_of(self, content: Manifest) -> pulumi.ProviderResource | None:
        """What an earlier stack left is taken back; anything else that is there already is somebody's."""
        kept = self._target.adopting if self._keeps(content) else None
        return kept or self._target.provider

    def _keeps(self, content: Manifest) -> bool:
        """Claims whose files would go with them, and the namespace that they are in."""
        kind, name = content["kind"], content["metadata"]["name"]
        if kind == "PersistentVolumeClaim":
            return not self._volume(name).static
        if kind == "Namespace":
            return not all(
                self._volume(each).static
                for each in ("models", *(f"outputs-{endpoint}" for endpoint in self._spec.endpoints))
            )
        return False

    def _volume(self, claim: str) -> Volume:
        target = self._target
        return target.models if claim == "models" else target.outputs(claim.removeprefix("outputs-"))

    def _annotations(self, content: Manifest) -> dict[str, Any]:
        kind = content["kind"]
        waited = _WAITED.get(kind, {})
        if kind == "Deployment":
            waited = {SKIP: "true"} if _of_studio(content) else _GATEWAY
        if (kind, self._target.edge.kind) == ("Ingress", "alb") or content.get("spec", {}).get("type"):
            waited = _BALANCER
        return {**content["metadata"].get("annotations", {}), **waited}

    def _edge_address(self, made: "dict[tuple[str, str], KubernetesObject]") -> pulumi.Output[str]:
        kind = {"alb": "Ingress", "ingress": "Ingress", "address": "Service"}.get(self._target.edge.kind)
        if kind is None:
            return pulumi.Output.from_input("")
        return made[(kind, "gateway")].status.apply(_address)


class KubernetesObject(pulumi.CustomResource):
    """An object of any kind, under the token that pulumi-kubernetes has for it.

    What `kubernetes.apiextensions.CustomResource` registers, which knows no status, and core kinds by other
    tokens than the provider.
    """

    status: pulumi.Output[Any]

    def __init__(self, name: str, content: Manifest, opts: pulumi.ResourceOptions) -> None:
        version, kind = content["apiVersion"], content["kind"]
        props = {**content, "status": None}
        if "stringData" in content:
            props["stringData"] = pulumi.Output.secret(content["stringData"])
        token = f"kubernetes:{'core/v1' if version == 'v1' else version}:{kind}"
        more = pulumi.ResourceOptions(
            version=metadata.version("pulumi-kubernetes"),
            # What the gateway writes into its own comes back when a stack is refreshed.
            additional_secret_outputs=["data", "stringData"] if kind == "Secret" else None,
        )
        super().__init__(token, name, props, pulumi.ResourceOptions.merge(opts, more))


def _of_studio(content: Manifest) -> bool:
    return bool(content["metadata"]["labels"].get(COMPONENT) == STUDIO)


def _address(status: Any) -> str:
    """The host name or address of a load balancer, as a Service's and an Ingress's status tell it."""
    found = ((status or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return str(found[0].get("hostname") or found[0].get("ip") or "")
