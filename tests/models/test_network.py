"""Where page and API may not send this machine, and what no other host may see."""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from easel.models import (
    OPERATOR,
    VISITOR,
    BadAddress,
    Forbidden,
    Intake,
    Kind,
    ModelRequest,
    Secrets,
    SourceError,
    http_client,
    secrets_of,
    source_of,
)
from easel.models.fetch import network
from easel.models.fetch.network import public_addresses
from easel.models.sources.policy import is_public
from tests.models.metadata_addresses import METADATA
from tests.models.serving import Request, Serving, model_bytes

Make = Callable[..., Intake]
_NOWHERE = (Forbidden, httpx.ConnectError, httpx.InvalidURL)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "192.0.2.1",
        "2001:db8::1",
    ],
)
def test_what_is_not_public(address: str) -> None:
    """Private, loopback, link-local and metadata addresses, however they are wrapped."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "104.18.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_public(address: str) -> None:
    """The open internet, in both versions."""
    assert is_public(ipaddress.ip_address(address))


def wrapped(address: ipaddress.IPv4Address) -> list[str]:
    """An IPv4 address in all the IPv6 ones that stand for it."""
    low, high = int(address), int(address) << 80
    inside = (
        (0xFFFF << 32) + low,  # mapped
        (0x64FF9B << 96) + low,  # NAT64
        (0x2002 << 112) + high,  # 6to4
        (0x20010000 << 96) + (~low & 0xFFFFFFFF),  # Teredo
        (0x20010DB8 << 96) + (0x5EFE << 32) + low,  # ISATAP
        (0x26064700 << 96) + (0x02005EFE << 32) + low,
    )
    return [str(ipaddress.IPv6Address(one)) for one in inside]


def spelled(address: ipaddress.IPv4Address) -> list[str]:
    """All the ways to write an IPv4 address that C's resolver takes."""
    a, b, c, d = address.packed
    number = int(address)
    return [
        str(address), str(number), hex(number), f"0{number:o}", f"0X{number:X}",
        f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"0{a:o}.{b:#x}.{number & 0xFFFF}", f"00000{a:o}.{b}.{c}.{d}",
    ]  # fmt: skip


_PRIVATE = st.one_of(
    st.sampled_from([one for one in METADATA if ":" not in one]).map(ipaddress.IPv4Address),
    *(
        st.ip_addresses(network=network)
        for network in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                        "192.0.0.0/24", "100.64.0.0/10", "0.0.0.0/8", "198.18.0.0/15", "224.0.0.0/3")
    ),
)  # fmt: skip


@given(_PRIVATE)
def test_what_is_not_public_has_no_other_name(address: ipaddress.IPv4Address) -> None:
    """However it is wrapped, and however it is spelled: no connection, by the very function that connects."""
    for one in wrapped(address):
        assert not is_public(ipaddress.ip_address(one)), one
    for host in (*spelled(address), *wrapped(address)):
        with pytest.raises((Forbidden, httpcore.ConnectError)):
            public_addresses(host, 443)


@pytest.mark.parametrize("address", METADATA)
def test_metadata_is_not_public(address: str) -> None:
    """Where clouds tell a machine its secrets, whatever range it lies in."""
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("name", ["metadata.google.internal", "METADATA.google.internal.", "instance-data"])
def test_names_of_metadata(name: str) -> None:
    """By name too, before anybody resolves it."""
    with pytest.raises(Forbidden, match="tells a machine its secrets"):
        public_addresses(name, 443)


@given(st.ip_addresses(v=6))
def test_ipv6_is_public_in_what_is_given_out(address: ipaddress.IPv6Address) -> None:
    """Nothing outside of 2000::/3 is, but for IPv4 addresses that are."""
    if address not in ipaddress.ip_network("2000::/3") and is_public(address):
        assert is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))


