"""Looking: what `pulumi preview` and a refresh ask of AWS, and everything that does more asks too."""

from infra.bake import REPOSITORY
from infra.deployer.place import Place
from infra.deployer.rights import LOOKS
from infra.policies import Statement, allow
from infra.spec import Spec

_OF_BUCKETS = [
    "s3:GetAccelerateConfiguration",
    "s3:GetBucket*",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
]


def look_statements(place: Place) -> list[Statement]:
    """To see what there is. Of objects only the configuration, which holds no secret: not `run/`.

    On a cluster the secrets that the stack names too: a preview compares their values with those of the
    namespace's Secrets. They are in the stack's state, which whoever previews reads as well.
    """
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
        *_secrets(place),
    ]


def _secrets(place: Place) -> list[Statement]:
    """On a cluster the program reads them, for Secrets of the namespace; elsewhere hosts do."""
    if place.spec.team.runs_on != "cluster" or not (named := _named(place.spec)):
        return []
    whole = (at if at.startswith("arn:") else f"secret:{at}-??????" for at in named)
    arns = sorted({at if at.startswith("arn:") else place.arn("secretsmanager", at) for at in whole})
    # Where a secret is under a key of the account's own, which the file does not say: by that secret alone.
    through = {"kms:EncryptionContext:SecretARN": arns, "kms:ViaService": "secretsmanager.*"}
    return [
        allow("ReadSecrets", "secretsmanager:GetSecretValue", arns),
        allow("DecryptSecrets", "kms:Decrypt", place.arn("kms", "key/*"), {"StringLike": through}),
    ]


def _named(spec: Spec) -> list[str]:
    members = spec.team.members
    own = [members.client_secret] if members and members.client_secret else []
    return [*(at for endpoint in spec.endpoints.values() for at in endpoint.secrets.values()), *own]
