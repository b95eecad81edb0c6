"""The provider as the engine runs it: pickled, loaded in a fresh process, called over its wire."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider

from infra.bake.archive import content_hash
from infra.bake.provider import BakeProvider
from tests.infra.bake.cloud import ACCOUNT, BUCKET, PROJECT, REGION, ROLE, Cloud
from tests.infra.bake.conftest import signed
from tests.infra.bake.engine import Provider, provider


@pytest.fixture
def inputs() -> dict[str, Any]:
    return {
        "content": content_hash(),
        "region": REGION,
        "role": ROLE,
        "project": PROJECT,
        "bucket": BUCKET,
        "studio": None,
        "gateway": None,
        "repository_arn": None,
        PROVIDER_KEY: serialize_provider(BakeProvider()),
    }


@pytest.fixture(scope="module")
def running(lasting_cloud: Cloud) -> Iterator[Provider]:
    """One process for the tests that need no fresh one."""
    with pytest.MonkeyPatch.context() as patch:
        signed(patch)
        with provider(AWS_ENDPOINT_URL=lasting_cloud.url) as it:
            yield it


@pytest.mark.slow
def test_a_fresh_process_bakes_and_shows_the_log(cloud: Cloud, inputs: dict[str, Any]) -> None:
    """From check to refresh to delete, with the repository's own files; nothing is imported beforehand."""
    with provider(AWS_ENDPOINT_URL=cloud.url) as it:
        it.configure({})
        checked = it.check(inputs)
        id_, state = it.create(checked)
        uri = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/easel/images@sha256:"
        assert state["studio"].startswith(uri)
        assert state["gateway"].startswith(uri)
        assert state["repository_arn"] == f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/easel/images"
        assert it.log.passed == list(cloud.lines), "the build's log passes by"
        assert any("building the images" in line for line in it.log.stayed)
        assert it.read(id_, state) == id_
        it.delete(state)
        assert "the images stay in" in it.log.stayed[-1]
    images = cloud.client("ecr").list_images(repositoryName="easel/images")["imageIds"]
    assert len(images) == 2, "destroying one team's stack takes no image from another"


def test_it_is_pickled_by_name(inputs: dict[str, Any]) -> None:
    """State must not change with each line of ours, nor hold code that a later version no longer has."""
    pickled = base64.b64decode(inputs[PROVIDER_KEY])
    assert b"infra.bake.provider" in pickled
    assert len(pickled) < 200
    assert serialize_provider(BakeProvider()) == inputs[PROVIDER_KEY]


def test_only_content_and_place_are_changes(cloud: Cloud, running: Provider, inputs: dict[str, Any]) -> None:
    """A renamed project or bucket builds nothing; another account or region has none of the images."""
    same = running.diff(inputs, {**inputs, "project": "other", "bucket": "other"})
    assert same.changes == same.DIFF_NONE
    content = running.diff(inputs, {**inputs, "content": "0" * 32})
    assert content.changes == content.DIFF_SOME
    assert not content.replaces
    for name, value in {"region": "us-east-1", "role": ROLE.replace(ACCOUNT, "210987654321")}.items():
        moved = running.diff(inputs, {**inputs, name: value})
        assert list(moved.replaces) == [name]
        assert not moved.deleteBeforeReplace, "what runs keeps its image until the new one is there"
    assert not cloud.calls, "a diff asks nobody"


def test_a_failed_build_reaches_the_person_with_its_reason(
    cloud: Cloud, running: Provider, inputs: dict[str, Any]
) -> None:
    """The engine shows the traceback that the process sends: our words are its end, and it is short."""
    cloud.ends, cloud.lines = "FAILED", ("ERROR: no matching distribution",)
    with pytest.raises(grpc.RpcError) as error:
        running.create(inputs)
    text = error.value.details()
    assert "BuildFailed: the image build failed: build: exit status 1" in text
    assert "    ERROR: no matching distribution" in text
    assert "botocore" not in text
    assert text.count("\n  File ") <= 4, text


def test_images_that_somebody_deleted_are_gone_at_refresh(
    cloud: Cloud, running: Provider, inputs: dict[str, Any]
) -> None:
    """So that the next `up` bakes them again."""
    cloud.client("ecr").create_repository(repositoryName="easel/images", imageTagMutability="IMMUTABLE")
    cloud.push(inputs["content"], "gateway")
    assert running.read("x", inputs) == ""


def test_check_diff_and_refresh_write_nothing(
    cloud: Cloud, running: Provider, inputs: dict[str, Any]
) -> None:
    """A refresh by who may only read, before the first bake, too: no repository comes of looking for one."""
    running.configure({})
    checked = running.check(inputs)
    running.diff(inputs, {**checked, "content": "0" * 32})
    assert running.read("x", checked) == ""
    cloud.client("ecr").create_repository(repositoryName="easel/images", imageTagMutability="IMMUTABLE")
    cloud.push(inputs["content"], "gateway", "studio")
    cloud.writes.clear()
    assert running.read("x", checked) == "x"
    assert cloud.writes == []


def test_credentials_of_another_account_build_nothing_there(
    cloud: Cloud, running: Provider, inputs: dict[str, Any]
) -> None:
    """AWS_PROFILE of yesterday's project: the images would be where no host of this team looks."""
    inputs["role"] = ROLE.replace(ACCOUNT, "210987654321")
    with pytest.raises(grpc.RpcError) as error:
        running.create(inputs)
    assert "WrongAccount" in error.value.details()
    assert "AWS_PROFILE" in error.value.details()
    assert "CreateRepository" not in cloud.calls


def test_it_takes_the_credentials_that_pulumi_takes(cloud: Cloud, inputs: dict[str, Any]) -> None:
    """`aws:profile` and `aws:assumeRoles` of the stack's configuration, which pulumi-aws obeys too."""
    with provider(AWS_ENDPOINT_URL=cloud.url) as it:
        it.configure({"aws:profile": "nobody-has-this"})
        with pytest.raises(grpc.RpcError, match="nobody-has-this") as error:
            it.create(inputs)
        assert "CredentialsExpired" in error.value.details()
    assumed = json.dumps([{"roleArn": "arn:aws:iam::210987654321:role/deploy"}])
    with provider(AWS_ENDPOINT_URL=cloud.url) as it:
        it.configure({"aws:assumeRoles": assumed})
        with pytest.raises(grpc.RpcError, match="account 210987654321's"):
            it.create(inputs)


def test_without_an_engine_it_speaks_to_stderr(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """A display that is gone must not end a build."""
    from infra.bake.progress import BakeProgress

    progress = BakeProgress(["127.0.0.1:9"])  # nobody listens on `discard`
    progress.show("passing")
    progress.say("building")
    assert capsys.readouterr().err == "building\n"
