"""S3, EFS, Route 53, logs, alarms and budgets."""

from tests.infra.cloud.machines import upper
from tests.infra.cloud.provider import Cloud, Given, Made, makes


@makes("aws:s3/bucket:Bucket")
def bucket(cloud: Cloud, given: Given) -> Made:
    name = given.physical("bucket")
    given("forceDestroy")  # of the provider: whether it empties the bucket first
    cloud("s3").create_bucket(Bucket=name)
    cloud("s3").put_bucket_tagging(Bucket=name, Tagging={"TagSet": given.tags()})
    return name, {"bucket": name, "arn": f"arn:aws:s3:::{name}"}


@makes("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access_block(cloud: Cloud, given: Given) -> Made:
    name = given("bucket")
    keys = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    cloud("s3").put_public_access_block(
        Bucket=name, PublicAccessBlockConfiguration=upper({key: given(key) for key in keys})
    )
    return name, {}


@makes("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(cloud: Cloud, given: Given) -> Made:
    name = given("bucket")
    rules = [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"]
            }
        }
        for rule in given("rules")
    ]
    cloud("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return name, {}


@makes("aws:s3/bucketVersioning:BucketVersioning")
def versioning(cloud: Cloud, given: Given) -> Made:
    name = given("bucket")
    cloud("s3").put_bucket_versioning(
        Bucket=name, VersioningConfiguration=upper(given("versioningConfiguration"))
    )
    return name, {}


@makes("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(cloud: Cloud, given: Given) -> Made:
    name = given("bucket")
    rules = []
    for rule in given("rules"):
        rule = upper(rule)
        rule["ID"] = rule.pop("Id")
        rules.append(rule)
    cloud("s3").put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    return name, {}


@makes("aws:s3/bucketPolicy:BucketPolicy")
def bucket_policy(cloud: Cloud, given: Given) -> Made:
    name = given("bucket")
    cloud("s3").put_bucket_policy(Bucket=name, Policy=given("policy"))
    # moto takes "deny without TLS" for "deny", and nothing could be put into the bucket.
    cloud("s3").delete_bucket_policy(Bucket=name)
    return name, {}


@makes("aws:s3/bucketObjectv2:BucketObjectv2")
def bucket_object(cloud: Cloud, given: Given) -> Made:
    key = given("key")
    cloud("s3").put_object(
        Bucket=given("bucket"),
        Key=key,
        Body=given("content").encode(),
        ContentType=given("contentType"),
    )
    tags = given.tags()
    assert len(tags) <= 10, "S3 gives an object ten tags at most"
    return key, {}


@makes("aws:efs/fileSystem:FileSystem")
def file_system(cloud: Cloud, given: Given) -> Made:
    made = cloud("efs").create_file_system(
        CreationToken=given.name,
        Encrypted=given("encrypted"),
        ThroughputMode=given("throughputMode"),
        PerformanceMode=given("performanceMode"),
        Tags=given.tags(),
    )
    policies = [
        {key.replace("ToIa", "ToIA"): value for key, value in upper(one).items()}
        for one in given("lifecyclePolicies")
    ]
    cloud("efs").put_lifecycle_configuration(FileSystemId=made["FileSystemId"], LifecyclePolicies=policies)
    return made["FileSystemId"], {"arn": made["FileSystemArn"]}


@makes("aws:efs/backupPolicy:BackupPolicy")
def backup_policy(cloud: Cloud, given: Given) -> Made:
    files = given("fileSystemId")
    cloud.model("efs").put_backup_policy(FileSystemId=files, BackupPolicy=upper(given("backupPolicy")))
    return files, {}


@makes("aws:efs/fileSystemPolicy:FileSystemPolicy")
def file_system_policy(cloud: Cloud, given: Given) -> Made:
    files, policy = given("fileSystemId"), given("policy")
    cloud("efs").describe_file_systems(FileSystemId=files)
    cloud.model("efs").put_file_system_policy(FileSystemId=files, Policy=policy)
    return files, {}


@makes("aws:efs/accessPoint:AccessPoint")
def access_point(cloud: Cloud, given: Given) -> Made:
    made = cloud("efs").create_access_point(
        ClientToken=given.name,
        FileSystemId=given("fileSystemId"),
        PosixUser=upper(given("posixUser")),
        RootDirectory=upper(given("rootDirectory")),
        Tags=given.tags(),
    )
    return made["AccessPointId"], {"arn": made["AccessPointArn"]}


@makes("aws:efs/mountTarget:MountTarget")
def mount_target(cloud: Cloud, given: Given) -> Made:
    made = cloud("efs").create_mount_target(
        FileSystemId=given("fileSystemId"),
        SubnetId=given("subnetId"),
        SecurityGroups=given("securityGroups"),
    )
    return made["MountTargetId"], {}


@makes("aws:route53/zone:Zone")
def zone(cloud: Cloud, given: Given) -> Made:
    given("forceDestroy")  # of the provider
    made = cloud("route53").create_hosted_zone(
        Name=given("name"),
        CallerReference=given.name,
        HostedZoneConfig={"Comment": given("comment")},
    )
    identity = made["HostedZone"]["Id"].rpartition("/")[2]
    cloud("route53").change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=identity, AddTags=given.tags()
    )
    return identity, {"zoneId": identity, "nameServers": made["DelegationSet"]["NameServers"]}


@makes("aws:route53/record:Record")
def record(cloud: Cloud, given: Given) -> Made:
    name, aliases = given("name"), given("aliases")
    if aliases:
        (alias,) = aliases
        leads = {
            "AliasTarget": {
                "DNSName": alias["name"],
                "HostedZoneId": alias["zoneId"],
                "EvaluateTargetHealth": alias["evaluateTargetHealth"],
            }
        }
    else:
        leads = {"TTL": given("ttl"), "ResourceRecords": [{"Value": value} for value in given("records")]}
    change = {
        "Action": "UPSERT" if given("allowOverwrite") else "CREATE",
        "ResourceRecordSet": {"Name": name, "Type": given("type"), **leads},
    }
    cloud("route53").change_resource_record_sets(
        HostedZoneId=given("zoneId"), ChangeBatch={"Changes": [change]}
    )
    return name, {"fqdn": name}


@makes("aws:cloudwatch/logGroup:LogGroup")
def log_group(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    cloud("logs").create_log_group(logGroupName=name, tags=given("tags"))
    cloud("logs").put_retention_policy(logGroupName=name, retentionInDays=given("retentionInDays"))
    (found,) = [
        group
        for group in cloud("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        if group["logGroupName"] == name
    ]
    return name, {"name": name, "arn": found["arn"].removesuffix(":*")}


@makes("aws:cloudwatch/metricAlarm:MetricAlarm")
def alarm(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    cloud("cloudwatch").put_metric_alarm(
        AlarmName=name,
        AlarmDescription=given("alarmDescription"),
        Namespace=given("namespace"),
        MetricName=given("metricName"),
        Dimensions=[{"Name": k, "Value": v} for k, v in given("dimensions").items()],
        Statistic=given("statistic"),
        Period=given("period"),
        EvaluationPeriods=given("evaluationPeriods"),
        Threshold=given("threshold"),
        ComparisonOperator=given("comparisonOperator"),
        AlarmActions=given("alarmActions"),
        Tags=given.tags(),
    )
    return name, {}


@makes("aws:budgets/budget:Budget")
def budget(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    account = cloud("sts").get_caller_identity()["Account"]
    given.tags()
    cloud("budgets").create_budget(
        AccountId=account,
        Budget={
            "BudgetName": name,
            "BudgetType": given("budgetType"),
            "TimeUnit": given("timeUnit"),
            "BudgetLimit": {"Amount": given("limitAmount"), "Unit": given("limitUnit")},
            "CostFilters": {one["name"]: one["values"] for one in given("costFilters")},
        },
        NotificationsWithSubscribers=[
            {
                "Notification": {
                    "NotificationType": one["notificationType"],
                    "ComparisonOperator": one["comparisonOperator"],
                    "Threshold": one["threshold"],
                    "ThresholdType": one["thresholdType"],
                },
                "Subscribers": [
                    {"SubscriptionType": "EMAIL", "Address": address}
                    for address in one["subscriberEmailAddresses"]
                ],
            }
            for one in given("notifications")
        ],
    )
    return name, {}
