"""Tells people's addresses that their jobs have ended: signed, again where nobody answers, and by the next
process where this one dies."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import structlog

from easel.models import FetchPolicy, SourceError, http_client
from easel.studio.api.jobs.record import AcceptedRequest
from easel.studio.api.jobs.ticket import Ticket
from easel.studio.api.jobs.webhook import WebhookSecret
from easel.studio.api.strict_json import dumps

log = structlog.get_logger(__name__)

# Seconds from one try to the next: over within the hour that a result can be asked for.
PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0)
# Seconds that a try may take in all; a receiver is to answer first and work then.
_TRY = 20.0
_STALL = 10.0
_GONE = 410
# Threads, which wait for the network alone.
_AT_ONCE = 32

View = Callable[[AcceptedRequest], Ticket]
Write = Callable[[AcceptedRequest], None]


class Webhooks:
    """Used from the event loop. One delivery at a time for each owner, so that nobody's slow receiver is
    another's wait: a try is over when its thread is, which a resolver may keep longer than its time."""

    def __init__(self, policy: FetchPolicy, secret: WebhookSecret | None, view: View, write: Write) -> None:
        """`view` gives an ended job's ticket and `write` keeps its record; both may wait for a disk."""
        self._policy, self._secret, self._view, self._write = policy, secret, view, write
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook")
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def deliver(self, record: AcceptedRequest) -> None:
        """Begin to tell of a job that has ended, if somebody wants to be told."""
        if record.webhook is None or record.webhook.state != "waiting":
            return
        task = asyncio.create_task(self._deliver(record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """What was not told is the next process's."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False)

    async def _deliver(self, record: AcceptedRequest) -> None:
        delivery = record.webhook
        assert delivery is not None  # noqa: S101 - see `deliver`
        body = await asyncio.to_thread(self._body, record)
        while delivery.state == "waiting":
            await asyncio.sleep(max(0.0, delivery.at - time.time()))
            turn = self._turns.setdefault(record.owner, asyncio.Lock())
            async with turn, self._room:
                status, trouble = await self._try(record.id, delivery.url, body)
            delivery.tries += 1
            delivery.trouble = trouble
            if not trouble:
                delivery.state = "delivered"
            elif status == _GONE or delivery.tries > len(PAUSES):
                delivery.state = "given_up"
            else:
                delivery.at = time.time() + PAUSES[delivery.tries - 1]
            try:
                await asyncio.to_thread(self._write, record)
            except OSError as error:
                log.warning("webhook not noted", job=record.id, reason=type(error).__name__)
            log.info("webhook", job=record.id, state=delivery.state, tries=delivery.tries, trouble=trouble)

    def _body(self, record: AcceptedRequest) -> bytes:
        ticket = self._view(record)
        ended = datetime.fromtimestamp(record.ended or time.time(), UTC).isoformat()
        content = {"type": f"job.{ticket.state}", "timestamp": ended, "data": ticket.model_dump()}
        return dumps(content)

    async def _try(self, id: str, url: str, body: bytes) -> tuple[int, str]:
        """The status and what was wrong with it, in words that hold nothing of the answer."""
        if self._secret is None:
            return 0, "the endpoint has no secret to sign with any more"
        # A retry is the same message, sent now: receivers refuse old timestamps, and know the id.
        headers = self._secret.headers(f"msg_{id}", int(time.time()), body)
        http = http_client(self._policy, connections=1, stall=_STALL)
        post = asyncio.get_running_loop().run_in_executor(self._threads, _post, http, url, body, headers)
        try:
            if not (await asyncio.wait({post}, timeout=_TRY))[0]:
                await asyncio.to_thread(http.close)
                await asyncio.gather(post, return_exceptions=True)
                return 0, f"no answer within {_TRY:g} seconds"
            status = post.result()
        except SourceError as error:  # its address is none of the open internet
            return _GONE, str(error)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return 0, f"not reached ({type(error).__name__})"
        finally:
            post.cancel()
            # ends a thread that still reads
            await asyncio.to_thread(http.close)
        return status, "" if 200 <= status < 300 else f"it answered {status}"


def _post(http: httpx.Client, url: str, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer, which is not read; redirects are not followed."""
    with http.stream("POST", url, content=body, headers=headers) as answer:
        return answer.status_code
