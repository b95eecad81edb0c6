"""The load balancer of a team: an Application Load Balancer that Auto Mode makes for the team's Ingress.

Fields are those of "Create an IngressClass to configure an Application Load Balancer" (EKS user guide); what
an Ingress says beside them are annotations of the AWS Load Balancer Controller.
"""

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.cluster.rules import LONGEST_SILENCE
from infra.domain import Domain
from infra.namespace import Edge
from infra.tags import TEAM, Tags

Manifest = dict[str, Any]

HEALTH = {"port": 7861, "path": "/healthz"}
"""The gateway's inner listener: at the public one hosts that are not ours get 404."""

TLS = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
"""TLS 1.2 and 1.3, forward secret. Unsaid it is the controller's default of 2016, which takes TLS 1.0
("Security policies for your Application Load Balancer")."""
CHECKED = {
    "healthcheck-interval-seconds": "5",
    "healthcheck-timeout-seconds": "4",
    "healthy-threshold-count": "2",
    "unhealthy-threshold-count": "2",
}
"""Ten seconds until a gateway that is gone gets nobody any more, and until a new one counts; by the
controller's defaults it is thirty."""
GATED = {"eks.amazonaws.com/pod-readiness-gate-inject": "enabled"}
"""Of the namespace: a gateway is ready once the balancer sends people there, so that the one before it goes
no sooner. Without it both new ones may be ready while the balancer still tries them: two minutes without a
door, as AWS measured with two replicas. The key is Auto Mode's own (AWS Containers blog, "How to build highly
available Kubernetes applications with Amazon EKS Auto Mode")."""


def class_name(team: str) -> str:
    """The name of the team's IngressClass, which is nobody's namespace's."""
    return f"easel-{team}"


def ingress_class_params(
    team: str,
    namespace: str,
    subnets: pulumi.Input[Sequence[str]],
    certificate_arn: pulumi.Input[str],
) -> Manifest:
    """The balancer itself, for Ingresses of the team's namespace only."""
    attributes = {
        # A request may be held while the first replica wakes, and then draw: nothing is sent meanwhile.
        "idle_timeout.timeout_seconds": str(LONGEST_SILENCE),
        "routing.http.drop_invalid_header_fields.enabled": "true",
        # The caller's address is added to what the caller says of itself, which counts for nothing.
        "routing.http.xff_header_processing.mode": "append",
    }
    return {
        "apiVersion": "eks.amazonaws.com/v1",
        "kind": "IngressClassParams",
        "metadata": {"name": class_name(team)},
        "spec": {
            "scheme": "internet-facing",
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "subnets": {"ids": subnets},
            "certificateARNs": [certificate_arn],
            "loadBalancerAttributes": [{"key": key, "value": value} for key, value in attributes.items()],
            # By it the bill and the team's budget count the balancer.
            "tags": [{"key": TEAM, "value": team}],
        },
    }


def ingress_class(team: str) -> Manifest:
    """What the team's Ingress names."""
    params = {"apiGroup": "eks.amazonaws.com", "kind": "IngressClassParams", "name": class_name(team)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": class_name(team)},
        "spec": {"controller": "eks.amazonaws.com/alb", "parameters": params},
    }


def edge(team: str, ranges: Sequence[pulumi.Input[str]], drain: int) -> Edge:
    """How people come to the gateways. `ranges` are the VPC's: the balancer's addresses are among them.
    `drain`: seconds that a gateway that goes may still answer what it was asked; then it is cut off."""
    said = {
        "target-type": "ip",
        "listen-ports": json.dumps([{"HTTP": 80}, {"HTTPS": 443}]),
        "ssl-redirect": "443",
        "ssl-policy": TLS,
        **CHECKED,
        "healthcheck-port": str(HEALTH["port"]),
        "healthcheck-path": str(HEALTH["path"]),
        "target-group-attributes": f"deregistration_delay.timeout_seconds={drain}",
    }
    annotations = {f"alb.ingress.kubernetes.io/{key}": value for key, value in said.items()}
    return Edge(
        "alb",
        class_name=class_name(team),
        annotations=annotations,
        namespace_labels=GATED,
        health_checks=ranges,
        trusted=ranges,
    )


def wildcard_record(
    address: pulumi.Input[str], domain: Domain, tags: Tags, parent: pulumi.Resource
) -> aws.route53.Record:
    """`*.<domain>` → the balancer, for every endpoint that there will be.

    A record of one name wins over it: those of instances, which a team comes from, are used until they are
    deleted, and no name is ever without an address.
    """
    zone = aws.lb.get_hosted_zone_id_output(
        load_balancer_type="application", opts=pulumi.InvokeOutputOptions(parent=parent)
    )
    alias = aws.route53.RecordAliasArgs(name=address, zone_id=zone.id, evaluate_target_health=False)
    return aws.route53.Record(
        tags.name("hosts"),
        zone_id=domain.zone_id,
        name=domain.host("*"),
        type="A",
        aliases=[alias],
        opts=pulumi.ResourceOptions(parent=parent),
    )
