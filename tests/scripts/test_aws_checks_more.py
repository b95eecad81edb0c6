"""What `easel doctor` sees of domain, machine images, files and what earlier stacks left."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from moto.core import DEFAULT_ACCOUNT_ID
from moto.route53 import models as route53

from scripts.__main__ import main
from scripts.checks import aws_account
from scripts.checks.leftovers import left_behind
from tests.scripts.aws_look import STACK, Look, aws, client, delegated, look, of, servers
from tests.scripts.aws_stand_in import StandIn

__all__ = ["aws", "look", "servers"]


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


def test_a_zone_that_is_named_and_another_domains(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi up` would be refused at its first record. AWS's ids begin with Z, which moto's do by chance."""
    monkeypatch.setattr(route53, "create_route53_zone_id", lambda *_, **__: "Z0123456789ABCDEFGHI")
    made = client("route53").create_hosted_zone(Name="example.org", CallerReference="other")
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    (check,) = look(f"zone: {zone}", only=aws_account.domain)
    assert check.verdict == "failed"
    assert check.seen == f"{zone} is the hosted zone of example.org, not of art.example.com"


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
