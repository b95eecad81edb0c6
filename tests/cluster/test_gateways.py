"""Two gateways without a shared disk are one door: sessions, tokens, sign-ins, replicas, signal,
configuration, models."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import Cluster, until
from tests.cluster.stage import DOOR, TeamStage, staged
from tests.gateway.access.oidc.conftest import walk
from tests.gateway.access.oidc.identity_provider import SECRET, IdentityProvider
from tests.gateway.conftest import FETCHES, NAVIGATES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


class EitherGateway(httpx.HTTPTransport):
    """As a load balancer with TLS does it: each request of the team's hosts goes to the next gateway."""

    def __init__(self, team: TeamStage) -> None:
        super().__init__(verify=False)
        self._domain = team.domain
        self._gateways = itertools.cycle(pod["status"]["podIP"] for pod in team.gateways())
        self.went: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.host.endswith(self._domain):
            return super().handle_request(request)
        address = next(self._gateways)
        self.went.append(address)
        url = request.url.copy_with(scheme="http", host=address, port=DOOR)
        there = httpx.Request(request.method, url, headers=request.headers, stream=request.stream,
                              extensions=request.extensions)  # fmt: skip
        return super().handle_request(there)


def browser(team: TeamStage, host: str, **sent: str) -> httpx.Client:
    transport = EitherGateway(team)
    return httpx.Client(
        base_url=f"https://{host}.{team.domain}", headers=sent, transport=transport, timeout=60,
        trust_env=False,
    )  # fmt: skip


def inner(team: TeamStage, path: str) -> list[Any]:
    """What each gateway's inner listener answers."""
    at = [pod["status"]["podIP"] for pod in team.gateways()]
    return [httpx.get(f"http://{ip}:7861{path}", timeout=5, trust_env=False).json() for ip in at]


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    provider = IdentityProvider()
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[TeamStage]:
    """For all tests of the file: each leaves it asleep."""
    before = cluster.kubelet.environments.get("gateway", {})
    cluster.kubelet.environments["gateway"] = {**before, "EASEL_OIDC_CLIENT_SECRET": SECRET}
    try:
        with staged(cluster, "agreed") as stage:
            yield stage
    finally:
        cluster.kubelet.environments["gateway"] = before


def configure(team: TeamStage, name: str, **changes: Any) -> None:
    """As `pulumi up` changes a file of the configuration."""
    api = team.cluster.api
    found = api.get("v1", "ConfigMap", f"config-{name}", team.namespace)
    content = json.loads(found["data"][f"{name}.json"]) | changes
    api.patch(found, {"data": {f"{name}.json": json.dumps(content)}})


def test_a_session_counts_at_both_and_ends_at_both(team: TeamStage) -> None:
    """Begun at one gateway, good at the other; signed out of at one it is over everywhere."""
    with browser(team, "console", **NAVIGATES) as person:
        assert person.get("/", params={"token": team.tokens["console"]}).status_code == 303
        assert [person.get("/").status_code for _ in range(4)] == [200] * 4
        kept = dict(person.cookies)
        person.post("/easel/signout", headers={"Sec-Fetch-Site": "same-origin"})
        cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
        until(
            lambda: {person.get("/", headers={"Cookie": cookie}).status_code for _ in range(2)} == {401}, 15
        )
        assert len(set(person._transport.went)) == 2  # type: ignore[attr-defined]


def test_a_token_counts_at_both_within_seconds_and_ends_at_both(team: TeamStage) -> None:
    """Made at one, taken at the other; revoked there, refused here."""
    with browser(team, "console", Authorization=f"Bearer {team.tokens['console']}") as operator:
        made = operator.post("/api/tokens", json={"endpoint": "console", "name": "ops", "expires": None})
        assert made.status_code == 201
        shown = {"Authorization": f"Bearer {made.json()['token']}"}

        def answers() -> set[int]:
            return {operator.get("/api/events", headers=shown).status_code for _ in range(2)}

        until(lambda: answers() == {200}, 15)
        assert operator.delete("/api/tokens/console/ops").status_code == 200
        until(lambda: answers() == {401}, 15)


