"""The policy of whoever runs `pulumi up` for one team: what `infra.deployer.rights` lists, held to the team.

By the tag `easel:team` where AWS knows it for the action: what is made must carry it, what is changed or
ended must carry it already. By name where it does not. What neither holds is in `UNHELD`, each with its
reason. Actions, resources and condition keys are those of AWS's Service Authorization Reference.
"""

import json
from collections.abc import Iterable
from typing import Any

from infra.bake import REPOSITORY
from infra.deployer.looks import look_statements
from infra.deployer.place import SUFFIX, Place
from infra.deployer.rights import writes
from infra.policies import Statement, allow
from infra.spec import Spec
from infra.tags import TEAM

LONGEST = 6_144
"""Characters without spaces that IAM lets a managed policy have; a role may have ten of them."""

UNHELD = {
    "StartInstances": "what an instance starts from and with: images are AWS's, subnets may be an adopted "
    "VPC's; the instance itself must carry the tag",
    "MoveAddresses": "a machine's own network interface has no tags; address and machine have",
    "ReachFiles": "EFS makes, changes and ends a mount target's interface with its caller's rights, untagged",
    "NameServersOfANewZone": "Route 53 knows no tags of zones; only with `zone: create`",
    "MakeTheZone": "as above",
    "RulesOfTheFilesGroups": "groups of an adopted file system's mount targets, which are others'",
}
"""Statements without a tag or the team's name in them, by Sid, and why."""

_MADE = {
    "ec2:AllocateAddress": "elastic-ip",
    "ec2:AuthorizeSecurityGroupEgress": "security-group-rule",
    "ec2:AuthorizeSecurityGroupIngress": "security-group-rule",
    "ec2:CreateInternetGateway": "internet-gateway",
    "ec2:CreateLaunchTemplate": "launch-template",
    "ec2:CreateRouteTable": "route-table",
    "ec2:CreateSecurityGroup": "security-group",
    "ec2:CreateSubnet": "subnet",
    "ec2:CreateVolume": "volume",
    "ec2:CreateVpc": "vpc",
    "ec2:CreateVpcEndpoint": "vpc-endpoint",
    "ec2:RunInstances": "instance",
}
"""What each makes, tagged in the same request."""
_WITHIN = ("ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateVpcEndpoint")
_STARTED_WITH = ("image", "launch-template", "network-interface", "security-group", "subnet", "volume")
_INTERFACES = (
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:ModifyNetworkInterfaceAttribute",
)
_ADDRESSES = ("ec2:AssociateAddress", "ec2:DisassociateAddress")
_RULES = ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
_NEW = (
    *("acm:AddTagsToCertificate", "acm:RequestCertificate"),
    *("autoscaling:CreateAutoScalingGroup", "autoscaling:CreateOrUpdateTags"),
    "eks:CreateCluster",
    *("elasticfilesystem:CreateFileSystem", "elasticfilesystem:TagResource"),
    *("kms:CreateKey", "kms:TagResource"),
)
"""Beside EC2's: what makes something that the tag comes with."""
_BOUND = ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePolicy")
"""What a permissions boundary is asked of."""
_LINKED = {
    "instances": ("autoscaling", "events", "elasticfilesystem"),
    "cluster": ("eks", "elasticfilesystem", "elasticloadbalancing", "spot"),
}
"""Services whose own roles the first team of an account needs made."""
_PASSED = {"instances": ("codebuild", "ec2"), "cluster": ("codebuild", "eks", "pods.eks")}


def deployer_statements(spec: Spec, partition: str = "aws") -> list[Statement]:
    """All that `pulumi up` and `pulumi destroy` of this team's stack ask of AWS, looking included."""
    place = Place(spec, partition)
    asked = writes(spec.team.runs_on)
    own = _Own(place, asked)
    found = [
        *look_statements(place),
        *own.of_ec2(),
        *own.of_tagged_services(),
        *own.of_iam(),
        *own.of_names(),
        *own.of_domain(),
    ]
    return [statement for statement in found if statement["Action"]]


