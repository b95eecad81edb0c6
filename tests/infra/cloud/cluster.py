"""EKS, its key and its certificate. What moto has not is held against the service model and goes nowhere."""

from typing import Any

from tests.infra.cloud.provider import Cloud, Given, Made, Outputs, looks_up, makes


@makes("aws:kms/key:Key")
def key(cloud: Cloud, given: Given) -> Made:
    given("deletionWindowInDays")  # of deleting it
    tags = [{"TagKey": one["Key"], "TagValue": one["Value"]} for one in given.tags()]
    made = cloud("kms").create_key(Description=given("description"), Tags=tags)["KeyMetadata"]
    if given("enableKeyRotation"):
        cloud("kms").enable_key_rotation(KeyId=made["KeyId"])
    return made["KeyId"], {"arn": made["Arn"]}


@makes("aws:iam/rolePolicyAttachment:RolePolicyAttachment")
def attachment(cloud: Cloud, given: Given) -> Made:
    role, policy = given("role"), given("policyArn")
    cloud("iam").get_role(RoleName=role)
    # AWS's own policies take moto ten seconds to load; `test_against_moto` looks for their names.
    cloud.model("iam").attach_role_policy(RoleName=role, PolicyArn=policy)
    return f"{role}-{policy}", {}


@makes("aws:eks/cluster:Cluster")
def cluster(cloud: Cloud, given: Given) -> Made:
    name, network = given("name"), given("kubernetesNetworkConfig")
    storage, access = given("storageConfig"), given("accessConfig")
    vpc = given("vpcConfig")
    asked: dict[str, Any] = {
        "name": name,
        "roleArn": given("roleArn"),
        "version": given("version"),
        "resourcesVpcConfig": vpc,
        "logging": {"clusterLogging": [{"types": given("enabledClusterLogTypes"), "enabled": True}]},
        "encryptionConfig": [given("encryptionConfig")],
        "tags": given("tags"),
    }
    of_auto_mode = {
        "computeConfig": given("computeConfig"),
        "kubernetesNetworkConfig": network,
        "storageConfig": storage,
        "accessConfig": access,
        "bootstrapSelfManagedAddons": given("bootstrapSelfManagedAddons"),
        "upgradePolicy": given("upgradePolicy"),
    }
    # By the model all of it, and made without what moto knows nothing of.
    cloud.model("eks").create_cluster(**asked, **of_auto_mode)
    made = cloud("eks").create_cluster(**asked)["cluster"]
    groups = cloud("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
    return name, {
        "arn": made["arn"],
        "endpoint": made["endpoint"],
        "certificateAuthority": {"data": made["certificateAuthority"]["data"]},
        "vpcConfig": {**vpc, "clusterSecurityGroupId": groups["SecurityGroups"][-1]["GroupId"]},
    }


@makes("aws:eks/accessEntry:AccessEntry")
def access_entry(cloud: Cloud, given: Given) -> Made:
    name, principal = given("clusterName"), given("principalArn")
    cloud("eks").describe_cluster(name=name)
    cloud.model("eks").create_access_entry(
        clusterName=name, principalArn=principal, type=given("type"), tags=given("tags")
    )
    return f"{name}:{principal}", {}


@makes("aws:eks/accessPolicyAssociation:AccessPolicyAssociation")
def access_policy(cloud: Cloud, given: Given) -> Made:
    name, principal, policy = given("clusterName"), given("principalArn"), given("policyArn")
    cloud.model("eks").associate_access_policy(
        clusterName=name, principalArn=principal, policyArn=policy, accessScope=given("accessScope")
    )
    return f"{name}#{principal}#{policy}", {}


@makes("aws:eks/podIdentityAssociation:PodIdentityAssociation")
def pod_identity(cloud: Cloud, given: Given) -> Made:
    role = given("roleArn")
    cloud("iam").get_role(RoleName=role.rpartition("/")[2])
    cloud.model("eks").create_pod_identity_association(
        clusterName=given("clusterName"),
        namespace=given("namespace"),
        serviceAccount=given("serviceAccount"),
        roleArn=role,
        tags=given("tags"),
    )
    return given.name, {}


@makes("aws:eks/addon:Addon")
def addon(cloud: Cloud, given: Given) -> Made:
    for key in ("preserve", "resolveConflictsOnUpdate"):
        given(key)  # of deleting and updating
    name = given("addonName")
    cloud.model("eks").create_addon(
        clusterName=given("clusterName"),
        addonName=name,
        addonVersion=given("addonVersion"),
        configurationValues=given("configurationValues"),
        resolveConflicts=given("resolveConflictsOnCreate"),
        tags=given("tags"),
    )
    return name, {}


@makes("aws:acm/certificate:Certificate")
def certificate(cloud: Cloud, given: Given) -> Made:
    arn = cloud("acm").request_certificate(
        DomainName=given("domainName"), ValidationMethod=given("validationMethod"), Tags=given.tags()
    )["CertificateArn"]
    (option,) = cloud("acm").describe_certificate(CertificateArn=arn)["Certificate"][
        "DomainValidationOptions"
    ]
    proof = option["ResourceRecord"]
    return arn, {
        "arn": arn,
        "domainValidationOptions": [
            {
                "domainName": option["DomainName"],
                "resourceRecordName": proof["Name"],
                "resourceRecordType": proof["Type"],
                "resourceRecordValue": proof["Value"],
            }
        ],
    }


@makes("aws:acm/certificateValidation:CertificateValidation")
def validated(cloud: Cloud, given: Given) -> Made:
    """The provider's own: it waits until the certificate is issued."""
    arn = given("certificateArn")
    cloud("acm").describe_certificate(CertificateArn=arn)
    assert given("validationRecordFqdns")
    return arn, {"certificateArn": arn}


@looks_up("aws:lb/getHostedZoneId:getHostedZoneId")
def balancers_zone(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    assert args["loadBalancerType"] == "application"
    return {"id": "Z35SXDOTRQ7X7K"}


@looks_up("aws:secretsmanager/getSecretVersion:getSecretVersion")
def secret_version(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    found = cloud("secretsmanager").get_secret_value(SecretId=args["secretId"])
    return {"id": found["ARN"], "secretId": found["ARN"], "secretString": found["SecretString"]}


@looks_up("aws:iam/getSessionContext:getSessionContext")
def session(cloud: Cloud, args: dict[str, Any]) -> Outputs:
    return {"id": args["arn"], "arn": args["arn"], "issuerArn": args["arn"].replace(":sts:", ":iam:")}
