"""Which inputs of which resources AWS cannot change: another value is another resource.

After hashicorp/terraform-provider-aws 6, which pulumi-aws 7 is made of: `ForceNew` and `RequiresReplace` in the
schemas below `internal/service/`, written from memory of them and not checked against a copy. Only the types
that the program registers; tags never replace anything.
"""

REPLACED: dict[str, frozenset[str]] = {
    kind: frozenset(keys.split())
    for kind, keys in {
        "Group": "name namePrefix initialLifecycleHooks",
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
