"""What a build may do: policy statements as pure functions of names and ARNs."""

from infra.bake import REPOSITORY
from infra.policies import Statement, allow


def build_statements(
    partition: str, region: str, account: str, bucket_arn: str, log_arn: str
) -> list[Statement]:
    """What CodeBuild needs while it builds. Its base image comes from ECR Public, which asks for nothing."""
    images = f"arn:{partition}:ecr:{region}:{account}:repository/{REPOSITORY}"
    layers = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:CompleteLayerUpload",
        "ecr:GetDownloadUrlForLayer",
        "ecr:InitiateLayerUpload",
        "ecr:PutImage",
        "ecr:UploadLayerPart",
    ]
    return [
        allow("WriteItsOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_arn}:*"),
        allow("ReadTheArchiveItBuilds", ["s3:GetObject", "s3:GetObjectVersion"], f"{bucket_arn}/*"),
        # Gives a password to the account's registry and nothing else; AWS knows no narrower resource.
        allow("LogInToTheRegistry", "ecr:GetAuthorizationToken", "*"),
        allow("PushImagesAndReuseTheirLayers", layers, images),
    ]
