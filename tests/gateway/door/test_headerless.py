"""Programs that cannot send headers: the token in the address, by the clients that people have."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.request
from collections.abc import Callable

import httpx
import pytest
import requests
import webuiapi

from tests.gateway.conftest import House, headers

PATH = "/sdapi/v1/options"


def with_requests(house: House, who: str) -> dict[str, str]:
    return dict(requests.get(_address(house, who) + PATH, timeout=30).json()["headers"])


def with_a_session_of_requests(house: House, who: str) -> dict[str, str]:
    with requests.Session() as session:
        session.get(_address(house, who) + "/sdapi/v1/samplers", timeout=30).raise_for_status()
        answer = session.post(_address(house, who) + PATH, data="{}", timeout=30)
        return dict(answer.json()["headers"])


def with_httpx(house: House, who: str) -> dict[str, str]:
    return headers(httpx.get(_address(house, who) + PATH, trust_env=False))


def with_webuiapi(house: House, who: str) -> dict[str, str]:
    return dict(webuiapi.WebUIApi(baseurl=_address(house, who) + "/sdapi/v1").get_options()["headers"])


def with_webuiapis_own_fields(house: House, who: str) -> dict[str, str]:
    name, _, password = who.partition(":")
    api = webuiapi.WebUIApi(baseurl=house.url("studio") + "/sdapi/v1", username=name, password=password)
    return dict(api.get_options()["headers"])


def with_curl(house: House, who: str) -> dict[str, str]:
    done = subprocess.run(["curl", "-sS", _address(house, who) + PATH], capture_output=True, check=True)
    return dict(json.loads(done.stdout)["headers"])


def with_urllib(house: House, who: str) -> dict[str, str]:
    """It knows no name in an address, and asks by the door's 401."""
    name, _, password = who.partition(":")
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, house.url("studio"), name, password)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(known)
    )
    with opener.open(house.url("studio") + PATH, timeout=30) as answer:
        return dict(json.load(answer)["headers"])


def _address(house: House, who: str) -> str:
    return house.url("studio").replace("http://", f"http://{who}@")


CLIENTS = [
    with_requests, with_a_session_of_requests, with_httpx, with_webuiapi, with_webuiapis_own_fields,
    with_curl, with_urllib,
]  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
def test_a_token_in_the_address(house: House, client: Callable[[House, str], dict[str, str]]) -> None:
    """`http://any:TOKEN@host` opens the endpoint, and the replica never sees the token."""
    token = house.token("studio")
    seen = client(house, f"any:{token}")
    assert seen["x-easel-user"] == "link"
    assert "authorization" not in seen
    assert token not in json.dumps(seen)
    assert base64.b64encode(f"any:{token}".encode()).decode() not in json.dumps(seen)


def test_a_token_as_the_name(house: House) -> None:
    """`http://TOKEN@host` does too: some programs have room for a name alone."""
    for client in (with_httpx, with_curl):
        assert client(house, house.token("studio"))["x-easel-user"] == "link"
    assert with_requests(house, house.token("studio") + ":")["x-easel-user"] == "link"


@pytest.mark.parametrize("who", ["any:easel_wrong", "easel_wrong", "any:", "bob"])
def test_a_wrong_one_is_told_as_such(house: House, who: str) -> None:
    """401 with the words for a program, and no other way in."""
    name, _, password = who.partition(":")
    answer = house.client("studio").get(PATH, auth=(name, password))
    assert answer.status_code == 401
    assert "not valid" in answer.json()["detail"]
