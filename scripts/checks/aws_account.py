"""What an AWS account has for a stack that runs there, check by check, before `pulumi up` needs it.

Each check asks and changes nothing. One that may not ask says so and is no reason to stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from scripts.checks import cluster_account
from scripts.checks.check import Check, Verdict
from scripts.checks.leftovers import left_behind
from scripts.checks.stack_account import StackAccount, opened
from scripts.settings import CommandRefused, Settings

if TYPE_CHECKING:
    from infra.shapes import InstanceType
    from infra.spec import Spec

RESOLVER = "https://dns.google/resolve"
"""The DNS as the world sees it, which is what an authority for certificates asks: a resolver with JSON
answers (https://developers.google.com/speed/public-dns/docs/doh/json). A company's own may know better."""

GATEWAYS = "gateways and KEDA"
"""What the small machines of a cluster are for."""
_NS = 2
_MOVES = {
    "gateway": "`pulumi up` then makes another machine with the same disk and address, and the door is "
    "closed for some minutes",
    "gpu": "new instances start from it",
}
_ACCESS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException")


def of_stack(here: Settings) -> Iterator[Check]:
    """Every check, for a stack that runs on AWS; none for another, or for one that cannot be read."""
    from scripts.stacks.loading import spec_at

    try:
        spec = spec_at(here.stack)
    except CommandRefused:
        return  # told by the check of the stack file
    if spec.team.runs_on not in OF_A_TARGET:
        return
    found = opened(here, spec)
    if isinstance(found, Check):
        yield found
        return
    for check in (credentials, plan, quotas, offered, domain, *OF_A_TARGET[spec.team.runs_on]):
        checks = list(_asked(check, found))
        yield from checks
        if check is credentials and any(one.verdict == "failed" for one in checks):
            yield Check(
                "aws", "warning", "plan, quotas, instance types, domain, images and files were not looked at",
                "they are once the credentials are good",
            )  # fmt: skip
            return


def credentials(account: StackAccount) -> Iterator[Check]:
    """Whose account it is, and where."""
    who = account.client("sts").get_caller_identity()
    yield Check("aws", "ok", f"account {who['Account']}, {account.region}, as {who['Arn'].split(':', 5)[5]}")


def plan(account: StackAccount) -> Iterator[Check]:
    """Whether the account may start what the stack runs on: on AWS's free plan only a few small types.

    By GetAccountPlanState, and by what DescribeInstanceTypes calls eligible.
    """
    if account.region.startswith(("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")):
        return  # there are no plans
    client = account.client("freetier")
    try:
        state = client.get_account_plan_state()
    except client.exceptions.ResourceNotFoundException:
        return  # opened before there were plans, or paid for by an organisation
    if state.get("accountPlanType") != "FREE":
        return
    eligible = _free(account)
    left = state.get("accountPlanRemainingCredits") or {}
    credits = f", {left['amount']:g} {left['unit']} of credits left" if "amount" in left else ""
    seen = f"the account is on AWS's free plan{credits}"
    kinds = _types(account.spec).items()
    lacking = [what for what, types in kinds if not eligible & {one.name for one in types}]
    if lacking:
        advice = "upgrade it: aws freetier upgrade-account-plan --account-plan-type PAID"
        yield Check("plan", "failed", f"{seen}, which sells nothing for {', '.join(lacking)}", advice)
    else:
        yield Check("plan", "ok", seen)


def quotas(account: StackAccount) -> Iterator[Check]:
    """vCPUs that may run at once, against every endpoint with its most replicas."""
    from infra.bill import bill_of

    for quota, need in bill_of(account.spec).vcpus(account.spec).items():
        allowed = account.quota("ec2", quota.code)
        seen = f"{need.needed} of {allowed} vCPUs of {quota.what} at most ({quota.code}){need.more}"
        if need.needed <= allowed:
            yield Check("quota", "ok", seen)
            continue
        page = f"https://console.aws.amazon.com/servicequotas/home?region={account.region}"
        link = f"{page}#!/services/ec2/quotas/{quota.code}"
        yield Check(
            "quota",
            "warning" if allowed >= need.least else "failed",
            seen,
            f"ask for {need.needed} (hours to days), or lower replicas.max: {link}",
        )


def offered(account: StackAccount) -> Iterator[Check]:
    """In which zones the instance types of each shape are sold."""
    wanted = {what: [one.name for one in types] for what, types in _types(account.spec).items()}
    zones = _zones_of(account, sorted({one for names in wanted.values() for one in names}))
    for what, names in wanted.items():
        sold = {name: zones[name] for name in names if zones.get(name)}
        seen = f"{what}: " + (
            "; ".join(f"{name} in {', '.join(sorted(where))}" for name, where in sold.items())
            or f"{', '.join(names)} are not sold in {account.region}"
        )
        places = set().union(*sold.values()) if sold else set()
        if not sold:
            yield Check("types", "failed", seen, "take another shape, or another aws:region")
        elif names[0] not in sold and what != GATEWAYS:
            advice = f"the preferred {names[0]} is not sold here: the others take its place, at their price"
            yield Check("types", "warning", seen, advice)
        elif len(places) < 2 and what != "the gateway":
            yield Check("types", "warning", seen, "one zone alone is sold out sooner: expect waiting")
        else:
            yield Check("types", "ok", seen)


def domain(account: StackAccount) -> Iterator[Check]:
    """Whether the world asks the team's hosted zone for its names."""
    from infra.names import suffixes

    name, zone = account.spec.team.domain, account.spec.team.zone
    if not name:
        yield Check("domain", "failed", "none", "name one: easel:team.domain")
        return
    client = account.client("route53")
    if zone not in ("find", "create"):
        found = [client.get_hosted_zone(Id=zone)]
    else:
        names = suffixes(name) if zone == "find" else [name]
        ids = next((ids for suffix in names if (ids := _public_zones(client, suffix))), [])
        found = [client.get_hosted_zone(Id=one) for one in ids]
    if not found:
        if zone == "create":
            advice = "`pulumi up` makes it and shows the name servers to delegate to"
            yield Check("domain", "warning", f"{name} has no hosted zone yet", advice)
        else:
            advice = "add `zone: create` to easel:team, or host the domain in Route 53"
            yield Check("domain", "failed", f"no hosted zone of this account holds {name}", advice)
        return
    held = found[0]["HostedZone"]["Name"].rstrip(".")
    if name != held and not name.endswith(f".{held}"):
        advice = "name the zone that holds the domain, or leave easel:team.zone out, and it is found"
        yield Check("domain", "failed", f"{zone} is the hosted zone of {held}, not of {name}", advice)
        return
    ours = [{_plain(server) for server in one["DelegationSet"]["NameServers"]} for one in found]
    told = name_servers(held)
    if told in ours:
        yield Check("domain", "ok", f"{held} is delegated to its hosted zone")
        return
    servers = ", ".join(sorted(ours[0]))
    where = "its registrar" if held.count(".") == 1 else "the zone above it"
    seen = f"{held} is delegated to {', '.join(sorted(told)) or 'nobody'}, not to its hosted zone"
    yield Check("domain", "failed", seen, f"put these name servers for {held} at {where}: {servers}")


def machine_images(account: StackAccount) -> Iterator[Check]:
    """Whether AWS has newer machine images than those that instances start from."""
    from infra.newest import NEWEST
    from infra.shapes import SHAPES

    pinned = account.spec.team.machine_images
    uses_gpu = any(SHAPES[each.shape].gpu for each in account.spec.endpoints.values())
    for kind, parameter in NEWEST.items():
        if kind == "gpu" and not uses_gpu:
            continue
        newest = account.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
        pin = f"easel:team.machine_images.{kind}: {newest}"
        given = getattr(pinned, kind)
        if given == newest:
            yield Check("image", "ok", f"{kind}: {given}, AWS's newest")
        elif given:
            advice = f"for its fixes, {pin}; {_MOVES[kind]}"
            yield Check("image", "warning", f"{kind}: {given} is pinned, AWS has a newer one", advice)
        elif newest in (used := _used(account, kind)) or not used:
            yield Check("image", "ok", f"{kind}: not pinned, AWS's newest is {newest}")
        else:
            seen = f"{kind}: instances may start from an older one than AWS's newest"
            yield Check("image", "warning", seen, f"to move, {pin}; {_MOVES[kind]}")


def file_system(account: StackAccount) -> Iterator[Check]:
    """Whether the store of models is as fast as it can be."""
    existing = account.spec.team.storage.existing
    client = account.client("efs")
    which = {"FileSystemId": existing} if existing else {}
    try:
        found = client.describe_file_systems(**which)["FileSystems"]
    except client.exceptions.FileSystemNotFound:
        advice = "look at id, region and account; leave easel:team.storage.existing out for a new one"
        yield Check("files", "failed", f"there is no file system {existing} in {account.region}", advice)
        return
    if not existing:
        mine = {"Key": "easel:team", "Value": account.spec.name}
        found = [one for one in found if mine in one.get("Tags", ())]
    if not found:
        yield Check("files", "ok", "no file system yet: `pulumi up` makes it")
    for one in found:
        name, mode = one["FileSystemId"], one.get("ThroughputMode", "bursting")
        if mode == "elastic":
            yield Check("files", "ok", f"{name}: elastic throughput")
        else:
            yield Check(
                "files",
                "warning",
                f"{name}: {mode} throughput, with which a checkpoint may take minutes to load",
                f"aws efs update-file-system --file-system-id {name} --throughput-mode elastic",
            )


OF_A_TARGET: dict[str, tuple[Callable[[StackAccount], Iterator[Check]], ...]] = {
    "instances": (machine_images, file_system, left_behind),
    "cluster": (
        cluster_account.admins,
        cluster_account.version,
        cluster_account.driver,
        cluster_account.clusters,
        cluster_account.command_line,
        file_system,
        left_behind,
    ),
}
"""What is looked at for one target, beside what is for all."""


def name_servers(zone: str) -> set[str]:
    """Whom the DNS of the world says to ask about a zone. Raises httpx.HTTPError, ValueError."""
    import httpx

    answer = httpx.get(RESOLVER, params={"name": zone, "type": "NS"}, timeout=10).raise_for_status().json()
    return {_plain(str(one["data"])) for one in answer.get("Answer", ()) if one.get("type") == _NS}


def _asked(check: Callable[[StackAccount], Iterator[Check]], account: StackAccount) -> Iterator[Check]:
    """A check, or what kept it from asking."""
    import httpx
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    name = (check.__doc__ or "").split(",")[0].rstrip(".")
    try:
        yield from check(account)
    except NoCredentialsError:
        advice = "`aws configure sso`, or set AWS_PROFILE; everything about AWS is skipped"
        yield Check("aws", "failed", "no credentials", advice)
    except ClientError as error:
        code, said = error.response["Error"].get("Code", "?"), error.response["Error"].get("Message", "")
        if check is credentials:
            advice = "sign in again (`aws sso login`), or look at AWS_PROFILE"
            yield Check("aws", "failed", f"the credentials are refused: {code}: {said}", advice)
        elif code in _ACCESS:
            advice = f"a role that may {error.operation_name} can look; the rest does not depend on it"
            yield Check("aws", "warning", f"not allowed to look: {name}", advice)
        else:
            yield Check("aws", "warning", f"could not look: {name} ({code}: {said})", "try again later")
    except (BotoCoreError, httpx.HTTPError, ValueError) as error:
        verdict: Verdict = "failed" if check is credentials else "warning"
        yield Check("aws", verdict, f"could not look: {name} ({error})", "is there a way to the internet?")


def _types(spec: Spec) -> dict[str, tuple[InstanceType, ...]]:
    """What the gateway and each shape of the stack run on, the preferred type first."""
    from infra.shapes import GATEWAY, SHAPES, SYSTEM

    shapes = sorted({endpoint.shape for endpoint in spec.endpoints.values()})
    front = {GATEWAYS: SYSTEM} if spec.team.runs_on == "cluster" else {"the gateway": (GATEWAY,)}
    return front | {name: SHAPES[name].instance_types for name in shapes}


def _free(account: StackAccount) -> set[str]:
    """The instance types that the free plan covers in the region."""
    pages = (
        account.client("ec2")
        .get_paginator("describe_instance_types")
        .paginate(Filters=[{"Name": "free-tier-eligible", "Values": ["true"]}])
    )
    return {str(one["InstanceType"]) for page in pages for one in page["InstanceTypes"]}


def _zones_of(account: StackAccount, types: list[str]) -> dict[str, set[str]]:
    pages = (
        account.client("ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}])
    )
    zones: dict[str, set[str]] = {}
    for page in pages:
        for one in page["InstanceTypeOfferings"]:
            zones.setdefault(one["InstanceType"], set()).add(one["Location"])
    return zones


def _public_zones(client: Any, name: str) -> list[str]:
    """Hosted zones of exactly this name, which the API sorts first."""
    found = client.list_hosted_zones_by_name(DNSName=name)["HostedZones"]
    return [
        str(one["Id"]).removeprefix("/hostedzone/")
        for one in found
        if one["Name"].rstrip(".") == name and not one["Config"].get("PrivateZone")
    ]


def _used(account: StackAccount, kind: str) -> set[str]:
    """The machine images that the team's gateway runs, and else those in its launch templates."""
    ec2 = account.client("ec2")
    mine = [{"Name": "tag:easel:team", "Values": [account.spec.name]}]
    used = set()
    if kind == "gateway":
        named = {"Name": "tag:Name", "Values": [f"easel-{account.spec.name}-gateway"]}
        living = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
        found = ec2.describe_instances(Filters=[*mine, named, living])["Reservations"]
        if gateways := {one["ImageId"] for reservation in found for one in reservation["Instances"]}:
            return gateways
    for template in ec2.describe_launch_templates(Filters=mine)["LaunchTemplates"]:
        versions = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        used |= {str(one["LaunchTemplateData"].get("ImageId", "")) for one in versions}
    return used - {""}


def _plain(server: str) -> str:
    return server.rstrip(".").lower()