def previewer_statements(spec: Spec, partition: str = "aws") -> list[Statement]:
    """What `pulumi preview` and a nightly comparison ask of AWS."""
    return look_statements(Place(spec, partition))


def state_statements(bucket: str, key: str, partition: str, *, changes: bool) -> list[Statement]:
    """The bucket of Pulumi's state and the key of its secrets. A preview takes no lock, so it only reads."""
    inside = f"arn:{partition}:s3:::{bucket}"
    actions = ["s3:GetObject", *(["s3:DeleteObject", "s3:PutObject"] if changes else [])]
    return [
        allow("FindTheState", ["s3:GetBucketLocation", "s3:ListBucket"], inside),
        allow("KeepTheState" if changes else "ReadTheState", sorted(actions), f"{inside}/*"),
        allow("OpenItsSecrets", ["kms:Decrypt", *(["kms:Encrypt"] if changes else [])], key),
    ]


def length(statements: Iterable[Statement]) -> int:
    """Characters as IAM counts them: without spaces."""
    whole = {"Version": "2012-10-17", "Statement": list(statements)}
    return len(json.dumps(whole, separators=(",", ":")))


def parts(statements: Iterable[Statement]) -> list[list[Statement]]:
    """The statements, in their order, in as few policies as IAM takes them in."""
    found: list[list[Statement]] = [[]]
    for statement in statements:
        if length([*found[-1], statement]) > LONGEST:
            found.append([])
        found[-1].append(statement)
    return found


