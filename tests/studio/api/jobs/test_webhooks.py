"""`Easel-Webhook`: an address is told of a job's end, by Standard Webhooks' own verifier."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from easel.models import VISITOR, FetchPolicy
from easel.models.fetch import block_backend, network
from easel.studio.api.jobs import webhooks
from easel.studio.api.jobs.record import RESULT_KEPT, AcceptedRequest
from easel.studio.api.jobs.ticket import ended_ticket
from easel.studio.api.jobs.webhook import HEADER, WebhookDelivery, WebhookSecret, wanted
from easel.studio.api.jobs.webhooks import Webhooks
from easel.studio.engine import InvalidRequest
from tests.studio.api.jobs.restarted_studio import RestartedStudio
from tests.studio.api.jobs.test_restart import PLAIN

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OPEN = FetchPolicy(private=True)
PAUSES = webhooks.PAUSES


class Receiver:
    """Somebody's server: answers what it is told to, in order, and keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.hold = threading.Event()
        self.hold.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
                receiver.hold.wait(20)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/done?of=mine"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def messages(self) -> list[dict[str, Any]]:
        """What came, each verified."""
        return [Webhook(KEY).verify(body, headers) for headers, body in self.came]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    it = Receiver()
    yield it
    it.hold.set()
    it.server.shutdown()
    it.server.server_close()


def record(url: str, owner: str = "ada") -> AcceptedRequest:
    """A job that is done."""
    return AcceptedRequest(
        id=uuid.uuid4().hex, owner=owner, by=uuid.uuid4().hex, at=0.0, place=0.0, kind="txt2img",
        state="done", ended=time.time(), pictures=1, webhook=WebhookDelivery(url=url),
    )  # fmt: skip


async def told(*records: AcceptedRequest, policy: FetchPolicy = OPEN) -> None:
    """Deliver, until all is told or given up."""
    it = Webhooks(policy, WebhookSecret.of({"EASEL_WEBHOOK_SECRET": KEY}), view, lambda _: None)
    for one in records:
        it.deliver(one)
    async with asyncio.timeout(30):
        while any(one.webhook and one.webhook.state == "waiting" for one in records):
            await asyncio.sleep(0.01)
    await it.close()


def view(record: AcceptedRequest) -> Any:
    return ended_ticket(record, lambda _: None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "PAUSES", (0.01, 0.02, 0.03))


@pytest.mark.anyio
async def test_told_again_until_it_is_taken(receiver: Receiver) -> None:
    """What is no 2xx is tried again, a redirect too, which is not followed: the same id, signed anew."""
    job = record(receiver.url)
    receiver.answers = [500, 302, 204]
    await told(job)
    assert job.webhook is not None
    assert (job.webhook.state, job.webhook.tries, job.webhook.trouble) == ("delivered", 3, "")
    first, *others = receiver.messages()
    assert first["type"] == "job.done"
    assert (first["data"]["id"], first["data"]["state"]) == (job.id, "done")
    assert others == [first, first]
    assert {headers["webhook-id"] for headers, _ in receiver.came} == {f"msg_{job.id}"}
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(receiver.came[0][1].replace(b"done", b"fail"), receiver.came[0][0])


@pytest.mark.anyio
async def test_given_up(receiver: Receiver) -> None:
    """After its tries, and at once where the receiver says 410: it wants no more."""
    stubborn, gone = record(receiver.url), record(receiver.url)
    receiver.answers = [503] * 4
    await told(stubborn)
    assert stubborn.webhook
    assert (stubborn.webhook.state, stubborn.webhook.tries) == ("given_up", 4)
    assert stubborn.webhook.trouble == "it answered 503"
    receiver.answers = [410]
    await told(gone)
    assert gone.webhook
    assert (gone.webhook.state, gone.webhook.tries) == ("given_up", 1)


@pytest.mark.anyio
async def test_nothing_private_is_asked(receiver: Receiver) -> None:
    """By page and API only public addresses are reached, whatever their name: nobody connects."""
    jobs = [
        record(receiver.url.replace("http://127.0.0.1", host))
        for host in ("http://127.0.0.1", "https://localhost", "https://[::1]", "https://2130706433")
    ]
    jobs.append(record("https://metadata.google.internal/computeMetadata/v1/"))
    await told(*jobs, policy=VISITOR)
    assert receiver.came == []
    for job in jobs:
        assert job.webhook is not None
        assert (job.webhook.state, job.webhook.tries) == ("given_up", 1)


