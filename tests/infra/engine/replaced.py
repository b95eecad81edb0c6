"""Which inputs of which resources AWS cannot change: another value is another resource.

As `ForceNew` and `RequiresReplace` have it in the schemas of hashicorp/terraform-provider-aws, which
pulumi-aws is made of. Read there: an access point's, a group's hooks, an instance's image, address and zone.
The others are written down from memory: what rests on them is likely and not proven. Tags replace nothing.
"""

REPLACED: dict[str, frozenset[str]] = {
    kind: frozenset(keys.split())
    for kind, keys in {
        "Group": "name namePrefix initialLifecycleHooks",
        "LifecycleHook": "name autoscalingGroupName",
        "LaunchTemplate": "name namePrefix",
        "Instance": "ami availabilityZone subnetId associatePublicIpAddress keyName privateIp tenancy",
        "Volume": "availabilityZone encrypted kmsKeyId snapshotId",
        "VolumeAttachment": "deviceName volumeId instanceId",
        "Eip": "domain",
        "EipAssociation": "allocationId instanceId",
        "Vpc": "cidrBlock",
        "Subnet": "availabilityZone cidrBlock vpcId",
        "RouteTable": "vpcId",
        "RouteTableAssociation": "subnetId gatewayId",
        "VpcEndpoint": "serviceName vpcEndpointType vpcId",
        "DefaultSecurityGroup": "vpcId",
        "SecurityGroup": "name description vpcId",
        "SecurityGroupIngressRule": "securityGroupId",
        "SecurityGroupEgressRule": "securityGroupId",
        "FileSystem": "creationToken encrypted kmsKeyId performanceMode availabilityZoneName",
        "FileSystemPolicy": "fileSystemId",
        "BackupPolicy": "fileSystemId",
        "AccessPoint": "fileSystemId posixUser rootDirectory",
        "MountTarget": "fileSystemId subnetId",
        "Role": "name namePrefix path",
        "RolePolicy": "name namePrefix role",
        "InstanceProfile": "name namePrefix path",
        "Zone": "name delegationSetId",
        "Record": "name zoneId setIdentifier",
        "Bucket": "bucket bucketPrefix objectLockEnabled",
        "BucketLifecycleConfiguration": "bucket",
        "BucketObjectv2": "bucket key",
        "BucketPolicy": "bucket",
        "BucketPublicAccessBlock": "bucket",
        "BucketServerSideEncryptionConfiguration": "bucket",
        "BucketVersioning": "bucket",
        "LogGroup": "name namePrefix",
        "MetricAlarm": "alarmName name",
        "Project": "name",
        "Budget": "name accountId",
    }.items()
}


def replacing(kind: str, changed: set[str], news: dict[str, object]) -> set[str]:
    """The changed inputs that make another resource of it."""
    if kind == "Instance" and news.get("userDataReplaceOnChange"):
        return changed & (REPLACED[kind] | {"userData"})
    return changed & REPLACED.get(kind, frozenset())
