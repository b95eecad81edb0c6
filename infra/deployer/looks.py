"""Looking: what `pulumi preview` and a refresh ask of AWS, and everything that does more asks too."""

from infra.bake import REPOSITORY
from infra.deployer.place import Place
from infra.deployer.rights import LOOKS
from infra.policies import Statement, allow

_OF_BUCKETS = [
    "s3:GetAccelerateConfiguration",
    "s3:GetBucket*",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
]


def look_statements(place: Place) -> list[Statement]:
    """To see what there is. Of objects only the configuration, which holds no secret: not `run/`."""
    everywhere = sorted(action for actions in LOOKS.values() for action in actions)
    buckets = place.buckets
    return [
        allow("Look", everywhere, "*"),
        allow(
            "LookAtNewestMachineImages", "ssm:GetParameter", place.arn("ssm", "parameter/aws/service/*", "")
        ),
        allow("LookAtBuckets", _OF_BUCKETS, buckets),
        allow(
            "LookAtConfiguration",
            ["s3:GetObject", "s3:GetObjectTagging"],
            [f"{bucket}/config/*" for bucket in buckets],
        ),
        allow("LookAtBakedImages", "ecr:BatchGetImage", place.arn("ecr", f"repository/{REPOSITORY}")),
        # A build of the same content may be another team's, and is waited for.
        allow(
            "LookAtBuilds",
            ["codebuild:BatchGetBuilds", "codebuild:BatchGetProjects"],
            place.arn("codebuild", "project/easel-*-bake"),
        ),
        allow("LookAtTheBuildsLog", "logs:GetLogEvents", place.arn("logs", "log-group:/easel-bake/*")),
    ]
