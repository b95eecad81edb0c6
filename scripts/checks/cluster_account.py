"""What an AWS account has for a stack that runs on a cluster, beside what `aws_account` looks at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from scripts.checks.check import Check
from scripts.checks.stack_account import StackAccount

CLUSTERS = "L-1194D53C"
"""The quota of EKS clusters in a region."""


def admins(account: StackAccount) -> Iterator[Check]:
    """Whether whoever runs pulumi may do anything in the cluster, and whether all its admins are there."""
    from infra.cluster.principals import is_among, name_of

    named = account.spec.team.cluster.admins
    if not named:
        return  # the platform's
    who = account.client("sts").get_caller_identity()["Arn"]
    if is_among(who, named):
        yield Check("admins", "ok", f"{who.split(':', 5)[5]} is among them")
    else:
        advice = "`pulumi up` by it would end half way: add its role or user to easel:team.cluster.admins"
        yield Check("admins", "failed", f"{who} is not among the cluster's admins", advice)
    iam = account.client("iam")
    for arn in named:
        kind, name = name_of(arn)
        try:
            if kind == "role":
                found = iam.get_role(RoleName=name)["Role"]["Arn"]
            else:
                found = iam.get_user(UserName=name)["User"]["Arn"]
        except iam.exceptions.NoSuchEntityException:
            yield Check("admins", "failed", f"there is no {arn}", "EKS takes only those that are there")
            continue
        if found != arn:
            yield Check("admins", "failed", f"{arn} is {found}", "write it with its path")


def version(account: StackAccount) -> Iterator[Check]:
    """Whether EKS has the cluster's Kubernetes, and still supports it at the usual price."""
    from infra.cluster.versions import VERSION

    wanted = account.spec.team.cluster.version or VERSION
    client = account.client("eks")
    known = {
        str(one["clusterVersion"]): str(one.get("versionStatus") or one.get("status", ""))
        for page in client.get_paginator("describe_cluster_versions").paginate(includeAll=True)
        for one in page["clusterVersions"]
    }
    newest = max(known, key=lambda one: tuple(map(int, one.split("."))), default=wanted)
    status = known.get(wanted, "").lower()
    seen = f"Kubernetes {wanted}"
    if status.startswith("standard"):
        yield Check("version", "ok", f"{seen} is in EKS's standard support")
    elif wanted in known:
        advice = f"EKS upgrades it by itself: write easel:team.cluster.version: '{newest}'"
        yield Check("version", "warning", f"{seen} is no longer in EKS's standard support", advice)
    else:
        yield Check("version", "failed", f"EKS has no {seen}", f"easel:team.cluster.version: '{newest}'")


def driver(account: StackAccount) -> Iterator[Check]:
    """Whether EKS has the driver of volumes, in the version that easel asks for, for that Kubernetes."""
    from infra.cluster import versions

    if account.spec.team.platform != "own":
        return
    wanted = account.spec.team.cluster.version or versions.VERSION
    pages = (
        account.client("eks")
        .get_paginator("describe_addon_versions")
        .paginate(addonName=versions.DRIVER, kubernetesVersion=wanted)
    )
    there = [
        str(one["addonVersion"])
        for page in pages
        for add_on in page["addons"]
        for one in add_on["addonVersions"]
    ]
    seen = f"{versions.DRIVER} {versions.DRIVER_VERSION} for Kubernetes {wanted}"
    if versions.DRIVER_VERSION in there:
        yield Check("version", "ok", seen)
    else:
        advice = f"take another easel:team.cluster.version; EKS has {', '.join(there) or 'none'}"
        yield Check("version", "failed", f"EKS has no {seen}", advice)


def clusters(account: StackAccount) -> Iterator[Check]:
    """Whether the region may have one cluster more."""
    if account.spec.team.platform != "own":
        return
    eks = account.client("eks")
    there = [name for page in eks.get_paginator("list_clusters").paginate() for name in page["clusters"]]
    allowed = account.quota("eks", CLUSTERS)
    seen = f"{len(there)} of {allowed} clusters in {account.region} ({CLUSTERS})"
    if len(there) < allowed or f"easel-{account.spec.name}-cluster" in there:
        yield Check("quota", "ok", seen)
    else:
        yield Check("quota", "failed", seen, "ask for more, delete one, or share one: easel:team.platform")


def command_line(_: StackAccount) -> Iterator[Check]:
    """Whether pulumi can sign in to the cluster from here."""
    if shutil.which("aws"):
        yield Check("aws", "ok", "the aws command is there, by which pulumi comes to the cluster")
    else:
        advice = "install the AWS CLI (version 2): `aws eks get-token` is how pulumi signs in"
        yield Check("aws", "failed", "there is no aws command", advice)
