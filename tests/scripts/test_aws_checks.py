"""`easel doctor` for a stack on AWS: the real checks against moto's server; stand-ins for Service Quotas, for
the account's plan, for AWS's public parameters and for the DNS, which moto does not have."""

import json
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import boto3
import botocore.session
import pytest
from click.testing import CliRunner
from moto.core import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

from scripts.__main__ import main
from scripts.checks import aws_account
from scripts.checks.check import Check
from scripts.checks.leftovers import left_behind
from scripts.checks.stack_account import StackAccount
from scripts.settings import Settings
from scripts.stacks.loading import spec_of
from tests.scripts.aws_stand_in import StandIn

STACK = """config:
  aws:region: us-east-1
  easel:team:
    domain: art.example.com
    {team}
  easel:endpoints:
    studio: {{shape: gpu.a10, replicas: {{min: 0, max: 3}}}}
    proofs: {{shape: cpu.small, capacity: spot}}
"""
LOADER = botocore.session.create_loader()


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[str, str]]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    moto.stop()


@pytest.fixture(autouse=True)
def aws(servers: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moto, stand_in = servers
    urlopen(Request(f"{moto}/moto-api/reset", method="POST")).close()
    StandIn.quotas, StandIn.unlisted, StandIn.servers, StandIn.denied = {}, set(), [], False
    StandIn.points = None
    StandIn.plan = None
    monkeypatch.setattr(aws_account, "RESOLVER", f"{stand_in}/resolve")
    # Each session would read the megabytes of AWS's descriptions again.
    monkeypatch.setattr(botocore.session, "create_loader", lambda path=None: LOADER)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": moto,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": stand_in,
        "AWS_ENDPOINT_URL_SSM": stand_in,
        "AWS_ENDPOINT_URL_BACKUP": stand_in,
        "AWS_ENDPOINT_URL_FREETIER": stand_in,
    }.items():
        monkeypatch.setenv(name, value)


Look = Callable[..., list[Check]]
_clients: dict[str, Any] = {}


def client(service: str) -> Any:
    """A client of these tests: making one reads megabytes of AWS's descriptions."""
    if service not in _clients:
        _clients[service] = boto3.client(service, "us-east-1")
    return _clients[service]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """The checks of a stack whose team has this setting: all of them, as the command does it, or one."""

    def look(team: str = "runs_on: instances", text: str | None = None, only: Any = None) -> list[Check]:
        stack = tmp_path / "Pulumi.art.yaml"
        stack.write_text(STACK.format(team=team) if text is None else text)
        here = Settings(tmp_path / "home", 7860, stack)
        if only is None:
            return list(aws_account.of_stack(here))
        return list(only(StackAccount(spec_of(here), "us-east-1", client)))

    return look


def of(checks: list[Check], what: str) -> list[Check]:
    return [check for check in checks if check.what == what]


def delegated(domain: str = "art.example.com") -> None:
    """A hosted zone that the DNS of the world knows."""
    zone = client("route53").create_hosted_zone(Name=domain, CallerReference="x")
    StandIn.servers = [server.upper() for server in zone["DelegationSet"]["NameServers"]]


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


def test_a_domain_that_is_delegated_elsewhere(look: Look) -> None:
    """The most usual reason why there is no certificate: which servers to put where."""
    delegated()
    StandIn.servers = ["ns1.parking.example"]
    (check,) = look(only=aws_account.domain)
    assert check.verdict == "failed"
    assert "delegated to ns1.parking.example" in check.seen
    assert "awsdns" in check.advice
    assert "the zone above it" in check.advice
    StandIn.servers = []
    assert "delegated to nobody" in look(only=aws_account.domain)[0].seen


def test_a_zone_above_holds_the_domain(look: Look) -> None:
    """example.com's zone is delegated to; art.example.com needs none of its own."""
    delegated("example.com")
    (check,) = look(only=aws_account.domain)
    assert (check.verdict, check.seen) == ("ok", "example.com is delegated to its hosted zone")


