"""What AWS answers to the lookups of a Pulumi program: zones, images, networks that are there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc

ACCOUNT, REGION = "111122223333", "us-east-1"


class Refused(grpc.RpcError):  # type: ignore[misc]
    """A lookup that fails, as the engine tells the program: the words and nothing else."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self._words = words

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return self._words


@dataclass
class World:
    """What AWS answers to lookups."""

    zones: tuple[str, ...] = tuple(f"{REGION}{letter}" for letter in "abc")
    hosted: dict[str, str] = field(default_factory=lambda: {"example.com": "Z0EXAMPLE"})
    offers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Zones by instance type; every zone of the region where it is not named."""
    quotas: dict[str, float] | None = field(default_factory=dict)
    """By code; 64 where it is not named. None: reading them is denied."""
    file_systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    route_tables: list[dict[str, Any]] = field(default_factory=list)
    subnets: dict[str, str] = field(default_factory=dict)
    """Zones of an existing VPC's subnets, by id."""
    unaddressed: tuple[str, ...] = ()
    """Those of them that give no public address by themselves."""
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Volumes that an earlier stack left, by id."""
    interfaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Network interfaces of mount targets, by id."""
    own_groups: tuple[str, ...] = ()
    """Security groups that an earlier `pulumi up` of the stack made."""
    zone_ids: dict[str, str] = field(default_factory=dict)
    """Of zones by name; `use1-aza` and the like where one is not named."""
    vpcs: list[str] = field(default_factory=list)
    own_vpcs: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    own_addresses: list[str] = field(default_factory=list)
    """VPCs and Elastic IPs of the region, and those among them that an earlier `pulumi up` made."""
    spot_roles: tuple[str, ...] = ("AWSServiceRoleForEC2Spot",)
    """The account's role of EC2 Spot, if it has been made."""
    caller: str = f"arn:aws:sts::{ACCOUNT}:assumed-role/Admin/lead"
    """Who runs the program."""
    exports: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What other stacks export, by their names."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        """The answer to one lookup."""
        self.asked.append((token, args))
        name = token.rsplit(":", 1)[-1]
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "getAvailabilityZones": lambda _: {
                "id": REGION,
                "names": list(self.zones),
                "zoneIds": [self.zone_ids.get(zone, f"use1-az{zone[-1]}") for zone in self.zones],
            },
            "getVpcs": lambda args: {"id": REGION, "ids": self.own_vpcs if args.get("tags") else self.vpcs},
            "getEips": lambda args: {
                "id": REGION,
                "allocationIds": self.own_addresses if args.get("tags") else self.addresses,
                "publicIps": [],
            },
            "getRoles": lambda _: {"id": REGION, "names": list(self.spot_roles), "arns": []},
            "getInstanceTypeOfferings": self._offers,
            "getRegion": lambda _: {"id": REGION, "name": REGION, "region": REGION},
            "getCallerIdentity": lambda _: {
                "accountId": ACCOUNT,
                "arn": self.caller,
                "id": ACCOUNT,
                "userId": "u",
            },
            "getVpc": lambda args: {
                "id": args["id"],
                "cidrBlock": "10.0.0.0/16",
                "cidrBlockAssociations": [],
            },
            "getSessionContext": lambda args: {
                "id": args["arn"],
                "arn": args["arn"],
                "issuerArn": f"arn:aws:iam::{ACCOUNT}:role/team/{args['arn'].split('/')[1]}",
                "issuerId": "",
                "issuerName": "",
                "sessionName": "",
            },
            "getHostedZoneId": lambda _: {"id": "Z35SXDOTRQ7X7K"},
            "getSecretVersion": lambda args: {"id": args["secretId"], "secretString": "s3cret"},
            "getPartition": lambda _: {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"},
            "getZone": self._zone,
            "getServiceQuota": self._quota,
            "getFileSystem": self._file_system,
            "getSecret": lambda args: {"id": args["arn"], "arn": args["arn"], "name": args["arn"]},
            "getSecurityGroups": lambda _: {"ids": list(self.own_groups), "id": "x"},
            "getNetworkInterfaces": lambda _: {"ids": list(self.interfaces), "id": "x"},
            "getNetworkInterface": lambda args: {"id": args["id"], **self.interfaces[args["id"]]},
            "getEbsVolumes": lambda _: {"ids": list(self.volumes), "id": "x"},
            "getVolume": self._volume,
            "getSubnets": lambda _: {"ids": list(self.subnets), "id": "x"},
            "getSubnet": lambda args: {
                "id": args["id"],
                "availabilityZone": self.subnets[args["id"]],
                "mapPublicIpOnLaunch": args["id"] not in self.unaddressed,
            },
            "getRouteTables": lambda _: {"ids": [table["id"] for table in self.route_tables], "id": "x"},
            "getRouteTable": lambda args: next(
                table for table in self.route_tables if table["id"] == args["routeTableId"]
            ),
            "getParameter": lambda args: {
                "value": f"ami-0{'9' if 'deeplearning' in args['name'] else '2'}23456789abcdef0",
                "name": args["name"],
                "arn": "arn",
                "type": "String",
                "version": 1,
            },
            "getAmi": lambda args: {
                "id": args["filters"][0]["values"][0],
                "rootDeviceName": "/dev/xvda",
                "blockDeviceMappings": [
                    {
                        "deviceName": "/dev/xvda",
                        "ebs": {"volume_size": "30"},
                        "noDevice": "",
                        "virtualName": "",
                    }
                ],
            },
        }
        if name not in known:
            raise AssertionError(f"the program asks for {token}, which this world knows nothing of")
        return known[name](args)

    def _offers(self, args: dict[str, Any]) -> dict[str, Any]:
        assert args["locationType"] == "availability-zone"
        ((name, types),) = [(one["name"], one["values"]) for one in args["filters"]]
        assert name == "instance-type"
        # A zone that sells nothing of what is asked for, as us-east-1e does; and one of an existing VPC.
        everywhere = {*self.zones, *self.subnets.values()}
        sold = [(kind, zone) for kind in types for zone in sorted(self.offers.get(kind, everywhere))]
        return {
            "id": REGION,
            "instanceTypes": [kind for kind, _ in sold],
            "locations": [zone for _, zone in sold],
            "locationTypes": ["availability-zone"] * len(sold),
        }

    def _zone(self, args: dict[str, Any]) -> dict[str, Any]:
        if wanted := args.get("zoneId"):
            names = [name for name, zone in self.hosted.items() if zone == wanted]
            if not names:
                raise Refused("reading Route 53 Hosted Zone: couldn't find resource")
            return {"zoneId": wanted, "name": names[0], "id": wanted}
        found = self.hosted.get(args["name"])
        if found is None:
            raise Refused(
                "invoke of aws:route53/getZone:getZone failed: no matching Route 53 Hosted Zone found"
            )
        if found == "several":
            raise Refused("multiple Route 53 Hosted Zones matched; use additional constraints")
        return {"zoneId": found, "name": args["name"], "id": found}

    def _volume(self, args: dict[str, Any]) -> dict[str, Any]:
        (wanted,) = args["filters"][0]["values"]
        if wanted not in self.volumes:
            raise Refused("Your query returned no results. Please change your search criteria")
        return {"id": wanted, "volumeId": wanted, "encrypted": True, **self.volumes[wanted]}

    def _quota(self, args: dict[str, Any]) -> dict[str, Any]:
        if self.quotas is None:
            raise Refused("AccessDeniedException: not authorized to perform: servicequotas:GetServiceQuota")
        return {"value": float(self.quotas.get(args["quotaCode"], 64))}

    def _file_system(self, args: dict[str, Any]) -> dict[str, Any]:
        wanted = args["fileSystemId"]
        if wanted not in self.file_systems:
            raise Refused(
                f"reading EFS FileSystem ({wanted}): FileSystemNotFound: File system does not exist"
            )
        return {
            "fileSystemId": wanted,
            "arn": f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:file-system/{wanted}",
            "encrypted": True,
            "throughputMode": "elastic",
            **self.file_systems[wanted],
        }
