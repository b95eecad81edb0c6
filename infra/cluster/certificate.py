"""The certificate of a team's load balancer: one for all its hosts, by AWS Certificate Manager."""

import pulumi
import pulumi_aws as aws

from infra.domain import Domain
from infra.spec import Spec
from infra.tags import Tags

NOUN = "certificate"


def wildcard_certificate(
    spec: Spec, domain: Domain, tags: Tags, parent: pulumi.Resource
) -> pulumi.Output[str]:
    """The ARN of a certificate for `*.<domain>`, known once the DNS has proved that the domain is the team's.

    Certificate Manager renews it as long as the record stays. An endpoint more needs nothing.
    """
    inside = pulumi.ResourceOptions(parent=parent)
    certificate = aws.acm.Certificate(
        tags.name(NOUN),
        domain_name=domain.host("*"),
        validation_method="DNS",
        tags=tags.of_team(NOUN),
        # The load balancer holds the old one until it has the new one: the other order would be refused.
        opts=inside,
    )
    proof = certificate.domain_validation_options[0]
    record = aws.route53.Record(
        tags.name(NOUN),
        zone_id=domain.zone_id,
        name=proof.resource_record_name,
        type=proof.resource_record_type,
        ttl=60,
        records=[proof.resource_record_value],
        # Certificate Manager asks all certificates of a name in an account for one and the same record.
        allow_overwrite=True,
        opts=inside,
    )
    if spec.team.zone == "create":
        _tell_servers(domain, parent)
    return aws.acm.CertificateValidation(
        tags.name(NOUN),
        certificate_arn=certificate.arn,
        validation_record_fqdns=[record.fqdn],
        opts=inside,
    ).certificate_arn


def _tell_servers(domain: Domain, parent: pulumi.Resource) -> None:
    """A new zone proves nothing before it is delegated to, and `pulumi up` waits: so say it now."""
    if domain.name_servers is None or pulumi.runtime.is_dry_run():
        return
    domain.name_servers.apply(
        lambda servers: pulumi.log.info(
            f"Delegate {domain.name} now: in the zone above it, an NS record with {', '.join(servers)}. The "
            "certificate waits for it",
            parent,
        )
    )
