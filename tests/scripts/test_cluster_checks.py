"""What `easel doctor` sees of an account for a team on a cluster."""

import pytest
from moto.core import DEFAULT_ACCOUNT_ID

from infra.cluster.versions import DRIVER_VERSION, VERSION
from scripts.checks import aws_account, cluster_account
from scripts.checks.check import Check
from tests.scripts.aws_look import Look, aws, client, delegated, look, of, servers
from tests.scripts.aws_stand_in import StandIn

__all__ = ["aws", "look", "servers"]

CLUSTER = "runs_on: cluster"
ADMINS = "runs_on: cluster\n    cluster: {{admins: [{}]}}"
ME = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:user/moto"
TRUST = "{}"


def only(checks: list[Check]) -> tuple[str, str, str]:
    (check,) = checks
    return check.verdict, check.seen, check.advice


def test_all_is_looked_at_that_a_cluster_needs(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, quotas, types, domain as for instances; no machine images, which are EKS's."""
    delegated()
    monkeypatch.setattr(cluster_account.shutil, "which", lambda _: "/usr/bin/aws")
    StandIn.versions, StandIn.drivers = {VERSION: "STANDARD_SUPPORT"}, [DRIVER_VERSION]
    checks = look(CLUSTER)
    assert {check.verdict for check in checks} == {"ok"}, checks
    assert {check.what for check in checks} == {"aws", "quota", "types", "domain", "version", "files"}
    assert any("gateways and KEDA: t3.medium" in check.seen for check in of(checks, "types"))


def test_whoever_runs_pulumi_is_an_admin(look: Look) -> None:
    """Else the cluster would be made and nothing in it."""
    client("iam").create_user(UserName="moto")
    assert only(look(ADMINS.format(ME), only=cluster_account.admins))[0] == "ok"
    other = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/Deploy"
    client("iam").create_role(RoleName="Deploy", AssumeRolePolicyDocument=TRUST)
    verdict, seen, advice = only(look(ADMINS.format(other), only=cluster_account.admins))
    assert (verdict, "is not among" in seen) == ("failed", True)
    assert "easel:team.cluster.admins" in advice
    assert look(CLUSTER, only=cluster_account.admins) == []


def test_an_admin_that_is_not_there_is_found_before_eks_refuses_it(look: Look) -> None:
    """And one that is there by another path, which STS does not tell."""
    client("iam").create_user(UserName="moto")
    client("iam").create_role(RoleName="Lead", Path="/team/", AssumeRolePolicyDocument=TRUST)
    gone, lead = (f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/{name}" for name in ("Gone", "Lead"))
    told = look(ADMINS.format(f"{ME}, {gone}, {lead}"), only=cluster_account.admins)
    assert [check.verdict for check in told] == ["ok", "failed", "failed"]
    assert gone in told[1].seen
    assert "role/team/Lead" in told[2].seen


@pytest.mark.parametrize(
    ("versions", "verdict", "advice"),
    [
        ({VERSION: "STANDARD_SUPPORT"}, "ok", ""),
        ({VERSION: "EXTENDED_SUPPORT", "1.99": "STANDARD_SUPPORT"}, "warning", "'1.99'"),
        ({"1.9": "EXTENDED_SUPPORT", "1.99": "STANDARD_SUPPORT"}, "failed", "'1.99'"),
    ],
)
def test_the_version_is_one_that_eks_has(
    look: Look, versions: dict[str, str], verdict: str, advice: str
) -> None:
    """An old one is upgraded by EKS some day, and then no file says what there is."""
    StandIn.versions = versions
    found = only(look(CLUSTER, only=cluster_account.version))
    assert found[0] == verdict
    assert advice in found[2]


def test_the_driver_of_volumes_is_one_that_eks_has(look: Look) -> None:
    """For the cluster's Kubernetes; a platform has its own already."""
    StandIn.drivers = ["v2.0.0-eksbuild.1"]
    verdict, _, advice = only(look(CLUSTER, only=cluster_account.driver))
    assert (verdict, "v2.0.0" in advice) == ("failed", True)
    assert look(f"{CLUSTER}\n    platform: company", only=cluster_account.driver) == []


def test_the_number_of_clusters_has_a_quota(look: Look) -> None:
    """Asked for the one that there is not yet; a team on a platform makes none."""
    StandIn.quotas = {cluster_account.CLUSTERS: 1}
    assert only(look(CLUSTER, only=cluster_account.clusters))[0] == "ok"
    StandIn.unlisted = {cluster_account.CLUSTERS}
    assert only(look(CLUSTER, only=cluster_account.clusters))[0] == "ok", "as AWS gives it to everybody"
    StandIn.clusters = ["other"]
    verdict, seen, advice = only(look(CLUSTER, only=cluster_account.clusters))
    assert (verdict, seen[:17]) == ("failed", "1 of 1 clusters i")
    assert "easel:team.platform" in advice
    assert look(f"{CLUSTER}\n    platform: company", only=cluster_account.clusters) == []


def test_without_the_aws_command_pulumi_cannot_sign_in(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its absence everything would fail at the first object of the cluster."""
    monkeypatch.setattr(cluster_account.shutil, "which", lambda _: None)
    assert only(look(CLUSTER, only=cluster_account.command_line))[0] == "failed"


def test_quotas_are_those_of_the_cluster(look: Look) -> None:
    """The cheapest types of each shape, and the small machines of gateways."""
    told = " ".join(check.seen for check in look(CLUSTER, only=aws_account.quotas))
    assert "12 of" in told, "three replicas on g5.xlarge"
    assert "4 of" in told
