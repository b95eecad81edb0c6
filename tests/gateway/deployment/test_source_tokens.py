"""What the gateway on AWS gives the sources of models: tokens of Secrets Manager, and a store to fetch to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from easel.gateway.config import Endpoint
from easel.gateway.deployment.source_tokens import NO_STORE, source_tokens
from easel.gateway.errors import SyncRefused
from tests.gateway.replicas.aws.region import REGION, Region


@pytest.fixture
def secrets(region: Region, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """ARNs by name, of secrets that are there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", region.url)
    client = region.client("secretsmanager")
    made = {
        "hub": client.create_secret(Name="art/hub", SecretString="hf_abc\n")["ARN"],
        "bytes": client.create_secret(Name="art/bytes", SecretBinary=b"\0")["ARN"],
    }
    yield made
    for arn in made.values():
        client.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def endpoint(**named: str) -> Endpoint:
    return Endpoint.model_validate(
        {"name": "studio", "port": 443, "models": ["hf://a/b/c"], "container": {"secrets": named}}
    )


def test_tokens_are_read_and_other_secrets_are_not(secrets: dict[str, str]) -> None:
    """Only what a source asks for: the role could not read the rest. A token ends without a newline."""
    named = endpoint(HF_TOKEN=secrets["hub"], DATABASE_URL="arn:aws:secretsmanager:us-east-1:1:secret:no")
    assert source_tokens(named, REGION) == {"AWS_DEFAULT_REGION": REGION, "HF_TOKEN": "hf_abc"}


@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("gone", r"secrets\.CIVITAI_TOKEN: .*gone-AbCdEf cannot be read"),
        ("bytes", "is binary: store it as text"),
    ],
)
def test_a_token_that_cannot_be_read_is_named(secrets: dict[str, str], which: str, words: str) -> None:
    """Variable, ARN and AWS's reason; no part of a secret."""
    arn = secrets.get(which, f"arn:aws:secretsmanager:{REGION}:111122223333:secret:art/gone-AbCdEf")
    with pytest.raises(SyncRefused, match=words):
        source_tokens(endpoint(CIVITAI_TOKEN=arn), REGION)


def test_without_the_store_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host says why it could not be mounted. The gateway's own disk is for certificates alone."""
    monkeypatch.setenv(NO_STORE, "cannot mount models from fs-1: access denied")
    with pytest.raises(SyncRefused, match="cannot mount models from fs-1: access denied"):
        source_tokens(endpoint(), REGION)
