"""IAM, the build, and what the program looks up."""

from typing import Any

from infra.link import token_provider
from tests.infra.cloud.provider import REGION, Cloud, Given, Made, Outputs, looks_up, makes


@makes("aws:iam/role:Role")
def role(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    made = cloud("iam").create_role(
        RoleName=name,
        Description=given("description", ""),
        AssumeRolePolicyDocument=given("assumeRolePolicy"),
        Tags=given.tags(),
    )
    return name, {"name": name, "arn": made["Role"]["Arn"]}


@makes("aws:iam/rolePolicy:RolePolicy")
def role_policy(cloud: Cloud, given: Given) -> Made:
    name, holder = given.physical(), given("role")
    cloud("iam").put_role_policy(RoleName=holder, PolicyName=name, PolicyDocument=given("policy"))
    return f"{holder}:{name}", {"name": name}


@makes("aws:iam/instanceProfile:InstanceProfile")
def instance_profile(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    made = cloud("iam").create_instance_profile(InstanceProfileName=name, Tags=given.tags())
    cloud("iam").add_role_to_instance_profile(InstanceProfileName=name, RoleName=given("role"))
    return name, {"name": name, "arn": made["InstanceProfile"]["Arn"]}


@looks_up("aws:index/getRegion:getRegion")
def region(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    return {"id": REGION, "name": REGION, "region": REGION}


@looks_up("aws:index/getPartition:getPartition")
def partition(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com"}


@looks_up("aws:index/getCallerIdentity:getCallerIdentity")
def caller(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    found = cloud("sts").get_caller_identity()
    return {
        "id": found["Account"],
        "accountId": found["Account"],
        "arn": found["Arn"],
        "userId": found["UserId"],
    }


@looks_up("aws:index/getAvailabilityZones:getAvailabilityZones")
def zones(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    filters = [{"Name": one["name"], "Values": one["values"]} for one in args.get("filters", [])]
    found = cloud("ec2").describe_availability_zones(
        Filters=[one for one in filters if one["Name"] != "opt-in-status"]
    )["AvailabilityZones"]
    first = sorted(found, key=lambda zone: zone["ZoneName"])[:3]
    names, ids = [zone["ZoneName"] for zone in first], [zone["ZoneId"] for zone in first]
    return {"id": REGION, "names": names, "zoneIds": ids}


@looks_up("aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings")
def offers(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    filters = [{"Name": one["name"], "Values": one["values"]} for one in args["filters"]]
    found = [
        one
        for page in cloud("ec2")
        .get_paginator("describe_instance_type_offerings")
        .paginate(LocationType=args["locationType"], Filters=filters)
        for one in page["InstanceTypeOfferings"]
    ]
    return {
        "id": REGION,
        "instanceTypes": [one["InstanceType"] for one in found],
        "locations": [one["Location"] for one in found],
        "locationTypes": [one["LocationType"] for one in found],
    }


@looks_up("aws:route53/getZone:getZone")
def hosted_zone(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    found = cloud("route53").list_hosted_zones_by_name(DNSName=args["name"])["HostedZones"]
    for zone in found:
        if zone["Name"] == f"{args['name']}.":
            identity = zone["Id"].rpartition("/")[2]
            return {"id": identity, "zoneId": identity, "name": args["name"]}
    raise Exception("no matching Route 53 Hosted Zone found")


@looks_up("aws:ssm/getParameter:getParameter")
def parameter(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    image = cloud.image(args["name"])
    return {
        "id": args["name"],
        "name": args["name"],
        "arn": "arn",
        "type": "String",
        "value": image,
        "version": 1,
    }


@looks_up("aws:ec2/getAmi:getAmi")
def machine_image(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    filters = [{"Name": one["name"], "Values": one["values"]} for one in args["filters"]]
    (found,) = cloud("ec2").describe_images(Filters=filters)["Images"]
    devices = [
        {
            "deviceName": one["DeviceName"],
            "ebs": {"volume_size": str(one["Ebs"]["VolumeSize"])},
            "noDevice": "",
            "virtualName": "",
        }
        for one in found["BlockDeviceMappings"]
    ]
    return {
        "id": found["ImageId"],
        "rootDeviceName": found["RootDeviceName"],
        "blockDeviceMappings": devices,
    }


@looks_up("aws:servicequotas/getServiceQuota:getServiceQuota")
def quota(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    return {"id": args["quotaCode"], "value": 64.0}


@looks_up("aws:secretsmanager/getSecret:getSecret")
def secret(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    at = args.get("arn") or args["name"]
    try:
        found = cloud("secretsmanager").describe_secret(SecretId=at)
    except cloud("secretsmanager").exceptions.ResourceNotFoundException:
        raise Exception("reading Secrets Manager Secret: couldn't find resource") from None
    return {
        "id": found["ARN"],
        "arn": found["ARN"],
        "name": found["Name"],
        "kmsKeyId": found.get("KmsKeyId", ""),
    }


@looks_up("aws:kms/getKey:getKey")
def key(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    found = cloud("kms").describe_key(KeyId=args["keyId"])["KeyMetadata"]
    return {"id": found["KeyId"], "arn": found["Arn"], "keyManager": found["KeyManager"]}


@makes("pulumi-python:dynamic/easel:Token")
def first_token(cloud: Cloud, given: Given) -> Made:
    """Made as the engine makes it; AWS has no part in it."""
    for key in ("__provider", "token", "hash"):
        given(key)
    made = token_provider().create({})
    return made.id, dict(made.outs or {})