@given(st.ip_addresses(v=4))
def test_wrapping_changes_nothing(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address in an IPv6 one counts as itself."""
    mapped = ipaddress.IPv6Address((0xFFFF << 32) + int(address))
    assert is_public(mapped) == is_public(address)
    assert {is_public(ipaddress.ip_address(one)) for one in wrapped(address)} == {is_public(address)}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
        "localhost.",
    ],
)
def test_no_way_to_loopback(host: str) -> None:
    """Decimal, hexadecimal, octal, short, named and mapped: refused where the connection is made.

    Not every resolver takes the last forms for addresses; then there is nowhere to connect to.
    """
    with (
        http_client(VISITOR) as http,
        pytest.raises(_NOWHERE, match=r"open internet|resolved|Invalid IPv4"),
    ):
        http.get(f"https://{host}:9/x")


def test_the_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what is connected to is the address that was looked at, and nobody asks again."""
    asked: list[str] = []
    connected: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "1.1.1.1" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(self: Any, host: str, *rest: Any) -> Any:
        connected.append(host)
        raise network.httpcore.ConnectError("stopped by the test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(network.httpcore.SyncBackend, "connect_tcp", connect)
    with http_client(VISITOR) as http:
        with pytest.raises(httpx.ConnectError):
            http.get("https://rebind.example/x")
        assert (asked, connected) == (["rebind.example"], ["1.1.1.1"])
        with pytest.raises(Forbidden):
            http.get("https://rebind.example/x")
        assert connected == ["1.1.1.1"]


def test_one_private_address_among_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with both is refused as a whole. Which address it was is not told: whoever asks would learn the
    names of the operator's network by it."""
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("1.1.1.1", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with http_client(VISITOR) as http, pytest.raises(Forbidden, match="open internet") as told:
        http.get("https://both.example/x")
    assert "10.0.0.1" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    [
        "file:/etc/passwd",
        "s3://bucket/key.safetensors",
        "http://example.com/a.safetensors",
        "https://127.0.0.1/a.safetensors",
        "https://2130706433/a.safetensors",
        "https://[::1]/a.safetensors",
    ],
)
def test_page_and_api_may_not(intake: Make, address: str) -> None:
    """From a visitor: no file, no bucket, no plain http, no address of this machine."""
    with pytest.raises(Forbidden):
        intake(policy=VISITOR).add(ModelRequest(address, Kind.LORA))


def test_a_redirect_is_checked_too(server: Serving, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public host that sends the visitor's download to loopback, and one that sends it to http."""
    targets = iter(
        [f"https://{server.host}/a.safetensors", f"http://{server.host}/a.safetensors", "file:///etc/passwd"]
    )

    def public(self: Any, request: httpx.Request) -> httpx.Response:
        if request.url.host == "public.example":
            return httpx.Response(302, headers={"location": next(targets)}, request=request)
        return real(self, request)

    real = network.Transport.handle_request
    monkeypatch.setattr(network.Transport, "handle_request", public)
    for _ in range(3):
        with pytest.raises(Forbidden):
            intake(policy=VISITOR).add(ModelRequest("https://public.example/a.safetensors", Kind.LORA))
    assert server.seen == []


def test_the_operator_may(server: Serving, intake: Make) -> None:
    """The same address from the command line is fetched."""
    server.put("/a.safetensors", model_bytes(100_000))
    assert intake(policy=OPERATOR).add(ModelRequest(f"{server.url}/a.safetensors", Kind.LORA)).fetched


def test_proxies_are_the_operators(server: Serving, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is asked for the command line, and never on a visitor's word."""
    content = model_bytes(100_000)
    server.put("http://models.example/a.safetensors", content)
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("https_proxy", server.url)
    assert intake(policy=OPERATOR).add(ModelRequest("http://models.example/a.safetensors", Kind.LORA)).fetched
    asked = len(server.seen)
    assert asked
    with pytest.raises(SourceError):
        intake(policy=VISITOR).add(ModelRequest("https://models.invalid/b.safetensors", Kind.LORA))
    assert len(server.seen) == asked


def test_a_token_stays_at_home(server: Serving, intake: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a redirect to another host, or port, the token is not sent; it is in no log and no file."""
    from tests.models.serving import serving

    secret = "t0ken-that-nobody-sees"
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    with serving() as other:
        content = model_bytes(3_000_000)
        other.put("/signed", content)

        def answer(request: Request) -> bool:
            if request.path.startswith("/api/v1/model-versions/"):
                files = [
                    {"id": 1, "name": "a.safetensors", "type": "Model", "metadata": {"format": "SafeTensor"}}
                ]
                return request.json(200, {"id": 5, "modelId": 4, "model": {"type": "LORA"}, "files": files})
            if request.path.startswith("/api/download"):
                return request.answer(307, Location=f"{other.url}/signed?X-Amz-Signature=alsosecret")
            return request.json(200, {"id": 4})

        server.fallback = answer
        monkeypatch.setenv("CIVITAI_ENDPOINT", server.url)
        maker = intake(secrets=Secrets(civitai=secret))
        added = maker.add(ModelRequest("civitai://models/4?version=5"))
        assert [headers.get("authorization") for path, headers in server.seen] == [f"Bearer {secret}"] * len(
            server.seen
        )
        assert other.seen
        assert all("authorization" not in headers for _, headers in other.seen)
    logging.getLogger().removeHandler(handler)
    texts = [record.getMessage() for record in records]
    texts += [
        path.read_text()
        for path in added.file.path.parents[1].rglob("*")
        if path.suffix in (".json", ".info")
    ]
    assert not [text for text in texts if secret in text or "alsosecret" in text]
    assert secret not in repr(maker.__dict__)


def test_tokens_come_from_files_too(tmp_path: Any) -> None:
    """HF_TOKEN_FILE as secrets are mounted; one that is not there is told."""
    (tmp_path / "token").write_text("abc\n")
    assert secrets_of({"HF_TOKEN_FILE": str(tmp_path / "token"), "CIVITAI_TOKEN": "x"}) == Secrets("abc", "x")
    with pytest.raises(BadAddress, match="HF_TOKEN_FILE"):
        secrets_of({"HF_TOKEN_FILE": str(tmp_path / "none")})
    with pytest.raises(BadAddress, match="one word"):
        secrets_of({"HF_TOKEN": "two words"})


@pytest.mark.parametrize(
    "address",
    [
        "",
        "dream",
        "ftp://host/a",
        "hf://org",
        "hf://org/repo",
        "hf://org/../x/y",
        "hf://org/repo/f@",
        "hf://o/r/f@a b",
        "civitai://",
        "civitai://models/x",
        "civitai://models/1?version=x",
        "https://civitai.com/user/me",
        "s3://bucket",
        "s3://bucket/",
        "file:",
        "file://host/a",
        "https://",
        "https:///a",
        "https://huggingface.co/org/repo",
        "https://huggingface.co/o/r/resolve/main/a.safetensors",
        "http://[::1",
        "a" * 3000,
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    """Each is refused with the shape that is meant."""
    with pytest.raises(BadAddress):
        source_of(address)


@given(st.text(max_size=60))
@example("~0")
def test_no_address_makes_trouble(text: str) -> None:
    """Whatever is pasted: a source, or a sentence."""
    for start in ("", "hf://", "civitai://", "https://", "s3://", "file:"):
        with suppress(SourceError):
            source_of(start + text)


def test_what_people_paste_is_one_source() -> None:
    """A page of Civitai, with or without its title, is the model it shows."""
    pages = [
        "https://civitai.com/models/4384?modelVersionId=128713",
        "https://civitai.com/models/4384/dreamshaper?modelVersionId=128713",
        "https://www.civitai.com/models/4384/dreamshaper?modelVersionId=128713#comments",
        "civitai://models/4384?version=128713",
    ]
    assert {source_of(page).address for page in pages} == {"civitai://models/4384?version=128713"}
    assert len({source_of(page).key for page in pages}) == 1


def test_a_key_in_an_address_is_not_shown() -> None:
    """Users, passwords and what stands in a query stay out of messages and records."""
    source = source_of("https://me:pass@host.example/a.safetensors?X-Amz-Signature=abcd&n=1")
    assert source.address == "https://host.example/a.safetensors?X-Amz-Signature=…&n=…"
    assert "pass" not in repr(source)
    assert "abcd" not in repr(source)
