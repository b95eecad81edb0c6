"""CodeBuild, and the bake, which is its own tests' part."""

from tests.infra.cloud.provider import REGION, Cloud, Given, Made, makes

DIGEST = "@sha256:" + "0" * 64


@makes("aws:codebuild/project:Project")
def project(cloud: Cloud, given: Given) -> Made:
    name = given.physical()
    source, artifacts, environment = given("source"), given("artifacts"), given("environment")
    logs = given("logsConfig")["cloudwatchLogs"]
    cloud("codebuild").create_project(
        name=name,
        description=given("description"),
        serviceRole=given("serviceRole"),
        source=source,
        artifacts=artifacts,
        environment=environment,
        timeoutInMinutes=given("buildTimeout"),
        queuedTimeoutInMinutes=given("queuedTimeout"),
        logsConfig={"cloudWatchLogs": {"status": "ENABLED", **logs}},
        tags=[{"key": one["Key"], "value": one["Value"]} for one in given.tags()],
    )
    return name, {"name": name}


@makes("pulumi-python:dynamic/easel:Bake")
def bake(cloud: Cloud, given: Given) -> Made:
    """What a finished bake says; how it comes about is tested by `tests/infra/bake`."""
    for key in ("__provider", "studio", "gateway", "repository_arn", "content", "region"):
        given(key)
    cloud("codebuild").batch_get_projects(names=[given("project")])
    cloud("iam").get_role(RoleName=given("role").rpartition("/")[2])
    cloud("s3").head_bucket(Bucket=given("bucket"))
    account = cloud("sts").get_caller_identity()["Account"]
    place = f"{account}.dkr.ecr.{REGION}.amazonaws.com/easel"
    return "bake", {
        "studio": place + DIGEST,
        "gateway": place + DIGEST,
        "repository_arn": f"arn:aws:ecr:{REGION}:{account}:repository/easel",
    }
