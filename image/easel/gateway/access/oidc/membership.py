"""Who is a member: whom the team's identity provider knows by a mail address of one of the team's domains."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from easel.gateway.config import Members
from easel.gateway.errors import LoginFailed, provider_failed
from easel.remark import remark

# What goes into a header, a log and a folder's name without a second thought. A `/` is left out: token names
# and browsers are parted by it.
_PLAIN = re.compile(r"[A-Za-z0-9._+'=~-]{1,64}")


def member_name(members: Members, claims: Mapping[str, Any]) -> str:
    """The member that verified `claims` tell of: their mail address in small letters.

    It always has an `@`, which no token's name has. Where the address has letters that do not belong in a
    header, a hash of who they are to the provider takes the place of what is before the `@`. Raises
    LoginFailed for everybody else.
    """
    mail = claims.get("email")
    if not isinstance(mail, str) or not mail:
        words = "{provider} does not tell us your mail address, and members are known by it"
        raise LoginFailed(403, remark("member_no_mail", words, provider=members.provider))
    local, _, domain = mail.rpartition("@")
    # Before anything is lowered: the Kelvin sign becomes a plain k.
    if not domain.isascii() or domain.lower() not in members.domains or not local or "@" in local:
        raise LoginFailed(
            403,
            remark(
                "member_outsider",
                "your account at {provider} is not of this team, whose people have an address at {domains}",
                provider=members.provider,
                domains=_one_of(members.domains),
            ),
            outsider=True,
        )
    if not _verified(members, claims):
        raise LoginFailed(
            403,
            remark(
                "member_unverified",
                "{provider} has not verified that your mail address is yours; verify it there, then sign in "
                "again",
                provider=members.provider,
            ),
            outsider=True,
        )
    if not _PLAIN.fullmatch(local):
        subject = f"{members.issuer} {claims.get('sub')}"
        local = f"member-{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:24]}"
    return f"{local}@{domain}".lower()


def _one_of(names: Iterable[str]) -> str:
    return reduce(lambda one, other: remark("one_or_other", "{one} or {other}", one=one, other=other), names)


def _verified(members: Members, claims: Mapping[str, Any]) -> bool:
    """Whether the provider says that the address is its owner's."""
    said = claims.get(members.verified_by)
    if said is None and (members.verified_by == "xms_edov" or members.provider == "Microsoft"):
        # Whoever set it up has to mend it, and nobody gets in before.
        raise provider_failed(
            members.provider,
            remark(
                "sign_on_claim_missing",
                "single sign-on: the ID token has no {claim}: Microsoft Entra needs the optional claims "
                "email and xms_edov in the application's ID token, and members.verified_by: xms_edov "
                "(docs/how-to/sign-on.md)",
                claim=members.verified_by,
            ),
        )
    if members.verified_by == "email_verified":
        return said is True
    # Entra writes it as true or, in some tokens, as "1" or "true".
    return said is True or (isinstance(said, str) and said in ("1", "true"))


def is_member(user: str) -> bool:
    """Whether an `X-Easel-User` of ours is a member: names of tokens and visitors have no `@`, and the
    operator's begins with it."""
    return "@" in user[1:]
