"""The real engine, where there is one, on one project for the tests of this folder."""

import shutil
from collections.abc import Iterator

import boto3
import pytest

from tests.infra.bake import cloud as bake
from tests.infra.bake.cloud import Cloud
from tests.infra.engine.pulumi import Engine, engine

REGION = "us-east-1"
NEEDED = ("pulumi", "pulumi-language-python")


@pytest.fixture(scope="session")
def pulumi_there() -> None:
    """Skips where Pulumi is not installed."""
    if absent := [name for name in NEEDED if not shutil.which(name)]:
        pytest.skip(
            f"no {' and no '.join(absent)} on PATH: install Pulumi (https://www.pulumi.com/docs/iac/download-install/)"
            " to run easel's program under its real engine"
        )


@pytest.fixture(scope="session")
def builder(pulumi_there: None) -> Iterator[Cloud]:
    """Where the images are baked: moto, and builds as the tests want them to end."""
    with bake.server() as it:
        for service in ("ecr", "s3", "logs", "codebuild"):
            it.clients[service] = boto3.client(
                service, REGION, endpoint_url=it.url, aws_access_key_id="test", aws_secret_access_key="test"
            )
        it.client("logs").create_log_group(logGroupName=bake.GROUP)
        it.polls = 0
        yield it


@pytest.fixture(scope="session")
def pulumi(builder: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """The project as a user has it, with an AWS of its own."""
    it = engine(tmp_path_factory.mktemp("engine"), bake.ACCOUNT, builder.url)
    builder.client("s3").create_bucket(Bucket=bake.BUCKET)
    return it
