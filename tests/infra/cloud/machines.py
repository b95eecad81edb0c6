"""EC2 and Auto Scaling: the network, instances, templates and groups."""

from typing import Any

from tests.infra.cloud.provider import Cloud, Given, Made, makes


def _spec(kind: str, tags: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": tags}] if tags else []


def upper(value: Any) -> Any:
    """`{"volumeSize": 8}` as the calls spell it: `{"VolumeSize": 8}`."""
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: upper(part) for key, part in value.items()}
    return [upper(part) for part in value] if isinstance(value, list) else value


@makes("aws:ec2/vpc:Vpc")
def vpc(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_vpc(
        CidrBlock=given("cidrBlock"), TagSpecifications=_spec("vpc", given.tags())
    )["Vpc"]["VpcId"]
    for key, name in (
        ("enableDnsSupport", "EnableDnsSupport"),
        ("enableDnsHostnames", "EnableDnsHostnames"),
    ):
        cloud("ec2").modify_vpc_attribute(VpcId=made, **{name: {"Value": given(key)}})
    return made, {}


@makes("aws:ec2/internetGateway:InternetGateway")
def internet_gateway(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_internet_gateway(TagSpecifications=_spec("internet-gateway", given.tags()))[
        "InternetGateway"
    ]["InternetGatewayId"]
    cloud("ec2").attach_internet_gateway(InternetGatewayId=made, VpcId=given("vpcId"))
    return made, {}


@makes("aws:ec2/routeTable:RouteTable")
def route_table(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_route_table(
        VpcId=given("vpcId"), TagSpecifications=_spec("route-table", given.tags())
    )["RouteTable"]["RouteTableId"]
    for route in given("routes"):
        cloud("ec2").create_route(
            RouteTableId=made, DestinationCidrBlock=route["cidrBlock"], GatewayId=route["gatewayId"]
        )
    return made, {}


@makes("aws:ec2/vpcEndpoint:VpcEndpoint")
def vpc_endpoint(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_vpc_endpoint(
        VpcId=given("vpcId"),
        ServiceName=given("serviceName"),
        VpcEndpointType=given("vpcEndpointType"),
        RouteTableIds=given("routeTableIds"),
        TagSpecifications=_spec("vpc-endpoint", given.tags()),
    )
    return made["VpcEndpoint"]["VpcEndpointId"], {}


@makes("aws:ec2/subnet:Subnet")
def subnet(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_subnet(
        VpcId=given("vpcId"),
        AvailabilityZone=given("availabilityZone"),
        CidrBlock=given("cidrBlock"),
        TagSpecifications=_spec("subnet", given.tags()),
    )["Subnet"]["SubnetId"]
    cloud("ec2").modify_subnet_attribute(
        SubnetId=made, MapPublicIpOnLaunch={"Value": given("mapPublicIpOnLaunch")}
    )
    return made, {}


@makes("aws:ec2/routeTableAssociation:RouteTableAssociation")
def route_table_association(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").associate_route_table(SubnetId=given("subnetId"), RouteTableId=given("routeTableId"))
    return made["AssociationId"], {}


@makes("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
def default_security_group(cloud: Cloud, given: Given) -> Made:
    (group,) = cloud("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [given("vpcId")]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    assert given("ingress") == []
    assert given("egress") == []
    cloud("ec2").create_tags(Resources=[group["GroupId"]], Tags=given.tags())
    return group["GroupId"], {}


@makes("aws:ec2/securityGroup:SecurityGroup")
def security_group(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_security_group(
        GroupName=given.physical(),
        Description=given("description"),
        VpcId=given("vpcId"),
        TagSpecifications=_spec("security-group", given.tags()),
    )["GroupId"]
    # As the provider does: the rule that AWS puts into a new group, out to everywhere, goes.
    anything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    cloud("ec2").revoke_security_group_egress(GroupId=made, IpPermissions=[anything])
    return made, {}


def _permission(given: Given) -> dict[str, Any]:
    cidr, group, description = (
        given("cidrIpv4"),
        given("referencedSecurityGroupId"),
        given("description"),
    )
    permission = {
        "IpProtocol": given("ipProtocol"),
        "FromPort": given("fromPort"),
        "ToPort": given("toPort"),
    }
    if cidr:
        permission["IpRanges"] = [{"CidrIp": cidr, "Description": description}]
    if group:
        permission["UserIdGroupPairs"] = [{"GroupId": group, "Description": description}]
    return permission


@makes("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
def ingress_rule(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").authorize_security_group_ingress(
        GroupId=given("securityGroupId"),
        IpPermissions=[_permission(given)],
        TagSpecifications=_spec("security-group-rule", given.tags()),
    )
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"], {}


@makes("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
def egress_rule(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").authorize_security_group_egress(
        GroupId=given("securityGroupId"),
        IpPermissions=[_permission(given)],
        TagSpecifications=_spec("security-group-rule", given.tags()),
    )
    return made["SecurityGroupRules"][0]["SecurityGroupRuleId"], {}


@makes("aws:ebs/volume:Volume")
def volume(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").create_volume(
        AvailabilityZone=given("availabilityZone"),
        Size=given("size"),
        VolumeType=given("type"),
        Encrypted=given("encrypted"),
        TagSpecifications=_spec("volume", given.tags()),
    )
    return made["VolumeId"], {}


@makes("aws:ec2/volumeAttachment:VolumeAttachment")
def volume_attachment(cloud: Cloud, given: Given) -> Made:
    given("stopInstanceBeforeDetaching")  # of the provider: what it does before it detaches
    made = cloud("ec2").attach_volume(
        Device=given("deviceName"), VolumeId=given("volumeId"), InstanceId=given("instanceId")
    )
    return f"vai-{made['VolumeId']}", {}


@makes("aws:ec2/eip:Eip")
def address(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").allocate_address(
        Domain=given("domain"), TagSpecifications=_spec("elastic-ip", given.tags())
    )
    return made["AllocationId"], {"allocationId": made["AllocationId"], "publicIp": made["PublicIp"]}


@makes("aws:ec2/eipAssociation:EipAssociation")
def address_association(cloud: Cloud, given: Given) -> Made:
    made = cloud("ec2").associate_address(AllocationId=given("allocationId"), InstanceId=given("instanceId"))
    return made["AssociationId"], {}


@makes("aws:ec2/instance:Instance")
def instance(cloud: Cloud, given: Given) -> Made:
    given("userDataReplaceOnChange")  # of the provider: whether a change means another machine
    disk = given("rootBlockDevice")
    tags = given.tags()
    assert disk.pop("tags"), "the disk has tags of its own"
    made = cloud("ec2").run_instances(
        ImageId=given("ami"),
        InstanceType=given("instanceType"),
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": given("iamInstanceProfile")},
        CreditSpecification=upper(given("creditSpecification")),
        MaintenanceOptions=upper(given("maintenanceOptions")),
        MetadataOptions=upper(given("metadataOptions")),
        BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": upper(disk)}],
        NetworkInterfaces=[
            {
                "DeviceIndex": 0,
                "SubnetId": given("subnetId"),
                "Groups": given("vpcSecurityGroupIds"),
                "AssociatePublicIpAddress": given("associatePublicIpAddress"),
            }
        ],
        UserData=given("userData"),
        TagSpecifications=_spec("instance", tags),
    )
    return made["Instances"][0]["InstanceId"], {}


def _flags(device: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Pulumi writes these flags as text."""
    return device | {key: device[key] == "true" for key in keys if key in device}


@makes("aws:ec2/launchTemplate:LaunchTemplate")
def launch_template(cloud: Cloud, given: Given) -> Made:
    assert given("updateDefaultVersion") is True
    interfaces = [
        _flags(upper(one), "AssociatePublicIpAddress", "DeleteOnTermination")
        for one in given("networkInterfaces")
    ]
    for one in interfaces:
        one["Groups"] = one.pop("SecurityGroups")
        cloud("ec2").describe_security_groups(GroupIds=one["Groups"])
    disks = [
        {
            "DeviceName": one["deviceName"],
            "Ebs": _flags(upper(one["ebs"]), "Encrypted", "DeleteOnTermination"),
        }
        for one in given("blockDeviceMappings")
    ]
    specifications = [
        {
            "ResourceType": one["resourceType"],
            "Tags": [{"Key": k, "Value": v} for k, v in one["tags"].items()],
        }
        for one in given("tagSpecifications")
    ]
    profile = given("iamInstanceProfile")["arn"]
    cloud("iam").get_instance_profile(InstanceProfileName=profile.rpartition("/")[2])
    made = cloud("ec2").create_launch_template(
        LaunchTemplateName=given.physical(),
        VersionDescription=given("description"),
        LaunchTemplateData={
            "ImageId": given("imageId"),
            "InstanceType": given("instanceType"),
            "IamInstanceProfile": {"Arn": profile},
            "UserData": given("userData"),
            "EbsOptimized": given("ebsOptimized") == "true",
            "MetadataOptions": upper(given("metadataOptions")),
            "NetworkInterfaces": interfaces,
            "BlockDeviceMappings": disks,
            "TagSpecifications": specifications,
        },
        TagSpecifications=_spec("launch-template", given.tags()),
    )
    return made["LaunchTemplate"]["LaunchTemplateId"], {}


@makes("aws:autoscaling/lifecycleHook:LifecycleHook")
def lifecycle_hook(cloud: Cloud, given: Given) -> Made:
    """As the provider does: the call that makes a hook or changes the one of that name."""
    name = given("name")
    cloud("autoscaling").put_lifecycle_hook(
        AutoScalingGroupName=given("autoscalingGroupName"),
        LifecycleHookName=name,
        LifecycleTransition=given("lifecycleTransition"),
        HeartbeatTimeout=given("heartbeatTimeout"),
        DefaultResult=given("defaultResult"),
    )
    return name, {"name": name}


@makes("aws:autoscaling/group:Group")
def group(cloud: Cloud, given: Given) -> Made:
    name, scaling = given.physical(), cloud("autoscaling")
    # Of the provider: how it waits and destroys.
    assert given("waitForCapacityTimeout") == "0", "or `up` would wait for GPUs"
    assert given("forceDelete") is True
    assert given("forceDeleteWarmPool") is True
    launch: dict[str, Any] = {}
    plain, mixed = given("launchTemplate"), given("mixedInstancesPolicy")
    if plain:
        launch["LaunchTemplate"] = {"LaunchTemplateId": plain["id"], "Version": plain["version"]}
    if mixed:
        template = mixed["launchTemplate"]
        launch["MixedInstancesPolicy"] = {
            "InstancesDistribution": upper(mixed["instancesDistribution"]),
            "LaunchTemplate": {
                "LaunchTemplateSpecification": upper(template["launchTemplateSpecification"]),
                "Overrides": upper(template["overrides"]),
            },
        }
    assert len(launch) == 1, "one of the two"
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=given("minSize"),
        MaxSize=given("maxSize"),
        DesiredCapacity=0,  # as the provider does when there are initial hooks
        VPCZoneIdentifier=",".join(given("vpcZoneIdentifiers")),
        NewInstancesProtectedFromScaleIn=given("protectFromScaleIn"),
        CapacityRebalance=given("capacityRebalance"),
        HealthCheckType=given("healthCheckType"),
        Tags=[
            {
                "Key": tag["key"],
                "Value": tag["value"],
                "PropagateAtLaunch": tag["propagateAtLaunch"],
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
            }
            for tag in given("tags")
        ],
        **launch,
    )
    for hook in given("initialLifecycleHooks"):
        wanted = upper(hook)
        scaling.put_lifecycle_hook(AutoScalingGroupName=name, LifecycleHookName=wanted.pop("Name"), **wanted)
    scaling.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=given("suspendedProcesses"))
    pool = given("warmPool")
    if pool:
        scaling.put_warm_pool(AutoScalingGroupName=name, **upper(pool))
    (made,) = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return name, {"name": name, "arn": made["AutoScalingGroupARN"]}