def test_no_zone(look: Look) -> None:
    """To be found it must be there; to be made, not yet."""
    assert look(only=aws_account.domain)[0].verdict == "failed"
    (check,) = look("zone: create", only=aws_account.domain)
    assert check.verdict == "warning"
    assert "`pulumi up` makes it" in check.advice


def test_a_resolver_that_does_not_answer(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known, and said so; the rest is looked at."""
    delegated()
    monkeypatch.setattr(aws_account, "RESOLVER", "http://127.0.0.1:9")
    checks = look()
    assert of(checks, "domain") == []
    assert [check.verdict for check in of(checks, "aws")] == ["ok", "warning"]
    assert of(checks, "files")


# ── machine images and files ─────────────────────────────────────────────────────────────────────


def test_a_newer_machine_image(look: Look) -> None:
    """An old pin is offered the newest, as the line to write."""
    delegated()
    pins = "machine_images: {gateway: ami-0aaaaaaaaaaaaaaaa, gpu: ami-0123456789abcdef0}"
    gateway, gpu = look(pins, only=aws_account.machine_images)
    assert gateway.verdict == "ok"
    assert gpu.verdict == "warning"
    assert "easel:team.machine_images.gpu: ami-0bbbbbbbbbbbbbbbb" in gpu.advice


def test_an_image_that_was_taken_once_and_kept(look: Look) -> None:
    """Without a pin the first one stays in the launch templates: a newer one is offered too."""
    ec2 = client("ec2")
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "easel:team", "Value": "art"}]}]
    data = {"ImageId": "ami-0123456789abcdef0", "InstanceType": "g5.2xlarge"}
    ec2.create_launch_template(LaunchTemplateName="art", LaunchTemplateData=data, TagSpecifications=tags)
    assert {check.verdict for check in look(only=aws_account.machine_images)} == {"warning"}
    ec2.create_launch_template_version(
        LaunchTemplateName="art", LaunchTemplateData=data | {"ImageId": StandIn.newest["gpu"]}
    )
    assert [check.verdict for check in look(only=aws_account.machine_images)][1] == "ok"


def test_a_gateway_that_runs_an_older_image_is_offered_the_newest(look: Look) -> None:
    """What the one machine that the world reaches runs counts, not what new ones would start from."""
    tags = [{"Key": "easel:team", "Value": "art"}, {"Key": "Name", "Value": "easel-art-gateway"}]

    def start(image: str) -> str:
        made = client("ec2").run_instances(
            ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.small",
            TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
        )  # fmt: skip
        return str(made["Instances"][0]["InstanceId"])

    old = start("ami-0123456789abcdef0")
    (gateway, _) = look(only=aws_account.machine_images)
    assert gateway.verdict == "warning"
    assert "easel:team.machine_images.gateway: ami-0aaaaaaaaaaaaaaaa" in gateway.advice
    assert "the door is closed for some minutes" in gateway.advice
    client("ec2").terminate_instances(InstanceIds=[old])
    start(StandIn.newest["gateway"])
    assert look(only=aws_account.machine_images)[0].verdict == "ok"


def test_no_gpu_needs_no_gpu_image(look: Look) -> None:
    """Only what instances start from is looked at."""
    text = STACK.format(team="zone: find").replace("gpu.a10", "cpu.small")
    assert [check.seen.split(":")[0] for check in look(text=text, only=aws_account.machine_images)] == [
        "gateway"
    ]


def test_a_slow_file_system(look: Look) -> None:
    """With the command that makes it fast; another team's is none of ours."""
    efs = client("efs")

    def made(token: str, team: str, mode: str) -> str:
        tags = [{"Key": "easel:team", "Value": team}]
        made = efs.create_file_system(CreationToken=token, ThroughputMode=mode, Tags=tags)
        return str(made["FileSystemId"])

    made("1", "art-2", "bursting")
    assert "no file system yet" in look(only=aws_account.file_system)[0].seen
    slow = made("2", "art", "bursting")
    (check,) = look(only=aws_account.file_system)
    assert check.verdict == "warning"
    assert check.advice == f"aws efs update-file-system --file-system-id {slow} --throughput-mode elastic"
    fast = made("3", "other", "elastic")
    assert look(f"storage: {{existing: {fast}}}", only=aws_account.file_system)[0].verdict == "ok"
    (missing,) = look("storage: {existing: fs-0123456789abcdef0}", only=aws_account.file_system)
    assert missing.verdict == "failed"


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def test_doctor_looks_at_the_account_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the other checks, and its exit status counts."""
    stack = tmp_path / "Pulumi.art.yaml"
    stack.write_text(STACK.format(team="zone: find"))
    env: dict[str, Any] = {"EASEL_STACK": str(stack), "EASEL_HOME": str(tmp_path / "home")}
    done = CliRunner().invoke(main, ["doctor", "--json"], env=env)
    found = json.loads(done.stdout)
    assert {"python", "aws", "quota", "domain"} <= {each["what"] for each in found}
    assert done.exit_code == 1, "there is no hosted zone"
    assert all(each["advice"] for each in found if each["verdict"] != "ok")


def backup(files: str, gigabytes: float, day: int) -> dict[str, Any]:
    return {
        "RecoveryPointArn": f"arn:aws:backup:us-east-1:{DEFAULT_ACCOUNT_ID}:recovery-point:{day}",
        "ResourceArn": f"arn:aws:elasticfilesystem:us-east-1:{DEFAULT_ACCOUNT_ID}:file-system/{files}",
        "BackupSizeInBytes": int(gigabytes * 1e9),
        "CreationDate": 1_750_000_000 + day * 86400,
    }


def test_what_earlier_stacks_left_is_told_with_its_price(look: Look) -> None:
    """A gateway's volume without a machine, and recovery points, also of a file system that is gone."""
    tags = [{"Key": "easel:team", "Value": "art"}, {"Key": "Name", "Value": "easel-art-gateway-data"}]
    made = {"AvailabilityZone": "us-east-1a", "Size": 8}
    left = client("ec2").create_volume(**made, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}])[
        "VolumeId"
    ]
    other = [{"Key": "easel:team", "Value": "art-2"}, tags[1]]
    client("ec2").create_volume(**made, TagSpecifications=[{"ResourceType": "volume", "Tags": other}])
    mine = client("efs").create_file_system(CreationToken="a", Tags=tags[:1])["FileSystemId"]
    theirs = client("efs").create_file_system(CreationToken="b", Tags=other[:1])["FileSystemId"]
    StandIn.points = [
        backup(mine, 10, 1), backup(mine, 12, 2), backup(theirs, 99, 1), backup("fs-0gone", 40, 1)
    ]  # fmt: skip
    volume, gone, own = look(only=left_behind)
    assert (volume.verdict, gone.verdict, own.verdict) == ("warning", "warning", "ok")
    assert f"{left}: " in volume.seen
    assert "$0.64 a month" in volume.seen
    assert f"easel:team.storage.gateway: {left}" in volume.advice
    assert "fs-0gone: 1 recovery points" in gone.seen
    assert "about $2.00 a month" in gone.seen
    assert "delete-recovery-point" in gone.advice
    assert f"{mine}: 2 recovery points" in own.seen
    assert "12.0 GB: about $0.60" in own.seen
    (only, *_) = look(f"storage: {{gateway: {left}}}\n    runs_on: instances", only=left_behind)
    assert "backups" in only.what, "it is taken back already"


def test_an_account_without_backups_has_nothing_to_tell(look: Look) -> None:
    """The vault comes with the first backup."""
    assert look(only=left_behind) == []
