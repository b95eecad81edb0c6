"""What each kind of resource asks of AWS while it is made, changed and ended, and each lookup while it looks.

The table is the program's: a test holds that every kind that any stack registers has its row, and no other
has one. What a row says is what AWS's own handlers of the kind ask for (the CloudFormation resource schemas,
`handlers`) and what pulumi-aws calls beside them. Looking is by service (`LOOKS`): a provider's next release
looks at more without a word, and what it sees there neither opens nor changes anything.
"""

from collections.abc import Mapping

Actions = tuple[str, ...]

_IAM_ROLE = ("iam:CreateRole", "iam:DeleteRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateRole")
_RULES = ("ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress")
_NO_RULES = ("ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress")
_EC2_TAGS = ("ec2:CreateTags", "ec2:DeleteTags")
_EFS_TAGS = ("elasticfilesystem:TagResource", "elasticfilesystem:UntagResource")
_EKS_TAGS = ("eks:TagResource", "eks:UntagResource")
_LINKED = "iam:CreateServiceLinkedRole"
_PASS = "iam:PassRole"  # noqa: S105

SHARED: Mapping[str, Actions] = {
    "aws:ec2/vpc:Vpc": ("ec2:CreateVpc", "ec2:DeleteVpc", "ec2:ModifyVpcAttribute", *_EC2_TAGS),
    "aws:ec2/internetGateway:InternetGateway": (
        "ec2:AttachInternetGateway",
        "ec2:CreateInternetGateway",
        "ec2:DeleteInternetGateway",
        "ec2:DetachInternetGateway",
        *_EC2_TAGS,
    ),
    "aws:ec2/routeTable:RouteTable": (
        "ec2:CreateRoute",
        "ec2:CreateRouteTable",
        "ec2:DeleteRoute",
        "ec2:DeleteRouteTable",
        "ec2:ReplaceRoute",
        *_EC2_TAGS,
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": (
        "ec2:AssociateRouteTable",
        "ec2:DisassociateRouteTable",
        "ec2:ReplaceRouteTableAssociation",
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        "ec2:CreateVpcEndpoint",
        "ec2:DeleteVpcEndpoints",
        "ec2:ModifyVpcEndpoint",
        *_EC2_TAGS,
    ),
    "aws:ec2/subnet:Subnet": (
        "ec2:CreateSubnet",
        "ec2:DeleteSubnet",
        "ec2:ModifySubnetAttribute",
        *_EC2_TAGS,
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (*_NO_RULES, *_EC2_TAGS),
    # A new group lets everything out, which is taken back.
    "aws:ec2/securityGroup:SecurityGroup": (
        "ec2:CreateSecurityGroup",
        "ec2:DeleteSecurityGroup",
        *_NO_RULES,
        *_EC2_TAGS,
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        *_RULES,
        *_NO_RULES,
        "ec2:ModifySecurityGroupRules",
        *_EC2_TAGS,
    ),
    # It stays when the stack goes, so nobody needs to delete it.
    "aws:efs/fileSystem:FileSystem": (
        "elasticfilesystem:CreateFileSystem",
        "elasticfilesystem:PutLifecycleConfiguration",
        "elasticfilesystem:UpdateFileSystem",
        _LINKED,
        *_EFS_TAGS,
    ),
    "aws:efs/backupPolicy:BackupPolicy": ("elasticfilesystem:PutBackupPolicy", _LINKED),
    "aws:efs/fileSystemPolicy:FileSystemPolicy": ("elasticfilesystem:PutFileSystemPolicy",),
    "aws:efs/accessPoint:AccessPoint": (
        "elasticfilesystem:CreateAccessPoint",
        "elasticfilesystem:DeleteAccessPoint",
        *_EFS_TAGS,
    ),
    # EFS makes its interface with the rights of who asks ("CreateMountTarget", EFS API reference).
    "aws:efs/mountTarget:MountTarget": (
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:ModifyNetworkInterfaceAttribute",
        "elasticfilesystem:CreateMountTarget",
        "elasticfilesystem:DeleteMountTarget",
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
    ),
    # Emptied first: the gateway keeps tokens and counts there that the stack knows nothing of.
    "aws:s3/bucket:Bucket": (
        "s3:CreateBucket",
        "s3:DeleteBucket",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutBucketTagging",
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3:PutEncryptionConfiguration",
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("s3:DeleteBucketPolicy", "s3:PutBucketPolicy"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "aws:iam/role:Role": (*_IAM_ROLE, "iam:UpdateAssumeRolePolicy"),
    "aws:iam/rolePolicy:RolePolicy": ("iam:DeleteRolePolicy", "iam:PutRolePolicy"),
    "aws:cloudwatch/logGroup:LogGroup": (
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:DeleteRetentionPolicy",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "logs:UntagResource",
    ),
    "aws:route53/zone:Zone": (
        "route53:ChangeTagsForResource",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
        "route53:UpdateHostedZoneComment",
    ),
    "aws:route53/record:Record": ("route53:ChangeResourceRecordSets",),
    "aws:budgets/budget:Budget": ("budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"),
    "aws:codebuild/project:Project": (
        "codebuild:CreateProject",
        "codebuild:DeleteProject",
        "codebuild:UpdateProject",
        _PASS,
    ),
    # What infra/bake calls; the repository stays.
    "pulumi-python:dynamic/easel:Bake": (
        "codebuild:StartBuild",
        "ecr:CreateRepository",
        "ecr:TagResource",
        "s3:PutObject",
    ),
    "pulumi-python:dynamic/easel:Token": (),
}
"""Kinds of a team wherever on AWS it runs."""

INSTANCES: Mapping[str, Actions] = {
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        *_RULES,
        *_NO_RULES,
        "ec2:ModifySecurityGroupRules",
        *_EC2_TAGS,
    ),
    "aws:ec2/instance:Instance": (
        "ec2:AssociateIamInstanceProfile",
        "ec2:DisassociateIamInstanceProfile",
        "ec2:ModifyInstanceAttribute",
        "ec2:ModifyInstanceCreditSpecification",
        "ec2:ModifyInstanceMaintenanceOptions",
        "ec2:ModifyInstanceMetadataOptions",
        "ec2:ModifyVolume",
        "ec2:ReplaceIamInstanceProfileAssociation",
        "ec2:RunInstances",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:TerminateInstances",
        _PASS,
        *_EC2_TAGS,
    ),
    "aws:ebs/volume:Volume": ("ec2:CreateVolume", "ec2:ModifyVolume", *_EC2_TAGS),
    "aws:ec2/volumeAttachment:VolumeAttachment": (
        "ec2:AttachVolume",
        "ec2:DetachVolume",
        "ec2:StopInstances",
    ),
    "aws:ec2/eip:Eip": ("ec2:AllocateAddress", "ec2:ReleaseAddress", *_EC2_TAGS),
    "aws:ec2/eipAssociation:EipAssociation": ("ec2:AssociateAddress", "ec2:DisassociateAddress"),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        "ec2:CreateLaunchTemplate",
        "ec2:CreateLaunchTemplateVersion",
        "ec2:DeleteLaunchTemplate",
        "ec2:ModifyLaunchTemplate",
        *_EC2_TAGS,
    ),
    # A group with a template asks for what its instances need ("Amazon EC2 Auto Scaling API permissions").
    "aws:autoscaling/group:Group": (
        "autoscaling:CreateAutoScalingGroup",
        "autoscaling:CreateOrUpdateTags",
        "autoscaling:DeleteAutoScalingGroup",
        "autoscaling:DeleteTags",
        "autoscaling:DeleteWarmPool",
        "autoscaling:PutLifecycleHook",
        "autoscaling:PutWarmPool",
        "autoscaling:ResumeProcesses",
        "autoscaling:SetInstanceProtection",
        "autoscaling:SuspendProcesses",
        "autoscaling:UpdateAutoScalingGroup",
        "ec2:CreateTags",
        "ec2:RunInstances",
        _LINKED,
        _PASS,
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": (
        "autoscaling:DeleteLifecycleHook",
        "autoscaling:PutLifecycleHook",
    ),
    "aws:iam/instanceProfile:InstanceProfile": (
        "iam:AddRoleToInstanceProfile",
        "iam:CreateInstanceProfile",
        "iam:DeleteInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:TagInstanceProfile",
        "iam:UntagInstanceProfile",
        _PASS,
    ),
    # One that starts a machine again has a role of CloudWatch's own.
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch:DeleteAlarms",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        "cloudwatch:UntagResource",
        _LINKED,
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3:PutBucketVersioning",),
    "aws:s3/bucketObjectv2:BucketObjectv2": (
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObject",
        "s3:PutObjectTagging",
    ),
}
"""Kinds of `runs_on: instances` alone."""

CLUSTER: Mapping[str, Actions] = {
    "aws:eks/cluster:Cluster": (
        "eks:CreateCluster",
        "eks:DeleteCluster",
        "eks:UpdateClusterConfig",
        "eks:UpdateClusterVersion",
        "kms:CreateGrant",
        _LINKED,
        _PASS,
        *_EKS_TAGS,
    ),
    "aws:eks/accessEntry:AccessEntry": (
        "eks:CreateAccessEntry",
        "eks:DeleteAccessEntry",
        "eks:UpdateAccessEntry",
        *_EKS_TAGS,
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "eks:AssociateAccessPolicy",
        "eks:DisassociateAccessPolicy",
    ),
    "aws:eks/addon:Addon": ("eks:CreateAddon", "eks:DeleteAddon", "eks:UpdateAddon", *_EKS_TAGS),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        "eks:CreatePodIdentityAssociation",
        "eks:DeletePodIdentityAssociation",
        "eks:UpdatePodIdentityAssociation",
        _PASS,
        *_EKS_TAGS,
    ),
    "aws:kms/key:Key": (
        "kms:CreateKey",
        "kms:EnableKeyRotation",
        "kms:PutKeyPolicy",
        "kms:ScheduleKeyDeletion",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:UpdateKeyDescription",
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    "aws:acm/certificate:Certificate": (
        "acm:AddTagsToCertificate",
        "acm:DeleteCertificate",
        "acm:RemoveTagsFromCertificate",
        "acm:RequestCertificate",
    ),
    "aws:acm/certificateValidation:CertificateValidation": (),
}
"""Kinds of `runs_on: cluster` alone."""

LOOKS: Mapping[str, Actions] = {
    "acm": ("acm:DescribeCertificate", "acm:ListTagsForCertificate"),
    "autoscaling": ("autoscaling:Describe*",),
    "budgets": ("budgets:ListTagsForResource", "budgets:ViewBudget"),
    "cloudwatch": ("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"),
    "codebuild": ("codebuild:ListBuilds",),
    "ec2": ("ec2:Describe*",),
    "ecr": ("ecr:DescribeImages", "ecr:DescribeRepositories"),
    "eks": ("eks:Describe*", "eks:List*"),
    "elasticfilesystem": ("elasticfilesystem:Describe*", "elasticfilesystem:ListTagsForResource"),
    "iam": (
        "iam:GetInstanceProfile",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:ListRolePolicies",
        "iam:ListRoles",
    ),
    "kms": ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
    "logs": ("logs:DescribeLogGroups", "logs:ListTagsForResource"),
    "route53": ("route53:Get*", "route53:List*"),
    "secretsmanager": ("secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy"),
    # The provider asks for AWS's own number first, and takes it where nobody raised it.
    "servicequotas": ("servicequotas:GetAWSDefaultServiceQuota", "servicequotas:GetServiceQuota"),
    "ssm": (),
}
"""By service, what is looked at wherever it is: names, sizes, policies. What shows more than those
(parameters, objects, images, the variables of a build) is in `infra.deployer.looks`, each by its name."""

LOOKUPS: Mapping[str, str | None] = {
    "aws:ebs/getEbsVolumes:getEbsVolumes": "ec2",
    "aws:ebs/getVolume:getVolume": "ec2",
    "aws:ec2/getAmi:getAmi": "ec2",
    "aws:ec2/getEips:getEips": "ec2",
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": "ec2",
    "aws:ec2/getNetworkInterface:getNetworkInterface": "ec2",
    "aws:ec2/getNetworkInterfaces:getNetworkInterfaces": "ec2",
    "aws:ec2/getRouteTable:getRouteTable": "ec2",
    "aws:ec2/getRouteTables:getRouteTables": "ec2",
    "aws:ec2/getSecurityGroups:getSecurityGroups": "ec2",
    "aws:ec2/getSubnet:getSubnet": "ec2",
    "aws:ec2/getSubnets:getSubnets": "ec2",
    "aws:ec2/getVpc:getVpc": "ec2",
    "aws:ec2/getVpcs:getVpcs": "ec2",
    "aws:ecr/getImage:getImage": "ecr",
    "aws:efs/getFileSystem:getFileSystem": "elasticfilesystem",
    "aws:iam/getRoles:getRoles": "iam",
    "aws:iam/getSessionContext:getSessionContext": "iam",
    "aws:index/getAvailabilityZones:getAvailabilityZones": "ec2",
    "aws:index/getCallerIdentity:getCallerIdentity": None,
    "aws:index/getPartition:getPartition": None,
    "aws:index/getRegion:getRegion": None,
    "aws:kms/getKey:getKey": "kms",
    "aws:lb/getHostedZoneId:getHostedZoneId": None,
    "aws:route53/getZone:getZone": "route53",
    "aws:secretsmanager/getSecret:getSecret": "secretsmanager",
    "aws:secretsmanager/getSecretVersion:getSecretVersion": "secretsmanager",
    "aws:servicequotas/getServiceQuota:getServiceQuota": "servicequotas",
    "aws:ssm/getParameter:getParameter": "ssm",
}
"""The service that each lookup of the program asks; None where it asks none, or what needs no right."""


def writes(runs_on: str) -> frozenset[str]:
    """Every action that changes something, of a team that runs there (`instances`, `cluster`)."""
    rows = {**SHARED, **(CLUSTER if runs_on == "cluster" else INSTANCES)}
    return frozenset(action for actions in rows.values() for action in actions)