@pytest.mark.anyio
async def test_a_public_name_of_a_private_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name stands for is looked at when it is told, not when it was accepted: nobody connects, and
    nobody asks again, whatever the name stands for by then."""
    asked: list[str] = []

    def found(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    port = receiver.server.server_port
    job = record(f"https://hooks.example.com:{port}/done")
    await told(job, policy=VISITOR)
    assert (receiver.came, [str(host) for host in asked]) == ([], ["hooks.example.com"])
    assert job.webhook is not None
    assert "127.0" not in job.webhook.trouble, "which address a name has is the operator's network's"
    assert (job.webhook.state, job.webhook.tries) == ("given_up", 1)


@pytest.mark.anyio
async def test_told_when_somebody_is_there_again(receiver: Receiver) -> None:
    """A port where nobody listens is tried again, as what answers otherwise than 2xx is."""
    gone = socket.create_server(("127.0.0.1", 0))
    port = gone.getsockname()[1]
    gone.close()
    job = record(f"http://127.0.0.1:{port}/done")
    await told(job)
    assert job.webhook is not None
    assert (job.webhook.state, job.webhook.tries) == ("given_up", 4)
    assert job.webhook.trouble == "not reached (ConnectError)"
    job.webhook = WebhookDelivery(url=receiver.url)
    await told(job)
    assert (job.webhook.state, len(receiver.messages())) == ("delivered", 1)


@pytest.mark.anyio
async def test_the_pauses_are_those_of_the_documentation(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 and 30 seconds, 2, 10 and 30 minutes, over while the result can be asked for; each is written down
    with the record, so that the next process waits for the rest of it alone."""
    assert PAUSES == (5, 30, 2 * 60, 10 * 60, 30 * 60)
    assert sum(PAUSES) < RESULT_KEPT
    monkeypatch.setattr(webhooks, "PAUSES", PAUSES)
    receiver.answers = [500]
    job, written = record(receiver.url), asyncio.Event()
    loop = asyncio.get_running_loop()
    it = Webhooks(OPEN, WebhookSecret.of({"EASEL_WEBHOOK_SECRET": KEY}), view,
                  lambda _: loop.call_soon_threadsafe(written.set))  # fmt: skip
    began = time.time()
    it.deliver(job)
    async with asyncio.timeout(10):
        await written.wait()
    await it.close()
    assert job.webhook is not None
    assert (job.webhook.state, job.webhook.tries) == ("waiting", 1)
    assert 5 <= job.webhook.at - began < 10


@pytest.mark.anyio
async def test_nothing_goes_out_unsigned(receiver: Receiver) -> None:
    """Where the operator took the secret away after a request was accepted: it is given up, in words."""
    job = record(receiver.url)
    it = Webhooks(OPEN, None, view, lambda _: None)
    it.deliver(job)
    assert job.webhook is not None
    async with asyncio.timeout(10):
        while job.webhook.state == "waiting":
            await asyncio.sleep(0.01)
    await it.close()
    assert receiver.came == []
    assert (job.webhook.state, job.webhook.tries) == ("given_up", 4)
    assert "no secret to sign with" in job.webhook.trouble


