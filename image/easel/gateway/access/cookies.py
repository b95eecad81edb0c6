"""The cookies of the door: one name per endpoint, for one host, unseen by scripts (RFC 6265)."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

# Browsers keep one for each path and domain; each is a signature to check.
_MOST_OF_A_NAME = 10


def cookie_name(endpoint: str, *, secure: bool) -> str:
    """A name per endpoint: locally all endpoints share one host, and cookies do not see ports.

    With TLS it says `__Host-`: browsers take such a cookie from that very host alone, so that no sibling
    below the team's domain can put a session of its own in its place.
    """
    return f"{'__Host-' if secure else ''}easel_{endpoint}"


def set_cookie(endpoint: str, value: str, max_age: int, *, secure: bool) -> str:
    """A `Set-Cookie` value, not sent along by other sites' pages. `max_age` is seconds; 0 takes it out of the
    browser."""
    parts = [f"{cookie_name(endpoint, secure=secure)}={value}", f"Max-Age={max_age}", "Path=/", "HttpOnly"]
    return "; ".join([*parts, "SameSite=Lax", *(["Secure"] if secure else [])])


def cookie_values(header: str, name: str) -> list[str]:
    """Every value of a cookie: a path or a parent domain may have set a second one of the same name."""
    found: list[str] = []
    for part in header.split(";"):
        if len(found) == _MOST_OF_A_NAME:
            break
        if not part.lstrip().startswith(name):  # reading it would take longer than all else of a request
            continue
        try:
            jar: SimpleCookie = SimpleCookie(part.strip())
        except CookieError:
            continue
        if name in jar:
            found.append(jar[name].value)
    return found