def test_a_member_signs_in_while_each_step_goes_to_another_gateway(
    team: TeamStage, provider: IdentityProvider
) -> None:
    """Off at one, back at the other, and so the session: what a trip needs is in cookie and state. The
    configuration that allows it was changed a moment ago, and is followed by both."""
    configure(team, "team", members=provider.members())
    with browser(team, "console", **NAVIGATES) as person:
        until(lambda: all("Sign in with" in person.get("/").text for _ in range(2)), 10)
        for _ in range(2):  # begun at either of them
            person.cookies.clear()
            assert walk(person, "/easel/member").status_code == 200
            assert [person.get("/").status_code for _ in range(2)] == [200, 200]
            person.get("/easel/signin")


def test_people_stay_with_their_replica_at_either_gateway(team: TeamStage) -> None:
    """Whoever was sent to a replica by one gateway is sent there by the other, though another replica does
    less: the first has told the second."""
    with team.drawing(2) as crowd:
        until(lambda: len(team.studios()) == 2, 60, "two replicas")
        until(lambda: all(len(each["replicas"]) == 2 for each in (team.seen(0), team.seen(1))), 10)
        with browser(team, "studio", **FETCHES) as either:
            entered = either.get("/", params={"token": team.tokens["studio"]}, headers=NAVIGATES)
            cookie = {"Cookie": entered.headers["set-cookie"].split(";")[0], **FETCHES}
        first, second = (team.client(number) for number in range(2))
        for client in (first, second):
            del client.headers["Authorization"]
            client.headers.update(cookie)
        with first, second, ThreadPoolExecutor(8) as people:
            theirs = first.get("/echo").json()["pid"]
            drawn = [people.submit(first.post, "/sdapi/v1/txt2img?seconds=4", json={}) for _ in range(6)]
            time.sleep(2.5)
            assert {second.get("/echo").json()["pid"] for _ in range(4)} == {theirs}
            assert {each.result().json()["pid"] for each in drawn} == {theirs}
    assert [each.result(60).status_code for each in crowd] == [200, 200]
    team.asleep()


def test_both_tell_the_same_signal(cluster: Cluster, team: TeamStage) -> None:
    """A request that one of them holds is in both numbers; nothing is left of it."""
    cluster.without_nodes(team.pool.name)
    cluster.nodes.held.set()
    try:
        asked = team.draw(0, 1)
        until(lambda: [each["value"] for each in inner(team, "/scale/studio")] == [1, 1], 20)
    finally:
        cluster.nodes.held.clear()
    assert asked.result(60).status_code == 200
    until(lambda: [each["value"] for each in inner(team, "/scale/studio")] == [0, 0], 10)
    team.asleep()
    time.sleep(3)
    assert [each["value"] for each in inner(team, "/scale/studio")] == [0, 0], "no wish of the past wakes it"


def test_a_changed_endpoint_is_followed_by_both(team: TeamStage) -> None:
    """By watching ConfigMaps: seconds after `pulumi up`."""
    configure(team, "studio", public=True)
    until(lambda: team.seen(0)["public"] and team.seen(1)["public"], 15)
    configure(team, "studio", public=False)
    until(lambda: not (team.seen(0)["public"] or team.seen(1)["public"]), 15)


def test_one_of_them_fetches_models(cluster: Cluster, team: TeamStage) -> None:
    """The holder of the Lease; when it goes, the other one at once."""

    def holder() -> str:
        lease = cluster.api.find("coordination.k8s.io/v1", "Lease", "easel-model-sync", team.namespace)
        return str(lease["spec"].get("holderIdentity") or "") if lease else ""

    first = until(holder)
    assert first in [pod["metadata"]["name"] for pod in team.gateways()]
    cluster.api.delete("v1", "Pod", first, team.namespace)
    second = until(lambda: (now := holder()) and now != first and now, 40)
    assert second in [pod["metadata"]["name"] for pod in cluster.pods(team.namespace)]
    until(lambda: len(team.gateways()) == 2, 60)
