"""What earlier stacks of a team left at AWS and what is paid for until somebody takes it back or away."""

from collections.abc import Iterator
from typing import Any

from scripts.checks.check import Check
from scripts.checks.stack_account import StackAccount

VAULT = "aws/efs/automatic-backup-vault"
"""Where AWS Backup keeps what it makes of file systems by itself ("Backing up EFS file systems")."""


def left_behind(account: StackAccount) -> Iterator[Check]:
    """What earlier stacks left, and what it costs."""
    yield from _volumes(account)
    yield from _recovery_points(account)


def _volumes(account: StackAccount) -> Iterator[Check]:
    from infra.cost import RATES

    team = account.spec.name
    named = {"tag:easel:team": team, "tag:Name": f"easel-{team}-gateway-data", "status": "available"}
    found = account.client("ec2").describe_volumes(
        Filters=[{"Name": name, "Values": [value]} for name, value in named.items()]
    )["Volumes"]
    for volume in found:
        id_ = volume["VolumeId"]
        if id_ == account.spec.team.storage.gateway:
            continue
        yield Check(
            "left behind",
            "warning",
            f"{id_}: a gateway's data volume that no machine has, ${volume['Size'] * RATES.disk:.2f} a month",
            f"to have its certificates again, easel:team.storage.gateway: {id_}; "
            f"else `aws ec2 delete-volume --volume-id {id_}`",
        )


def _recovery_points(account: StackAccount) -> Iterator[Check]:
    from infra.cost import RATES

    efs = account.client("efs")
    pages = efs.get_paginator("describe_file_systems").paginate()
    there = {one["FileSystemArn"]: one for page in pages for one in page["FileSystems"]}
    mine = {"Key": "easel:team", "Value": account.spec.name}
    existing = account.spec.team.storage.existing
    by_files: dict[str, list[dict[str, Any]]] = {}
    for point in _points(account):
        by_files.setdefault(point["ResourceArn"], []).append(point)
    for arn, points in sorted(by_files.items()):
        files, name = there.get(arn), arn.rpartition("/")[2]
        if files and mine not in files.get("Tags", ()) and name != existing:
            continue  # another team's
        newest = max(points, key=lambda point: point["CreationDate"])
        size = newest.get("BackupSizeInBytes", 0) / 1e9
        seen = (
            f"{name}: {len(points)} recovery points in {VAULT}, the newest of {size:.1f} GB: "
            f"about ${size * RATES.backups:.2f} a month, more where files changed between them"
        )
        if files:
            yield Check("backups", "ok", seen)
        else:
            yield Check(
                "backups",
                "warning",
                f"{seen}; the file system is gone",
                f"each ends 35 days after it was made; sooner, once the vault's access policy allows it: "
                f"`aws backup delete-recovery-point --backup-vault-name {VAULT} --recovery-point-arn "
                f"{newest['RecoveryPointArn']}`",
            )


def _points(account: StackAccount) -> Iterator[dict[str, Any]]:
    """The recovery points of file systems. A vault that was never needed is not there."""
    client = account.client("backup")
    asked = {"BackupVaultName": VAULT, "ByResourceType": "EFS"}
    try:
        for page in client.get_paginator("list_recovery_points_by_backup_vault").paginate(**asked):
            yield from page.get("RecoveryPoints", ())
    except client.exceptions.ResourceNotFoundException:
        return
