"""A list, then changes: what is known stays what the API has, whatever breaks between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from easel.gateway.kubernetes import KubernetesError, Reflector, reflector

pytestmark = pytest.mark.anyio
Object = dict[str, Any]


def pod(name: str, version: int) -> Object:
    return {
        "metadata": {"name": name, "resourceVersion": str(version), "managedFields": [{"long": "history"}]}
    }


def listed(version: int, *pods: Object, more: str = "") -> Object:
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(pods)}


def event(kind: str, one: Object) -> Object:
    return {"type": kind, "object": one}


GONE = event("ERROR", {"code": 410, "message": "too old resource version"})


class ScriptedApi:
    """Answers lists and watches in order; a refusal is raised. What was asked is kept."""

    def __init__(self, lists: Sequence[Any], watches: Sequence[Sequence[Any]]) -> None:
        self._lists, self._watches = iter(lists), iter(watches)
        self.asked: list[str] = []

    async def get(self, path: str, **query: str) -> Object:
        self.asked.append(f"list {query.get('continue', '')}".strip())
        answer = next(self._lists)
        if isinstance(answer, KubernetesError):
            raise answer
        return dict(answer)

    async def watch(self, path: str, seconds: int, **query: str) -> AsyncIterator[Object]:
        self.asked.append(f"watch {query['resourceVersion']}")
        for one in next(self._watches, ["stay"]):
            if one == "stay":
                await asyncio.Event().wait()
            if isinstance(one, KubernetesError):
                raise one
            yield one


async def followed(api: ScriptedApi, times: int) -> tuple[Reflector, list[str]]:
    """Follows until so many things were asked; what changed, as `+name` and `-name`."""
    news: list[str] = []

    def changed(before: Object | None, now: Object | None) -> None:
        one = now or before or {}
        news.append(("+" if now else "-") + one["metadata"]["name"])

    found = Reflector(api, "/api/v1/pods", changed=changed)  # type: ignore[arg-type]
    task = asyncio.create_task(found.run())
    async with asyncio.timeout(5):
        while len(api.asked) < times:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
    task.cancel()
    return found, news


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "_FIRST_PAUSE", 0.001)


async def test_a_list_in_pages_then_its_changes() -> None:
    """Changes are watched from where the list was; a bookmark moves that on, so that less is sent again."""
    api = ScriptedApi(
        [listed(5, pod("a", 1), more="next"), listed(5, pod("b", 2))],
        [[event("ADDED", pod("c", 6)), event("DELETED", pod("a", 7)), event("BOOKMARK", pod("", 90))]],
    )
    found, news = await followed(api, 4)
    assert api.asked == ["list", "list next", "watch 5", "watch 90"]
    assert news == ["+a", "+b", "+c", "-a"]
    assert sorted(found.objects) == ["b", "c"]
    assert "managedFields" not in found.objects["b"]["metadata"]
    assert found.listed.is_set()


async def test_what_the_api_has_forgotten_is_listed_anew() -> None:
    """410: what went meanwhile is noticed, what is as it was is no news."""
    api = ScriptedApi([listed(5, pod("a", 1), pod("b", 2)), listed(99, pod("b", 2))], [[GONE]])
    found, news = await followed(api, 4)
    assert api.asked == ["list", "watch 5", "list", "watch 99"]
    assert news == ["+a", "+b", "-a"]
    assert list(found.objects) == ["b"]


async def test_a_broken_watch_goes_on_where_it_was() -> None:
    """No list for a connection that was lost, and no trouble for a moment's."""
    lost = KubernetesError("watch", 0, "connection reset")
    api = ScriptedApi([listed(5, pod("a", 1))], [[event("MODIFIED", pod("a", 8)), lost], [lost]])
    found, news = await followed(api, 4)
    assert api.asked == ["list", "watch 5", "watch 8", "watch 8"]
    assert news == ["+a", "+a"]
    assert found.trouble == ""


async def test_what_is_denied_is_said_and_tried_again() -> None:
    """In words that name what to allow; once it is, nothing is left of it."""
    denied = KubernetesError("GET /api/v1/nodes", 403, "nodes is forbidden")
    api = ScriptedApi([denied, denied, denied], [])
    found, _ = await followed(api, 3)
    assert found.denied
    assert "Kubernetes denies GET /api/v1/nodes (nodes is forbidden)" in found.trouble
    found, _ = await followed(ScriptedApi([denied, listed(1)], []), 3)
    assert (found.trouble, found.denied) == ("", False)
