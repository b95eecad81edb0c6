"""Names that become DNS labels and names of resources."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from infra.names import (
    ENDPOINT_LENGTH,
    TEAM_LENGTH,
    Domain,
    ModelAddress,
    Origin,
    endpoint_name,
    team_name,
)


@pytest.mark.parametrize("name", ["a", "studio", "sd-xl-2", "x" * ENDPOINT_LENGTH])
def test_a_dns_label_is_a_name(name: str) -> None:
    """Lowercase letters, digits and hyphens, beginning with a letter."""
    assert endpoint_name(name) == name


@pytest.mark.parametrize(
    "bad",
    ["", "-a", "a-", "1a", "Studio", "a_b", "a.b", "a b", "ä", "a\n", "../x", "x" * (ENDPOINT_LENGTH + 1)],
)
def test_what_is_no_dns_label_is_refused(bad: str) -> None:
    """A name becomes a host name and a file name; what is neither is refused, and told why."""
    with pytest.raises(ValueError, match=r"is not a name|characters long"):
        endpoint_name(bad)


@pytest.mark.parametrize("name", ["team", "console"])
def test_names_that_easel_needs_are_not_for_endpoints(name: str) -> None:
    """`config/team.json` is the team's, and `console.<domain>` the console's."""
    with pytest.raises(ValueError, match="kept for easel"):
        endpoint_name(name)


def test_the_longest_names_leave_room_for_the_longest_derived_one() -> None:
    """An IAM role's name has at most 64 characters, and Pulumi adds a hyphen and seven of its own."""
    longest = f"easel-{'t' * TEAM_LENGTH}-{'e' * ENDPOINT_LENGTH}-replicas-1234567"
    assert len(longest) <= 64


def test_a_domain_in_another_script_is_told_as_the_dns_has_it() -> None:
    """And taken so."""
    domain = TypeAdapter(Domain)
    with pytest.raises(ValueError, match=r"xn--bcher-kva\.example\.com"):
        domain.validate_python("bücher.example.com")
    assert domain.validate_python("xn--bcher-kva.example.com")


@given(st.text(max_size=70))
def test_any_text_is_a_name_or_a_value_error(text: str) -> None:
    """What passes is a DNS label by RFC 1123, whatever was tried."""
    for check in (endpoint_name, team_name):
        with contextlib.suppress(ValueError):
            assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", check(text))


@pytest.mark.parametrize(
    "bad", ["example", "https://a.b", "a.b/c", "A.example.com", "-a.com", "a..b", "a.b.", "a.1"]
)
def test_what_is_no_domain_is_refused(bad: str) -> None:
    """A domain is written bare: no scheme, no path, no closing dot."""
    with pytest.raises(ValidationError, match=r"art\.example\.com"):
        TypeAdapter(Domain).validate_python(bad)


@pytest.mark.parametrize(
    "bad", ["x.ckpt", "ftp://a/b.safetensors", "/etc/passwd", "hf://", "http://a/b", "hf://a b"]
)
def test_what_is_no_model_address_is_refused(bad: str) -> None:
    """Models come from named sources, encrypted ones only."""
    with pytest.raises(ValidationError, match="is not the address of a model"):
        TypeAdapter(ModelAddress).validate_python(bad)


@pytest.mark.parametrize("bad", ["hf://a/b/c.ckpt", "https://a/b.pt?download=1", "s3://b/k.BIN"])
def test_a_pickle_is_refused_before_anything_is_fetched(bad: str) -> None:
    """A pickle runs code when it is opened, so none is ever taken."""
    with pytest.raises(ValidationError, match="pickle"):
        TypeAdapter(ModelAddress).validate_python(bad)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com", "https://app.example.com:8443", "https://intranet", "http://localhost:3000",
        "http://127.0.0.1:5173", "http://[::1]:8080", "https://x:80",
    ],
)  # fmt: skip
def test_an_origin_is_what_browsers_send(origin: str) -> None:
    """Scheme, host and a port that is not the scheme's own."""
    assert TypeAdapter(Origin).validate_python(origin) == origin


@pytest.mark.parametrize(
    "bad",
    [
        "*", "https://*.example.com", "https://app.example.com/", "https://app.example.com/x", "null", "",
        "app.example.com", "HTTPS://app.example.com", "https://App.example.com", "http://app.example.com",
        "https://user@app.example.com", "https://app.example.com:443", "http://localhost:80",
        "https://a.example {", "https://a.example\n", "file:///x", "https://a..b", "http://localhost.evil.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused(bad: str) -> None:
    """No pattern, no path, no plain http but on this machine: what is refused says what to write."""
    with pytest.raises(ValidationError, match=r"app\.example\.com|browsers leave out"):
        TypeAdapter(Origin).validate_python(bad)
