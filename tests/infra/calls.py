"""What code asks of AWS, as its text says it, and the rights that it takes."""

import re
from functools import cache

import botocore.session
from botocore import xform_name

# Calls whose right has another name.
RIGHTS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:Cp": "s3:GetObject",
    "ecr:GetLoginPassword": "ecr:GetAuthorizationToken",
}


def in_python(text: str) -> set[tuple[str, str]]:
    """Service and operation of boto3's calls. What changes a group names its operation alone."""
    named = set(re.findall(r'"(autoscaling|ec2|logs|s3)",\s*"([a-z][a-z0-9_]+)"', text))
    return named | {("autoscaling", call) for call in re.findall(r'_(?:ask|hook)\(\s*"([a-z_]+)"', text)}


def action(service: str, call: str) -> str:
    """`autoscaling:SetDesiredCapacity` for boto3's `set_desired_capacity` or the command line's spelling."""
    call = call.replace("-", "_")
    asked = f"{service}:{_operations(service).get(call, call.title().replace('_', ''))}"
    return RIGHTS.get(asked, asked)


@cache
def _operations(service: str) -> dict[str, str]:
    """An API's operations by boto3's names for them."""
    names = botocore.session.get_session().get_service_model(service).operation_names
    return {xform_name(name): name for name in names}
