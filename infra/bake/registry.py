"""Where baked images are: one repository of the account and region, shared by its teams.

A stack adopts it and never owns it: destroying one team must not take the images that another one runs. So it
is made through boto3 and not registered as a resource (docs/decisions/0010).
"""

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.bake import REPOSITORY, TARGETS
from infra.bake.errors import NotOurRepository, code_of, told


@dataclass(frozen=True)
class Repository:
    """The repository, as AWS knows it."""

    arn: str
    uri: str
    """`<account>.dkr.ecr.<region>.amazonaws.com/easel/images`."""

    def reference(self, digest: str) -> str:
        """An image by its digest, which nobody can move."""
        return f"{self.uri}@{digest}"


def tag(target: str, content: str) -> str:
    """The tag that an image is found again by: `studio-<content hash>`."""
    return f"{target}-{content}"


class Registry:
    """The account's repository of easel images. `ecr` is boto3's client."""

    def __init__(self, ecr: Any) -> None:
        self._ecr = ecr

    def find(self) -> Repository | None:
        """The repository, or None if the account has none yet. It only reads. Raises BakeError."""
        with told(f"find the image repository {REPOSITORY}"):
            found = self._find()
        return _trusted(found) if found else None

    def adopt(self) -> Repository:
        """The repository; it is made if the account has none yet. Raises BakeError."""
        if there := self.find():
            return there
        with told(f"create the image repository {REPOSITORY}"):
            made = self._create() or self._find()
        if made is None:
            raise NotOurRepository(f"the repository {REPOSITORY} came and went: is somebody deleting it?")
        return _trusted(made)

    def digests(self, content: str) -> dict[str, str]:
        """The digests of this content's images, by target, as far as they are there."""
        wanted = {tag(target, content): target for target in TARGETS}
        with told(f"look for images in {REPOSITORY}"):
            answer = self._ecr.batch_get_image(
                repositoryName=REPOSITORY, imageIds=[{"imageTag": name} for name in wanted]
            )
        images = (image["imageId"] for image in answer["images"])
        return {wanted[image["imageTag"]]: image["imageDigest"] for image in images if "imageTag" in image}

    def newest(self) -> dict[str, str]:
        """The tag of the newest image of each target: its layers are the next build's cache."""
        newest: dict[str, tuple[Any, str]] = {}
        with told(f"list the images of {REPOSITORY}"):
            pages = self._ecr.get_paginator("describe_images").paginate(
                repositoryName=REPOSITORY, filter={"tagStatus": "TAGGED"}
            )
            for image in (image for page in pages for image in page["imageDetails"]):
                for name in image["imageTags"]:
                    target = name.split("-")[0]
                    known = newest.get(target)
                    if target in TARGETS and (known is None or known[0] < image["imagePushedAt"]):
                        newest[target] = (image["imagePushedAt"], name)
        return {target: name for target, (_, name) in newest.items()}

    def _find(self) -> dict[str, Any] | None:
        try:
            found = self._ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
        except ClientError as error:
            if code_of(error) == "RepositoryNotFoundException":
                return None
            raise
        return dict(found[0]) if found else None

    def _create(self) -> dict[str, Any] | None:
        try:
            made = self._ecr.create_repository(
                repositoryName=REPOSITORY,
                # A tag is the hash of what is in the image: what is there is never pushed again.
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
                tags=[{"Key": "easel:shared", "Value": "by the teams of this account and region"}],
            )
        except ClientError as error:
            if code_of(error) == "RepositoryAlreadyExistsException":
                return None  # another team's stack was as quick
            raise
        return dict(made["repository"])


def _trusted(found: dict[str, Any]) -> Repository:
    """The repository as AWS describes it. Raises NotOurRepository."""
    if found["imageTagMutability"] != "IMMUTABLE":
        raise NotOurRepository(
            f"the repository {found['repositoryArn']} allows tags to be moved, so easel did not make it "
            "and cannot trust what is in it. Delete or rename it, or set its tags to immutable"
        )
    return Repository(found["repositoryArn"], found["repositoryUri"])
