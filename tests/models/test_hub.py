"""Hugging Face's own client against a stand-in of the hub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from easel.models import (
    Intake,
    Kind,
    ModelRequest,
    NeedsToken,
    NoAccess,
    NotThere,
    Secrets,
    Store,
    Unreachable,
)
from tests.models.serving import Request, Serving, model_bytes, serving, sha256

pytest.importorskip("huggingface_hub")

Make = Callable[..., Intake]
CONTENT = model_bytes(1_200_000, seed=5)
COMMIT = "a" * 40
FILE = "hf://org/repo/unet/dream.safetensors"


class Hub:
    """`/org/repo/resolve/REVISION/FILE`: a redirect to a CDN with the file's size and SHA-256 in headers."""

    def __init__(self, service: Serving, cdn: Serving) -> None:
        self.service, self.cdn = service, cdn
        self.gated = self.private = False
        service.fallback = self.answer
        cdn.put("/xet/blob", CONTENT, etag=f'"{sha256(CONTENT)}"')

    def answer(self, request: Request) -> bool:
        token = request.headers.get("authorization") == "Bearer hub-token"
        if self.private and not token:
            return request.answer(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        if self.gated and token:
            return request.answer(
                403, X_Error_Code="GatedRepo", X_Error_Message="Access to model is restricted"
            )
        if self.gated:
            return request.answer(
                401, X_Error_Code="GatedRepo", X_Error_Message="Access to model is restricted"
            )
        found = re.fullmatch(r"/org/repo/resolve/([^/]+)/(.*)", request.path)
        if not found:
            return request.answer(404, X_Error_Code="RepoNotFound")
        if found[1] not in ("main", "v1.0", COMMIT):
            return request.answer(404, X_Error_Code="RevisionNotFound")
        if found[2] != "unet/dream.safetensors":
            return request.answer(404, X_Error_Code="EntryNotFound")
        return request.answer(
            302,
            Location=f"{self.cdn.url}/xet/blob?X-Amz-Signature=abc",
            X_Repo_Commit=COMMIT,
            X_Linked_Size=str(len(CONTENT)),
            X_Linked_Etag=f'"{sha256(CONTENT)}"',
        )


@pytest.fixture(params=["the library's own", "told to ask nobody"])
def hub(request: pytest.FixtureRequest, server: Serving, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Also as in a studio, where HF_HUB_OFFLINE keeps the library silent, and we ask."""
    if request.param == "told to ask nobody":
        monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)
    with serving() as cdn:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield Hub(server, cdn)


@pytest.mark.parametrize("revision", ["", "@main", "@v1.0", f"@{COMMIT}"])
def test_a_file_of_the_hub(hub: Hub, store: Store, intake: Make, revision: str) -> None:
    """The library finds it, our downloader fetches it, the hub's SHA-256 is held to."""
    added = intake().add(ModelRequest(FILE + revision, Kind.LORA))
    assert added.file.path.read_bytes() == CONTENT
    assert added.record.sha256 == sha256(CONTENT)
    assert added.record.source == FILE + (revision or "@main")


def test_the_token_goes_to_the_hub_alone(hub: Hub, intake: Make) -> None:
    """A private repository opens with HF_TOKEN; the CDN never sees it."""
    hub.private = True
    with pytest.raises(NotThere, match="HF_TOKEN"):
        intake().add(ModelRequest(FILE, Kind.LORA))
    assert intake(secrets=Secrets(hub="hub-token")).add(ModelRequest(FILE, Kind.LORA)).fetched
    assert all("authorization" not in headers for _, headers in hub.cdn.seen)


def test_a_gated_repository(hub: Hub, intake: Make) -> None:
    """Consent is needed: where to give it is said, with and without a token."""
    hub.gated = True
    with pytest.raises(NeedsToken, match=r"agree on .*/org/repo, then set HF_TOKEN"):
        intake().add(ModelRequest(FILE, Kind.LORA))
    with pytest.raises(NoAccess, match="has not agreed"):
        intake(secrets=Secrets(hub="hub-token")).add(ModelRequest(FILE, Kind.LORA))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("hf://org/none/a.safetensors", "no repository org/none"),
        (f"{FILE}@v9", "no revision 'v9'"),
        ("hf://org/repo/none.safetensors", "no file 'none.safetensors'"),
    ],
)
def test_what_the_hub_does_not_have(hub: Hub, intake: Make, address: str, words: str) -> None:
    """Repository, revision and file are told apart."""
    with pytest.raises(NotThere, match=words):
        intake().add(ModelRequest(address, Kind.LORA))


def test_a_hub_out_of_reach(intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said in words, not by a library's error."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
    with pytest.raises(Unreachable, match="cannot be reached"):
        intake().add(ModelRequest(FILE, Kind.LORA))


def test_a_link_of_the_hub_that_ends(hub: Hub, store: Store, intake: Make) -> None:
    """The CDN's address is asked for anew, and each byte is fetched once."""
    blob = hub.cdn.files["/xet/blob"]
    blob.before = lambda request: request.answer(403) if request.count == 2 else False
    added = intake().add(ModelRequest(FILE, Kind.LORA))
    assert added.file.path.read_bytes() == CONTENT