@pytest.mark.anyio
async def test_a_slow_receiver_is_nobody_elses_wait(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of one person wait for an answer that does not come; another person's is told meanwhile."""
    monkeypatch.setattr(webhooks, "_TRY", 1.0)
    monkeypatch.setattr(webhooks, "PAUSES", ())
    receiver.hold.clear()
    other = Receiver()
    slow = [record(receiver.url, "ada") for _ in range(2)]
    quick = record(other.url, "bob")
    it = asyncio.create_task(told(*slow, quick))
    async with asyncio.timeout(10):
        while not other.came:
            await asyncio.sleep(0.01)
    assert [one.webhook and one.webhook.state for one in slow] == ["waiting"] * 2
    await it
    other.server.shutdown()
    other.server.server_close()
    assert [one.webhook and one.webhook.trouble for one in slow] == ["no answer within 1 seconds"] * 2


@pytest.mark.anyio
async def test_a_name_that_leads_nowhere_is_nobody_elses_wait(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a name that stands for many addresses each had the time of one: eight jobs of one person kept all
    threads for minutes, and everybody else's receivers were given up without being asked."""
    monkeypatch.setattr(webhooks, "_TRY", 1.0)
    monkeypatch.setattr(network, "CONNECT", 0.5)
    monkeypatch.setattr(block_backend, "_LEAST", 0.1)
    monkeypatch.setattr(webhooks, "PAUSES", ())
    real, nowhere = socket.getaddrinfo, [f"127.0.0.{number}" for number in range(10, 60)]
    with socket.create_server(("0.0.0.0", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
        full = [socket.socket() for _ in nowhere]
        for one, address in zip(full, nowhere, strict=True):  # nobody takes them: the next is not answered
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect((address, port))

        def found(host: Any, *more: Any, **how: Any) -> list[Any]:
            if str(host) != "nowhere.example":
                return real(host, *more, **how)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in nowhere]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        monkeypatch.setattr(webhooks, "_AT_ONCE", 2)
        hanging = [record(f"http://nowhere.example:{port}/", owner) for owner in ("ada", "ada", "eve", "ida")]
        quick = record(receiver.url, "bob")
        began = time.monotonic()
        await told(*hanging, quick)
        assert time.monotonic() - began < 15
        for one in full:
            one.close()
    assert quick.webhook
    assert (quick.webhook.state, len(receiver.came)) == ("delivered", 1)
    assert [one.webhook and one.webhook.trouble for one in hanging] == ["not reached (ConnectTimeout)"] * 4


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https://a:b@example.com/", "example.com",
     "https://:b@example.com/", "https://@example.com/", "https://exämple.com/",
     "https://example.com:99999/", "https://example.com/" + "x" * 2000, ""],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    """Before anything is accepted."""
    with pytest.raises(InvalidRequest, match=HEADER):
        wanted(url, WebhookSecret(b"x" * 32), plain=False)


@pytest.mark.parametrize(
    "secret", ["", "abc", "whsec_", "whsec_" + "A" * 8, KEY.removeprefix("whsec_"), "whsec_?"]
)
def test_without_a_secret_nothing_is_signed(secret: str) -> None:
    """A secret that is none counts for none, and webhooks are refused in words."""
    found = WebhookSecret.of({"EASEL_WEBHOOK_SECRET": secret})
    assert found is None
    with pytest.raises(InvalidRequest, match="EASEL_WEBHOOK_SECRET"):
        wanted("https://example.com/", found, plain=False)


def test_over_http(running: Any) -> None:
    """The header means a ticket; nobody known has none; an endpoint without a secret says so."""
    hook = {HEADER: "https://example.com/done"}
    with running.ask("hooked") as client:
        answer = client.post("/sdapi/v1/txt2img", json=PLAIN, headers=hook)
        assert answer.status_code == 422
        assert "EASEL_WEBHOOK_SECRET" in answer.text
    with running.ask("anonymous/somebody") as client:
        assert client.post("/sdapi/v1/txt2img", json=PLAIN, headers=hook).status_code == 403


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_told_by_the_next_process(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The studio is killed between the end of a job and its telling; the next one tells, once."""
    monkeypatch.setenv("EASEL_WEBHOOK_SECRET", KEY)
    monkeypatch.setenv("EASEL_PRIVATE_SOURCES", "1")
    studio = RestartedStudio(tmp_path)
    receiver.answers = [503]
    try:
        studio.start()
        with studio.ask() as client:
            asked = {**PLAIN, "n_iter": 1, "steps": 1}
            ticket = client.post("/sdapi/v1/txt2img", json=asked, headers={HEADER: receiver.url}).json()
        assert ticket["webhook"]["state"] == "waiting"
        studio.until(lambda: receiver.came)
        studio.kill()
        studio.start()
        with studio.ask() as client:
            studio.until(
                lambda: client.get(f"/jobs/{ticket['id']}").json()["webhook"]["state"] == "delivered"
            )
    finally:
        studio.close()
    first, last = receiver.messages()
    assert first["data"]["id"] == last["data"]["id"] == ticket["id"]
    assert json.loads(receiver.came[1][1])["data"]["results"]
