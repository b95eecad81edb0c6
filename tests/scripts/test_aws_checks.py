"""`easel doctor` for a stack on AWS: the real checks against moto's server; stand-ins for Service Quotas, for
the account's plan, for AWS's public parameters and for the DNS, which moto does not have."""

import pytest
from moto.core import DEFAULT_ACCOUNT_ID

from scripts.checks import aws_account
from tests.scripts.aws_look import STACK, Look, aws, delegated, look, of, servers
from tests.scripts.aws_stand_in import StandIn

__all__ = ["aws", "look", "servers"]


def test_an_account_that_has_everything(look: Look) -> None:
    """All is well: what was seen is said, and nothing advised."""
    delegated()
    checks = look()
    assert {check.verdict for check in checks} == {"ok"}, checks
    assert not any(check.advice for check in checks)
    assert {check.what for check in checks} == {"aws", "quota", "types", "domain", "image", "files"}
    assert f"account {DEFAULT_ACCOUNT_ID}, us-east-1" in of(checks, "aws")[0].seen


@pytest.mark.parametrize("team", ["runs_on: local", "runs_on: kubernetes"])
def test_a_stack_that_runs_elsewhere_asks_nothing(look: Look, team: str) -> None:
    """No account is needed, so none is looked at."""
    assert look(team) == []
    assert look(text="config: {easel:endpoints: {a: {shape: x}}}") == [], "told by another check"


# ── credentials and region ───────────────────────────────────────────────────────────────────────


def test_without_credentials_it_says_what_it_skips(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for the cause, one for what was not looked at."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failed, skipped = look()
    assert (failed.verdict, failed.seen) == ("failed", "no credentials")
    assert "were not looked at" in skipped.seen


def test_a_profile_that_is_not_there(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack file's profile is the one that is used, as Pulumi does."""
    (check,) = look(text=STACK.format(team="zone: find").replace("  aws:", "  aws:profile: nobody\n  aws:"))
    assert check.verdict == "failed"
    assert "nobody" in check.seen


def test_no_region(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with the line to add."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    (check,) = look(text=STACK.format(team="zone: find").replace("  aws:region: us-east-1\n", ""))
    assert check.verdict == "failed"
    assert "aws:region: us-east-1" in check.advice


def test_no_way_to_aws(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said once, and the rest skipped."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    failed, skipped = look()
    assert failed.verdict == "failed"
    assert "127.0.0.1:9" in failed.seen
    assert skipped.verdict == "warning"


def test_what_may_not_be_read_is_no_failure(look: Look) -> None:
    """A role may deploy without reading quotas."""
    delegated()
    StandIn.denied = True
    checks = look()
    assert [check.verdict for check in of(checks, "aws")] == ["ok", "warning", "warning", "warning"]
    assert "a role that may GetAccountPlanState" in of(checks, "aws")[1].advice
    assert "a role that may GetServiceQuota" in of(checks, "aws")[2].advice
    assert of(checks, "domain")[0].verdict == "ok", "the others are looked at"


# ── the account's plan ───────────────────────────────────────────────────────────────────────────

FREE = {
    "accountPlanType": "FREE",
    "accountPlanStatus": "ACTIVE",
    "accountPlanRemainingCredits": {"amount": 81.5, "unit": "USD"},
}


def test_the_free_plan_sells_no_gpu(look: Look) -> None:
    """What GetAccountPlanState says, and what of the stack nothing is eligible for, with what to do."""
    StandIn.plan = FREE
    (check,) = look(only=aws_account.plan)
    assert check.verdict == "failed"
    assert "free plan, 81.5 USD of credits left, which sells nothing for cpu.small, gpu.a10" in check.seen
    assert "upgrade-account-plan" in check.advice


def test_the_free_plan_will_do_for_what_is_eligible(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """One type of a shape is enough."""
    StandIn.plan = FREE
    monkeypatch.setattr(aws_account, "_free", lambda account: {"t3.small", "m6i.large", "g5.xlarge"})
    (check,) = look(only=aws_account.plan)
    assert check.verdict == "ok"


@pytest.mark.parametrize("plan", [None, {"accountPlanType": "PAID", "accountPlanStatus": "ACTIVE"}])
def test_an_account_that_pays_is_told_nothing_of_plans(look: Look, plan: dict[str, object] | None) -> None:
    """Nor one that was opened before there were plans."""
    StandIn.plan = plan
    assert look(only=aws_account.plan) == []


# ── quotas and types ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("allowed", "verdict"), [(0.0, "failed"), (3.0, "failed"), (4.0, "warning"), (24.0, "ok")]
)
def test_quotas_hold_every_replica(look: Look, allowed: float, verdict: str) -> None:
    """Three replicas of 8 vCPUs, or of 16; below the 4 of the smallest type nothing starts at all."""
    StandIn.quotas = {"L-DB2E81BA": allowed}
    (check,) = [one for one in look(only=aws_account.quotas) if "L-DB2E81BA" in one.seen]
    assert check.verdict == verdict
    assert f"24 of {allowed:.0f} vCPUs" in check.seen
    assert "; 48 where larger types stand in" in check.seen
    assert ("/services/ec2/quotas/L-DB2E81BA" in check.advice) == (verdict != "ok")


def test_a_quota_that_was_never_raised_is_awss_own(look: Look) -> None:
    """Service Quotas lists some only once they were touched."""
    StandIn.unlisted = {"L-DB2E81BA"}
    StandIn.quotas = {"L-DB2E81BA": 64.0}
    assert any("24 of 64" in check.seen for check in look(only=aws_account.quotas))


@pytest.mark.parametrize(
    ("sold", "verdict", "said"),
    [
        ({}, "failed", "not sold in us-east-1"),
        ({"g5.2xlarge": {"a", "b"}}, "ok", "g5.2xlarge in a, b"),
        ({"g5.2xlarge": {"a"}}, "warning", "g5.2xlarge in a"),
        ({"g5.xlarge": {"a", "b"}}, "warning", "g5.xlarge in a, b"),
    ],
)
def test_types_are_sold_where_the_team_is(
    look: Look, monkeypatch: pytest.MonkeyPatch, sold: dict[str, set[str]], verdict: str, said: str
) -> None:
    """None, in one zone alone, or only a smaller one: each is a different thing to do."""
    monkeypatch.setattr(aws_account, "_zones_of", lambda account, types: sold)
    (check,) = [one for one in look(only=aws_account.offered) if one.seen.startswith("gpu.a10")]
    assert check.verdict == verdict
    assert said in check.seen
    assert bool(check.advice) == (verdict != "ok")


# ── domain ───────────────────────────────────────────────────────────────────────────────────────
