"""Microsoft Entra ID, which sends no `email_verified`: what vouches for a mail address in its place."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from easel.gateway.access.oidc.membership import member_name
from easel.gateway.config import Members
from easel.gateway.errors import LoginFailed

TENANT = "https://login.microsoftonline.com/0f1e2d3c-0000-4000-8000-0123456789ab/v2.0"


def entra(**settings: Any) -> Members:
    """A tenant of Microsoft's."""
    return Members.model_validate(
        {
            "issuer": TENANT,
            "client_id": "c",
            "domains": ["example.com"],
            "verified_by": "xms_edov",
            **settings,
        }
    )


@pytest.mark.parametrize(("said", "counts"), [
    (True, True), ("1", True), ("true", True),
    (False, False), ("0", False), ("false", False), ("True", False), (1, False), (0, False), ([True], False),
    ("", False),
])  # fmt: skip
def test_entra_vouches_by_xms_edov(said: object, counts: bool) -> None:
    """As Microsoft writes it, and nothing that only looks like it; an email_verified counts for nothing."""
    claims = {"sub": "x", "email": "ann@example.com", "xms_edov": said, "email_verified": True}
    if counts:
        assert member_name(entra(), claims) == "ann@example.com"
    else:
        with pytest.raises(LoginFailed, match="has not verified"):
            member_name(entra(), claims)


def test_an_address_of_another_domain_is_no_members_whoever_vouches() -> None:
    """A guest of the tenant is verified, and of somewhere else."""
    for mail in ("ann@gmail.com", "ann_gmail.com#EXT#@example.onmicrosoft.com", "example.com"):
        with pytest.raises(LoginFailed, match="not of this team"):
            member_name(entra(), {"sub": "x", "email": mail, "xms_edov": True})


@pytest.mark.parametrize("verified_by", ["email_verified", "xms_edov"])
def test_a_tenant_that_does_not_vouch_is_told_to_who_can_mend_it(verified_by: str) -> None:
    """Entra sends neither claim unasked: nobody gets in, and the event says what to add and to write."""
    with pytest.raises(LoginFailed) as failed:
        member_name(entra(verified_by=verified_by), {"sub": "x", "email": "ann@example.com"})
    assert failed.value.status == 502
    assert "xms_edov" in str(failed.value.detail)
    assert "xms_edov" not in failed.value.words


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/0f1e2d3c-0000-4000-8000-0123456789ab",
        "https://login.microsoftonline.com.evil.example/0f1e2d3c-0000-4000-8000-0123456789ab/v2.0",
        "https://accounts.google.com",
    ],
)
def test_xms_edov_counts_from_one_tenant_only(issuer: str) -> None:
    """Whoever runs a tenant says what addresses its people have: anybody's would vouch for anybody."""
    with pytest.raises(ValueError, match="one Microsoft Entra tenant only"):
        entra(issuer=issuer)


def test_a_session_ends_when_something_else_counts_as_verified() -> None:
    """And sessions of teams that say nothing of it go on over the upgrade."""
    assert entra().fingerprint != entra(verified_by="email_verified").fingerprint
    plain = entra(verified_by="email_verified")
    text = json.dumps([plain.issuer, plain.client_id, sorted(plain.domains)])
    assert plain.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:16]
