"""Roles and users, by the two names that AWS has for them."""

from collections.abc import Iterable


def is_among(who: str, admins: Iterable[str]) -> bool:
    """Whether the caller, as STS names it, is one of the admins, as IAM names them.

    Of a role STS tells the name and not the path, so what is compared is account and name.
    """
    return _principal(who) in {_principal(arn) for arn in admins}


def name_of(arn: str) -> tuple[str, str]:
    """`("role", "Admin")` of an ARN of IAM."""
    return _principal(arn)[1:]


def _principal(arn: str) -> tuple[str, str, str]:
    """Account, kind and name: `("111122223333", "role", "Admin")`."""
    account, kind_and_name = arn.split(":")[4], arn.split(":", 5)[5]
    parts = kind_and_name.split("/")
    if parts[0] == "assumed-role":
        return account, "role", parts[1]
    return account, parts[0], parts[-1]
