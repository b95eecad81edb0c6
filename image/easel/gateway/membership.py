"""Who is a member: whom the team's identity provider knows by a mail address of one of the team's domains."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from easel.gateway.errors import SignOnFailed, provider_failed

# What goes into a header, a log and a folder's name without a second thought. A `/` is left out: token names
# and browsers are parted by it.
_PLAIN = re.compile(r"[A-Za-z0-9._+'=~-]{1,64}")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
# The issuer of one tenant of Microsoft Entra. Those of `common` and `organizations` vouch for any tenant, and
# who runs one says what addresses its people have.
_TENANT = re.compile(
    r"https://login\.(microsoftonline\.com|microsoftonline\.us|partner\.microsoftonline\.cn)"
    r"/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/v2\.0"
)
_KNOWN = {
    "accounts.google.com": "Google",
    "login.microsoftonline.com": "Microsoft",
    "gitlab.com": "GitLab",
}


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) and value.isascii() else value


MailDomain = Annotated[
    str, BeforeValidator(_lower), Field(max_length=253, pattern=rf"^({_LABEL}\.)+{_LABEL}$")
]


class Members(BaseModel):
    """Single sign-on, as `config/team.json` says it. `client_secret` is the ARN or name of a secret in AWS
    Secrets Manager, never the secret itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    issuer: Annotated[str, Field(max_length=500)]
    client_id: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[ -~]+$")]
    client_secret: Annotated[str, Field(max_length=600, pattern=r"^[A-Za-z0-9/_+=.@:-]+$")] | None = None
    domains: Annotated[tuple[MailDomain, ...], Field(min_length=1)]
    verified_by: Literal["email_verified", "xms_edov"] = "email_verified"
    """The claim that says an address is its owner's. Microsoft Entra has no `email_verified`; its `xms_edov`
    says that the tenant has proved to own the address's domain."""

    @field_validator("issuer")
    @classmethod
    def _reached_safely(cls, issuer: str) -> str:
        if not safe(issuer) or "?" in issuer or "#" in issuer:
            raise ValueError("it must be an https:// address without a query (http:// on this machine only)")
        return issuer

    @model_validator(mode="after")
    def _of_one_tenant(self) -> Members:
        if self.verified_by == "xms_edov" and not (_TENANT.fullmatch(self.issuer) or _here(self.issuer)):
            raise ValueError(
                "verified_by: xms_edov counts from the issuer of one Microsoft Entra tenant only: "
                "https://login.microsoftonline.com/<the tenant's id>/v2.0"
            )
        return self

    @property
    def provider(self) -> str:
        """What people know the provider by."""
        host = urlsplit(self.issuer).hostname or ""
        return _KNOWN.get(host, host)

    @property
    def fingerprint(self) -> str:
        """Changes when sessions that were begun before must end: with the provider, the client, the domains
        or what counts as verified."""
        parts: list[object] = [self.issuer, self.client_id, sorted(self.domains)]
        if self.verified_by != "email_verified":
            parts.append(self.verified_by)
        text = json.dumps(parts)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def name(self, claims: Mapping[str, Any]) -> str:
        """The member that verified `claims` tell of: their mail address in small letters.

        It always has an `@`, which no token's name has. Where the address has letters that do not belong in a
        header, a hash of who they are to the provider takes the place of what is before the `@`. Raises
        SignOnFailed for everybody else.
        """
        mail = claims.get("email")
        if not isinstance(mail, str) or not mail:
            raise SignOnFailed(
                403, f"{self.provider} does not tell us your mail address, and members are known by it"
            )
        local, _, domain = mail.rpartition("@")
        # Before anything is lowered: the Kelvin sign becomes a plain k.
        if not domain.isascii() or domain.lower() not in self.domains or not local or "@" in local:
            raise SignOnFailed(
                403,
                f"your account at {self.provider} is not of this team, whose people have an address at "
                f"{' or '.join(self.domains)}",
                outsider=True,
            )
        if not self._verified(claims):
            raise SignOnFailed(
                403,
                f"{self.provider} has not verified that your mail address is yours; verify it there, "
                "then sign in again",
                outsider=True,
            )
        if not _PLAIN.fullmatch(local):
            subject = f"{self.issuer} {claims.get('sub')}"
            local = f"member-{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()[:24]}"
        return f"{local}@{domain}".lower()

    def _verified(self, claims: Mapping[str, Any]) -> bool:
        """Whether the provider says that the address is its owner's."""
        said = claims.get(self.verified_by)
        if said is None and (self.verified_by == "xms_edov" or self.provider == "Microsoft"):
            # Whoever set it up has to mend it, and nobody gets in before.
            raise provider_failed(
                self.provider,
                f"single sign-on: the ID token has no {self.verified_by}: Microsoft Entra needs the optional "
                "claims email and xms_edov in the application's ID token, and members.verified_by: xms_edov "
                "(docs/how-to/sign-on.md)",
            )
        if self.verified_by == "email_verified":
            return said is True
        # Entra writes it as true or, in some tokens, as "1" or "true".
        return said is True or (isinstance(said, str) and said in ("1", "true"))


def is_member(user: str) -> bool:
    """Whether an `X-Easel-User` of ours is a member: names of tokens and visitors have no `@`, and the
    operator's begins with it."""
    return "@" in user[1:]


def _here(issuer: str) -> bool:
    """Whether a provider is on this machine, where it is somebody's own stand-in."""
    return urlsplit(issuer).hostname in _LOOPBACK


def safe(address: object, *, loopback: bool = True) -> bool:
    """Whether secrets may travel to an address: by https, or (if `loopback`) within this machine."""
    if not isinstance(address, str) or not address.isascii() or not address.isprintable() or " " in address:
        return False
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and host in _LOOPBACK)