class _Own:
    """Statements from what is asked, held to the team."""

    def __init__(self, place: Place, asked: frozenset[str]) -> None:
        self._place, self._asked = place, asked
        self._carries = {f"aws:ResourceTag/{TEAM}": place.team}
        self._given = {f"aws:RequestTag/{TEAM}": place.team}

    def of_ec2(self) -> list[Statement]:
        """Network, machines, disks."""
        ours = self._of("ec2:") - {"ec2:RunInstances", *_INTERFACES, *(_MADE.keys() - set(_RULES))}
        ours |= {"ec2:AuthorizeSecurityGroupEgress"} & self._asked
        made = self._asked & _MADE.keys()
        starts = self._asked & {"ec2:RunInstances"}
        statements = [
            self._make("MakeOnlyTheTeams", made - set(_WITHIN)),
            # Apart from what they are made in, which carries a tag of its own.
            self._make("MakeNetworks", made & set(_WITHIN)),
            self._within(),
            self._allow("ChangeOnlyTheTeams", ours, [self._place.arn("ec2", "*")], equal=self._carries),
            self._allow("StartInstances", starts, [self._ec2(kind) for kind in _STARTED_WITH]),
            self._allow("MoveAddresses", self._asked & set(_ADDRESSES), [self._ec2("network-interface")]),
            self._allow(
                "ReachFiles",
                self._asked & set(_INTERFACES),
                [self._ec2(kind) for kind in ("network-interface", "security-group", "subnet")],
            ),
            self._allow(
                "TagWhatIsMade", {"ec2:CreateTags"}, [self._place.arn("ec2", "*")], like=_ON_CREATION
            ),
            # A VPC's first group and a machine's first disk come without tags and get them afterwards.
            self._allow(
                "TagWhatCameUntagged",
                {"ec2:CreateTags"},
                [self._ec2("security-group"), self._ec2("volume")],
                equal=self._given,
                absent=[f"aws:ResourceTag/{TEAM}"],
            ),
        ]
        if self._place.spec.team.storage.existing:
            groups = [self._ec2("security-group")]
            statements.append(self._allow("RulesOfTheFilesGroups", self._asked & set(_RULES), groups))
        return statements

    def _make(self, sid: str, actions: frozenset[str]) -> Statement:
        kinds = sorted({_MADE[action] for action in actions})
        return self._allow(sid, actions, [self._ec2(kind) for kind in kinds], equal=self._given)

    def _within(self) -> Statement:
        vpc = self._place.spec.team.network.vpc
        if vpc:
            adopted = [self._place.arn("ec2", f"vpc/{vpc}")]
            return self._allow("MakeInTheVpc", {"ec2:CreateSecurityGroup"}, adopted)
        parents = [self._ec2("route-table"), self._ec2("vpc")]
        return self._allow("MakeInTheVpc", self._asked & set(_WITHIN), parents, equal=self._carries)

    def of_tagged_services(self) -> list[Statement]:
        """Groups of instances, files, keys, certificates."""
        services = ("acm:", "autoscaling:", "elasticfilesystem:", "kms:")
        asked = {action for action in self._asked if action.startswith(services)}
        makes = asked | (self._asked & {"eks:CreateCluster"} if self._place.owns_cluster else set())
        statements = [
            self._allow("MakeTagged", makes & set(_NEW), ["*"], equal=self._given),
            self._allow(
                "ChangeTagged",
                asked
                - {"acm:RequestCertificate", "autoscaling:CreateAutoScalingGroup"}
                - {"elasticfilesystem:CreateFileSystem", "kms:CreateKey"},
                ["*"],
                equal=self._carries,
            ),
        ]
        if existing := self._place.spec.team.storage.existing:
            files = [self._place.arn("elasticfilesystem", f"file-system/{existing}")]
            there = {action for action in asked if action.startswith("elasticfilesystem:")}
            there -= {
                "elasticfilesystem:CreateFileSystem",
                "elasticfilesystem:DeleteAccessPoint",
                "elasticfilesystem:UpdateFileSystem",
            }
            statements.append(self._allow("LiveOnTheFiles", there, files))
        return statements

    def of_iam(self) -> list[Statement]:
        """Roles of the team's name and tag, with the boundary where the team has one."""
        roles = [self._place.of_iam(f"role/{name}") for name in self._place.roles]
        profiles = [self._place.of_iam(f"instance-profile/{name}") for name in self._place.roles]
        boundary = self._place.spec.team.iam.permissions_boundary
        bound = {"iam:PermissionsBoundary": boundary} if boundary else {}
        all_of_iam = self._of("iam:") - {"iam:PassRole", "iam:CreateServiceLinkedRole"}
        new = all_of_iam & {"iam:CreateInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole"}
        rights = all_of_iam & (set(_BOUND) - {"iam:CreateRole"})
        rest = all_of_iam - {"iam:CreateInstanceProfile", "iam:CreateRole", *(rights if bound else ())}
        runs_on = self._place.spec.team.runs_on
        passed = {"iam:PassedToService": sorted(f"{one}.amazonaws.com" for one in _PASSED[runs_on])}
        linked = {"iam:AWSServiceName": sorted(f"{one}.amazonaws.com" for one in _LINKED[runs_on])}
        boundaries = {"iam:PutRolePermissionsBoundary"} if boundary else set()
        return [
            self._allow("MakeRoles", {"iam:CreateRole"}, roles, equal=self._given | bound),
            self._allow("MakeProfiles", new, [*profiles, *roles], equal=self._given),
            self._allow(
                "GiveRights",
                (rights | boundaries) if bound else set(),
                roles,
                equal=self._carries | bound,
            ),
            self._allow("ChangeRoles", rest, [*profiles, *roles], equal=self._carries),
            # Not by tag: IAM says that it does not hold for this one ("Granting a user permissions to pass a
            # role to an AWS service").
            self._allow("PassRoles", {"iam:PassRole"}, roles, equal=passed),
            self._allow(
                "MakeServicesOwnRoles",
                {"iam:CreateServiceLinkedRole"},
                [self._place.of_iam("role/aws-service-role/*")],
                equal=linked,
            ),
        ]

    def of_names(self) -> list[Statement]:
        """What is held by its name."""
        place, team = self._place, self._place.team
        logs = [f"/easel/{team}", f"/easel/{team}/*", f"/easel-bake/{team}"]
        if place.spec.team.runs_on == "cluster":
            logs.append(f"/aws/eks/{place.cluster}/cluster")
        kinds = ("access-entry", "addon", "podidentityassociation")
        cluster = [place.arn("eks", f"cluster/{place.cluster}")]
        cluster += [place.arn("eks", f"{kind}/{place.cluster}/*") for kind in kinds]
        eks = self._of("eks:") - {"eks:CreateCluster"}
        if not place.owns_cluster:
            eks = frozenset(one for one in eks if "PodIdentity" in one or one.endswith("agResource"))
        buckets = [*place.buckets, *(f"{bucket}/*" for bucket in place.buckets)]
        builds = [place.arn("codebuild", f"project/easel-{team}-bake")]
        alarms = [place.arn("cloudwatch", f"alarm:easel-{team}-gateway-hangs-{SUFFIX}")]
        budgets = [place.arn("budgets", f"budget/easel-{team}-budget-{SUFFIX}", region="")]
        groups = [place.arn("logs", f"log-group:{name}") for name in logs]
        groups += [place.arn("logs", f"log-group:{name}:*") for name in logs]
        return [
            self._allow("KeepBuckets", self._of("s3:") | {"s3:ListBucketVersions"}, buckets),
            self._allow("KeepLogs", self._of("logs:"), groups),
            self._allow("KeepAlarms", self._of("cloudwatch:"), alarms),
            self._allow("KeepTheBudget", self._of("budgets:"), budgets),
            self._allow("Build", self._of("codebuild:"), builds),
            self._allow("KeepImages", self._of("ecr:"), [place.arn("ecr", f"repository/{REPOSITORY}")]),
            self._allow("KeepTheCluster", eks, cluster),
        ]

    def of_domain(self) -> list[Statement]:
        """Records below the team's domain, in whichever zone holds it; a new zone where one is asked for."""
        team, place = self._place.spec.team, self._place
        zone = team.zone if team.zone not in ("find", "create") else "*"
        zones = [f"arn:{place.partition}:route53:::hostedzone/{zone}"]
        names = {"route53:ChangeResourceRecordSetsNormalizedRecordNames": [f"*.{team.domain}"]}
        record = allow("KeepRecords", "route53:ChangeResourceRecordSets", zones[0])
        # Without Null, a request that names nothing would pass ForAllValues.
        record["Condition"] = {"ForAllValues:StringLike": names, "Null": dict.fromkeys(names, "false")}
        made = self._of("route53:") - {"route53:ChangeResourceRecordSets"} if team.zone == "create" else set()
        everywhere = {"route53:CreateHostedZone"} & made
        return [
            record,
            self._allow("NameServersOfANewZone", made - everywhere, zones),
            self._allow("MakeTheZone", everywhere, ["*"]),
        ]

    def _of(self, service: str) -> frozenset[str]:
        return frozenset(action for action in self._asked if action.startswith(service))

    def _ec2(self, kind: str) -> str:
        # AWS's own images are nobody's account's.
        return self._place.arn("ec2", f"{kind}/*")

    @staticmethod
    def _allow(
        sid: str,
        actions: Iterable[str],
        resources: list[str],
        *,
        equal: dict[str, Any] | None = None,
        like: dict[str, Any] | None = None,
        absent: list[str] | None = None,
    ) -> Statement:
        conditions: dict[str, Any] = {
            "StringEquals": equal,
            "StringLike": like,
            "Null": dict.fromkeys(absent, "true") if absent else None,
        }
        held = {operator: keys for operator, keys in conditions.items() if keys}
        resource = resources[0] if len(resources) == 1 else resources
        return allow(sid, sorted(actions), resource, held or None)


_ON_CREATION = {"ec2:CreateAction": ["AllocateAddress", "AuthorizeSecurityGroup*", "Create*", "RunInstances"]}
"""Tags that come with what is made, in one request."""
