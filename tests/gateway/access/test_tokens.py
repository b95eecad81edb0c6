"""Tokens, sessions and failed attempts, by themselves."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from easel.gateway.access.rate_limit import RateLimit, network
from easel.gateway.access.rights import Rights
from easel.gateway.access.sessions import Sessions
from easel.gateway.access.tokens import PATTERN, Token, Tokens, token_file
from easel.gateway.errors import GatewayError, TokenConflict, TokenRefused
from tests.gateway.rings import ring


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.json"


@pytest.fixture
def tokens(file: Path) -> Tokens:
    return Tokens(token_file(file))


def test_plaintext_is_kept_nowhere(tokens: Tokens, file: Path) -> None:
    """Who reads the file learns no token, and nobody but the owner reads it."""
    plaintext = tokens.new("studio", "kim")
    assert PATTERN.fullmatch(plaintext)
    assert len(plaintext) >= 48
    assert plaintext not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert tokens.new("studio", "lee") != plaintext


def test_a_token_opens_its_own_endpoint_only(tokens: Tokens) -> None:
    """The token of one endpoint is worth nothing at another."""
    plaintext = tokens.new("studio", "kim")
    assert tokens.check("studio", plaintext)
    assert tokens.check("other", plaintext) is None
    for wrong in ("", "easel_", plaintext[:-1], plaintext + "x", plaintext.upper(), "é" * 40, "\ud800"):
        assert tokens.check("studio", wrong) is None


def test_a_token_is_known_by_its_whole_hash(tokens: Tokens, file: Path) -> None:
    """What only begins like a hash that is known opens nothing, though it is found by its beginning."""
    plaintext = tokens.new("studio", "kim")
    digest = tokens.of()[0].hash
    file.write_text(file.read_text().replace(digest, digest[:16] + digest[:15:-1]))
    assert tokens.of()[0].id == digest[:16]
    assert tokens.check("studio", plaintext) is None


def test_expiry(tokens: Tokens) -> None:
    """An expired token opens nothing and gives its name free."""
    soon = tokens.new("studio", "kim", time.time() + 0.2)
    assert tokens.check("studio", soon)
    time.sleep(0.25)
    assert tokens.check("studio", soon) is None
    tokens.new("studio", "kim")
    assert [token.expires for token in tokens.of("studio")] == [None]


def test_revoking(tokens: Tokens, file: Path) -> None:
    """A revoked token is worthless at once, also to another process that had read it before."""
    plaintext = tokens.new("studio", "kim")
    elsewhere = Tokens(token_file(file))
    assert elsewhere.check("studio", plaintext)
    assert tokens.revoke("studio", "kim")
    assert not tokens.revoke("studio", "kim")
    assert elsewhere.check("studio", plaintext) is None


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "../x", "kim ", " kim", "anonymous", "Anonymous", "local", "x" * 64, "é", "a\n", "-x", "<b>"],
)
def test_names_that_cannot_be(tokens: Tokens, name: str) -> None:
    """A name becomes part of X-Easel-User and of addresses: only plain ones, and none that means somebody
    else."""
    with pytest.raises(TokenRefused, match="letters, digits"):
        tokens.new("studio", name)


def test_names_are_unique(tokens: Tokens) -> None:
    """Two tokens of one name would be one owner of pictures."""
    tokens.new("studio", "kim")
    tokens.new("other", "kim")
    with pytest.raises(TokenRefused, match="revoke it first"):
        tokens.new("studio", "kim")


@pytest.mark.parametrize("expires", [0, -1, float("nan"), float("inf"), 1e15])
def test_moments_that_cannot_be(tokens: Tokens, expires: float) -> None:
    """A token that was never valid, or ends after the calendar, is a mistake, not a token."""
    with pytest.raises(TokenRefused, match="expires"):
        tokens.new("studio", "kim", expires)


def test_last_used_is_seen_at_once_and_written_later(tokens: Tokens, file: Path) -> None:
    """Use is noted in memory, and on disk by `flush`: a write per request would wear a disk out."""
    plaintext = tokens.new("studio", "kim")
    before = file.read_bytes()
    tokens.check("studio", plaintext)
    assert file.read_bytes() == before
    assert tokens.of()[0].last_used
    tokens.flush()
    assert Tokens(token_file(file)).of()[0].last_used


def _write(path: str, worker: int) -> None:
    tokens = Tokens(token_file(Path(path)))
    for number in range(5):
        tokens.new("studio", f"w{worker}-{number}")
    tokens.revoke("studio", f"w{worker}-0")


def test_writers_at_once_lose_nothing(file: Path) -> None:
    """Four processes that make and revoke tokens at once leave exactly what they should."""
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(str(file), worker)) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    names = {token.name for token in Tokens(token_file(file)).of()}
    assert names == {f"w{worker}-{number}" for worker in range(4) for number in range(1, 5)}
    assert [path.name for path in file.parent.glob(".tokens*")] == [".tokens.json.spare"]


def test_swap_refuses_what_is_stale(file: Path) -> None:
    """Compare-and-swap: who read before another wrote must read again."""
    store = token_file(file)
    _, revision = store.read()
    token = Token("studio", "kim", "0" * 64, 0)
    assert store.swap([token], revision)
    assert not store.swap([], revision)
    assert store.read()[0] == [token]


def test_gives_up_against_a_store_that_never_takes() -> None:
    """A change that cannot be written is an error, not a loop."""

    class Busy:
        def read(self) -> tuple[list[Token], str]:
            return [], ""

        def swap(self, tokens: list[Token], revision: str, *, must: bool = False) -> bool:
            return False

        def changed(self) -> object:
            return None

    with pytest.raises(TokenConflict, match="try again"):
        Tokens(Busy()).new("studio", "kim")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tokens": [{"name": 1}]}', '{"tokens": 3}', "\0"])
def test_a_broken_file_is_told(file: Path, content: str) -> None:
    """A damaged token file must not look like an empty one: everybody would be locked out without a word."""
    file.write_text(content)
    with pytest.raises(GatewayError, match="not a file of tokens"):
        Tokens(token_file(file)).of()


@pytest.fixture
def sessions(tokens: Tokens) -> Sessions:
    return Sessions(ring(), Rights(tokens, public=lambda endpoint: endpoint == "gallery"))


def cookie(sessions: Sessions, endpoint: str, token: Token | None) -> str:
    return sessions.cookie(sessions.start(endpoint, token), secure=False).split(";")[0]


def test_two_browsers_with_one_link_are_two(tokens: Tokens, sessions: Sessions) -> None:
    """Sharing a link shares neither queue nor gallery."""
    token = tokens.check("studio", tokens.new("studio", "kim"))
    one, two = sessions.start("studio", token), sessions.start("studio", token)
    assert one.user != two.user
    assert one.user.startswith("kim/")


def test_a_session_lives_as_long_as_its_token(tokens: Tokens, sessions: Sessions) -> None:
    """Revoking a token signs everybody out; a new token of the same name signs nobody in."""
    token = tokens.check("studio", tokens.new("studio", "kim"))
    header = cookie(sessions, "studio", token)
    assert sessions.read("studio", header)
    tokens.revoke("studio", "kim")
    assert sessions.read("studio", header) is None
    tokens.new("studio", "kim")
    assert sessions.read("studio", header) is None


def test_cookies_of_others_are_refused(tokens: Tokens, sessions: Sessions) -> None:
    """Another endpoint's cookie, renamed or not, another secret's, a changed or an anonymous one: nothing."""
    token = tokens.check("studio", tokens.new("studio", "kim"))
    header = cookie(sessions, "studio", token)
    value = header.partition("=")[2]
    stranger = cookie(Sessions(ring("another " * 6), Rights(tokens)), "studio", token)
    anonymous = cookie(sessions, "studio", None)
    for wrong in (
        f"easel_other={value}",
        stranger,
        anonymous,
        header[:-2],
        "easel_studio=",
        "easel_studio=a.b.c",
        "\0",
        "=;=;",
    ):
        assert sessions.read("other", wrong) is None
        assert wrong == f"easel_other={value}" or sessions.read("studio", wrong) is None
    # A second cookie of the same name, as another path or host may set, does not hide the good one.
    assert sessions.read("studio", f"easel_studio=junk; x=1; {header}")
    assert sessions.read("gallery", cookie(sessions, "gallery", None))


def test_cookie_attributes(sessions: Sessions) -> None:
    """No script reads it, no other site sends it along, and with TLS it never travels without."""
    session = sessions.start("studio", None)
    plain, tls = sessions.cookie(session, secure=False), sessions.cookie(session, secure=True)
    for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=2592000"):
        assert part in plain
    assert "Domain" not in plain
    assert "Secure" not in plain
    assert tls.endswith("Secure")


def test_attempts_slow_down_and_recover() -> None:
    """Ten wrong tokens a minute from one network, then a wait that ends."""
    attempts = RateLimit(allowed=2, seconds=0.3)
    assert [attempts.fail("192.0.2.1") for _ in range(3)] == [0, 0, 1]
    assert attempts.fail("192.0.2.2") == 0
    time.sleep(0.35)
    assert attempts.fail("192.0.2.1") == 0


def test_networks() -> None:
    """A household in IPv6 is one caller whatever address of its /64 it takes; nonsense is one caller too."""
    assert network("2001:db8::1") == network("2001:db8::ffff:2")
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("192.0.2.1") != network("192.0.2.2")
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("junk") == network("") == "unknown"


def test_a_token_shows_no_hash_by_its_id(tokens: Tokens, file: Path) -> None:
    """What a cookie carries of a token does not open anything."""
    tokens.new("studio", "kim")
    token = tokens.of()[0]
    assert json.loads(file.read_text())["tokens"][0]["hash"] == token.hash
    assert tokens.check("studio", token.id) is None
    assert tokens.check("studio", token.hash) is None
