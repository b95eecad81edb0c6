"""`s3://` against moto's server, over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from easel.models import Intake, Kind, ModelRequest, NotThere, Unreachable, WrongHash
from tests.models.serving import model_bytes, sha256

boto3 = pytest.importorskip("boto3")
moto_server = pytest.importorskip("moto.server")

Make = Callable[..., Intake]
CONTENT = model_bytes(1_300_000, seed=6)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="art-models")
    return client


def test_an_object_comes_by_ranges(s3: Any, intake: Make) -> None:
    """boto3 signs, our downloader fetches and hashes."""
    s3.put_object(Bucket="art-models", Key="loras/dream v2.safetensors", Body=CONTENT)
    address = "s3://art-models/loras/dream v2.safetensors".replace(" ", "+")
    with pytest.raises(NotThere):
        intake().add(ModelRequest(address, Kind.LORA))
    s3.put_object(Bucket="art-models", Key="loras/dream.safetensors", Body=CONTENT)
    added = intake().add(ModelRequest("s3://art-models/loras/dream.safetensors", Kind.LORA))
    assert added.file.path.read_bytes() == CONTENT
    assert added.record.sha256 == sha256(CONTENT)
    assert "Signature" not in added.record.source


def test_a_noted_hash_is_held_to(s3: Any, intake: Make) -> None:
    """`x-amz-meta-sha256` and S3's own checksum of the whole object."""
    s3.put_object(Bucket="art-models", Key="a.safetensors", Body=CONTENT, Metadata={"sha256": "ab" * 32})
    with pytest.raises(WrongHash, match="its source says abab"):
        intake().add(ModelRequest("s3://art-models/a.safetensors", Kind.LORA))
    digest = base64.b64encode(bytes.fromhex(sha256(CONTENT))).decode()
    s3.put_object(Bucket="art-models", Key="b.safetensors", Body=CONTENT, ChecksumSHA256=digest)
    assert intake().add(ModelRequest("s3://art-models/b.safetensors", Kind.LORA)).fetched


def test_versions_are_pinned(s3: Any, intake: Make) -> None:
    """In a versioned bucket all ranges are of one version."""
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="versioned", Key="a.safetensors", Body=b"old")
    s3.put_object(Bucket="versioned", Key="a.safetensors", Body=CONTENT)
    assert (
        intake().add(ModelRequest("s3://versioned/a.safetensors", Kind.LORA)).file.path.read_bytes()
        == CONTENT
    )


def test_no_such_bucket(s3: Any, intake: Make) -> None:
    """Said in words."""
    with pytest.raises(NotThere, match="no such bucket or object"):
        intake().add(ModelRequest("s3://none/a.safetensors", Kind.LORA))


def test_no_credentials(s3: Any, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that may not: what to look at."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(Unreachable, match="credentials"):
        intake().add(ModelRequest("s3://art-models/loras/dream.safetensors", Kind.LORA))
