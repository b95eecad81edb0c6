"""The bake against a cloud: what is built, what is not, and what is said when it fails."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.bake import build as builds
from infra.bake import errors
from infra.bake.archive import content_hash
from infra.bake.bakery import Bakery
from infra.bake.progress import BakeProgress
from tests.infra.bake.cloud import BUCKET, PROJECT, Build, Cloud

OTHERS = "easel-other-bake"


class Heard(BakeProgress):
    """What a person would see."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.shown: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, text: str) -> None:
        self.shown.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def bake(cloud: Cloud, folder: Path, heard: Heard) -> Callable[[], Any]:
    """Bake the folder once, without waiting."""

    def run() -> Any:
        bakery = Bakery(cloud.client, heard, folder, sleep=lambda seconds: None)
        return bakery.bake(content_hash(folder), PROJECT, BUCKET)

    return run


def repository(cloud: Cloud) -> dict[str, Any]:
    found: dict[str, Any] = cloud.client("ecr").describe_repositories(repositoryNames=["easel/images"])[
        "repositories"
    ][0]
    return found


def test_the_first_bake_builds_both_and_answers_with_digests(
    cloud: Cloud, folder: Path, bake: Callable[[], Any], heard: Heard
) -> None:
    """The archive is put up, one build is started with it, and everything runs by digest."""
    images = bake()
    content = content_hash(folder)
    [build] = cloud.started()
    assert build.source == f"{BUCKET}/{content}.zip"
    assert build.variables["EASEL_TARGETS"] == "gateway studio"
    assert build.variables["EASEL_REPOSITORY"] == repository(cloud)["repositoryUri"]
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=f"{content}.zip")["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert "easel/app.py" in packed.namelist()
    assert images.studio != images.gateway
    for reference in (images.studio, images.gateway):
        assert reference.startswith(f"{repository(cloud)['repositoryUri']}@sha256:")
    assert images.repository_arn == repository(cloud)["repositoryArn"]
    assert heard.shown == list(cloud.lines), "each line of the log is shown once"


def test_equal_content_is_never_built_twice(cloud: Cloud, bake: Callable[[], Any], folder: Path) -> None:
    """Neither by this team nor by another one of the account, whose stack asks for the same hash."""
    first = bake()
    assert bake() == first
    assert len(cloud.started()) == 1
    (folder / "easel/app.py").write_text("print('drew')")
    assert bake() != first
    assert len(cloud.started()) == 2


def test_the_repository_is_closed_scanned_and_adopted(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Made once an account: tags cannot move, scanned on push, encrypted; nothing in use expires."""
    bake()
    found = repository(cloud)
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    assert found["encryptionConfiguration"]["encryptionType"] == "AES256"
    with pytest.raises(cloud.client("ecr").exceptions.LifecyclePolicyNotFoundException):
        cloud.client("ecr").get_lifecycle_policy(repositoryName="easel/images")
    bake()
    assert cloud.calls.count("CreateRepository") == 1


def test_a_repository_that_another_team_makes_in_the_same_second_is_adopted(
    cloud: Cloud, bake: Callable[[], Any]
) -> None:
    """Between looking and creating there is time for somebody else."""
    cloud.client("ecr").create_repository(repositoryName="easel/images", imageTagMutability="IMMUTABLE")
    cloud.faults["DescribeRepositories"].append(("RepositoryNotFoundException", "not yet"))
    assert bake().studio


def test_a_repository_whose_tags_can_be_moved_is_not_trusted(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Whoever moved a tag there would choose what runs with the team's models and tokens."""
    cloud.client("ecr").create_repository(repositoryName="easel/images", imageTagMutability="MUTABLE")
    with pytest.raises(errors.NotOurRepository, match=r"allows tags to be moved.*set its tags to immutable"):
        bake()
    assert not cloud.started()


def test_an_interrupted_up_finds_its_build_and_waits_for_it(
    cloud: Cloud, folder: Path, bake: Callable[[], Any], heard: Heard
) -> None:
    """Ctrl-C ends the watching and not the build; the next `up` starts no second one."""
    cloud.underway(content_hash(folder))
    assert bake().studio
    assert not cloud.started()
    assert any("is under way" in line for line in heard.said)


def test_a_build_that_ends_between_two_looks_is_not_built_again(
    cloud: Cloud, folder: Path, bake: Callable[[], Any]
) -> None:
    """Its images were not there at the first look, and at the second it is under way no more."""
    cloud.underway(content_hash(folder))
    cloud.polls = 0
    assert bake().studio
    assert not cloud.started()


def test_another_content_under_way_is_no_reason_to_wait(
    cloud: Cloud, folder: Path, bake: Callable[[], Any]
) -> None:
    """A colleague's branch builds something else."""
    cloud.underway("0" * 32).asked = -1000
    bake()
    assert len(cloud.started()) == 1


def test_another_teams_build_that_fails_is_built_anew(
    cloud: Cloud, folder: Path, bake: Callable[[], Any]
) -> None:
    """Their role or network may be at fault, which says nothing of ours."""
    theirs = cloud.underway(content_hash(folder), OTHERS)
    real = cloud.answer

    def answer(operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        if operation == "BatchGetBuilds" and asked["ids"] == [theirs.id]:
            theirs.status = "FAILED"
        return real(operation, asked)

    cloud.answer = answer  # type: ignore[method-assign]
    assert bake().studio
    assert len(cloud.started()) == 1


def test_half_of_it_there_builds_the_other_half(cloud: Cloud, folder: Path, bake: Callable[[], Any]) -> None:
    """A tag that is there cannot be pushed again: only what is missing is asked for."""
    cloud.client("ecr").create_repository(repositoryName="easel/images", imageTagMutability="IMMUTABLE")
    cloud.push(content_hash(folder), "gateway")
    assert bake().gateway
    [build] = cloud.started()
    assert build.variables["EASEL_TARGETS"] == "studio"


def test_the_newest_image_is_the_next_ones_cache(cloud: Cloud, folder: Path, bake: Callable[[], Any]) -> None:
    """Gigabytes of torch are not fetched again because a line of Python changed."""
    bake()
    before = content_hash(folder)
    (folder / "easel/app.py").write_text("print('drew')")
    bake()
    first, second = cloud.started()
    assert "EASEL_CACHE_STUDIO" not in first.variables
    uri = repository(cloud)["repositoryUri"]
    assert second.variables["EASEL_CACHE_STUDIO"] == f"{uri}:studio-{before}"
    assert second.variables["EASEL_CACHE_GATEWAY"] == f"{uri}:gateway-{before}"


def test_who_comes_second_takes_what_the_first_pushed(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Two stacks start in one second: the slower build cannot push, and both have their images."""
    cloud.ends, cloud.pushes = "FAILED", ("gateway", "studio")
    assert bake().studio


@pytest.mark.parametrize(
    ("ends", "kind", "says"),
    [
        (
            "FAILED",
            errors.BuildFailed,
            ["failed: build: exit status 1", "    ERROR: no matching", "console.example"],
        ),
        ("FAULT", errors.BuildFailed, ["CodeBuild itself failed", "console.example"]),
        (
            "TIMED_OUT",
            errors.BuildTimedOut,
            ["ended after 90 minutes", "    ERROR: no matching", "try again"],
        ),
        ("STOPPED", errors.BuildStopped, ["somebody stopped", "pulumi up"]),
    ],
)
def test_a_build_that_ends_badly_says_how(
    cloud: Cloud, bake: Callable[[], Any], ends: str, kind: type[Exception], says: list[str]
) -> None:
    """With the last lines of its log and where all of it is."""
    cloud.ends, cloud.lines = ends, ("#9 pip install", "ERROR: no matching distribution")
    with pytest.raises(kind) as error:
        bake()
    for words in says:
        assert words in str(error.value)


def test_only_the_last_lines_of_a_long_log_are_quoted(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """A build writes thousands."""
    cloud.ends, cloud.lines = "FAILED", tuple(f"line {number}" for number in range(3000))
    with pytest.raises(errors.BuildFailed) as error:
        bake()
    assert "line 2999" in str(error.value)
    assert "line 2900" not in str(error.value)


def test_a_failed_build_is_tried_again_by_the_next_up(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Nothing remembers a failure but the person."""
    cloud.ends = "FAILED"
    with pytest.raises(errors.BuildFailed):
        bake()
    cloud.ends = "SUCCEEDED"
    assert bake().studio
    assert len(cloud.started()) == 2


def test_a_build_that_succeeds_without_images_is_a_failure(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Never an image that is not there."""
    cloud.pushes = ("gateway",)
    with pytest.raises(errors.BuildFailed, match=r"succeeded, and yet studio-.* is not in"):
        bake()


def test_a_build_that_never_ends_is_given_up(
    cloud: Cloud, bake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CodeBuild has limits of its own; this one is for the day they do not hold."""
    cloud.polls = 10**9
    monkeypatch.setattr(builds, "PATIENCE", -1)
    with pytest.raises(errors.BuildTimedOut, match=r"has not ended.*run `pulumi up` again"):
        bake()


@pytest.mark.parametrize(
    ("operation", "code", "kind", "says"),
    [
        ("StartBuild", "AccountLimitExceededException", errors.QuotaReached, "Service Quotas"),
        ("StartBuild", "AccessDeniedException", errors.Denied, "cannot start the build.*build-the-image.md"),
        ("StartBuild", "ExpiredTokenException", errors.CredentialsExpired, "Sign in again"),
        ("CreateRepository", "AccessDeniedException", errors.Denied, "create the image repository"),
        ("BatchGetImage", "UnrecognizedClientException", errors.CredentialsExpired, "does not take the cred"),
        ("BatchGetBuilds", "ExpiredTokenException", errors.CredentialsExpired, "goes on meanwhile"),
        ("StartBuild", "InvalidInputException", errors.AwsRefused, "InvalidInputException: because"),
    ],
)
def test_what_aws_refuses_is_said_so_that_it_can_be_put_right(
    cloud: Cloud, bake: Callable[[], Any], operation: str, code: str, kind: type[Exception], says: str
) -> None:
    """What was to be done, AWS's reason, what to do now."""
    cloud.faults[operation] = [(code, "because")] * 2
    with pytest.raises(kind, match=says):
        bake()


def test_throttling_is_waited_out(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """One answer of `too much` in the middle of a build is nothing; the wait goes on."""
    cloud.faults["BatchGetBuilds"] = [("ThrottlingException", "Rate exceeded")] * 4  # two polls, asked twice
    assert bake().studio
    assert len(cloud.started()) == 1


def test_throttling_without_end_is_said(
    cloud: Cloud, bake: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the word that the build is not lost."""
    monkeypatch.setattr(builds, "MISSES", 1)
    cloud.polls = 10**9
    cloud.faults["BatchGetBuilds"] = [("ThrottlingException", "Rate exceeded")] * 20
    with pytest.raises(errors.Throttled, match="is found again"):
        bake()


def test_a_log_that_may_not_be_read_costs_no_image(
    cloud: Cloud, bake: Callable[[], Any], heard: Heard
) -> None:
    """It is said once, and the build is waited for."""
    cloud.faults["GetLogEvents"] = [("AccessDeniedException", "logs:GetLogEvents")] * 3
    assert bake().studio
    assert sum("without its log" in line for line in heard.said) == 1


def test_files_that_change_meanwhile_are_not_baked_under_the_old_name(
    cloud: Cloud, folder: Path, heard: Heard
) -> None:
    """The tag would lie about what is in the image for as long as the account lasts."""
    before = content_hash(folder)
    (folder / "easel/app.py").write_text("half a thought")
    with pytest.raises(errors.ContentChanged, match="changed while"):
        Bakery(cloud.client, heard, folder).bake(before, PROJECT, BUCKET)
    assert not cloud.started()


def test_what_a_build_is_told_has_no_secret(cloud: Cloud, bake: Callable[[], Any]) -> None:
    """Anyone who may look at builds sees its variables."""
    bake()
    build: Build
    [build] = cloud.started()
    assert set(build.variables) == {"EASEL_CONTENT", "EASEL_REPOSITORY", "EASEL_TARGETS"}
