"""The first token: random, kept, secret, and made where this package is not."""

import base64
import hashlib
import json
import re
import subprocess
import sys

import dill
from pulumi.dynamic import Resource
from pulumi.dynamic.dynamic import serialize_provider

from easel.gateway.access.tokens import PATTERN
from infra.link import token_provider
from tests.infra.graph import provision

ELSEWHERE = """
import base64, json, sys
sys.meta_path = [m for m in sys.meta_path if "editable" not in repr(m).lower()]
import dill
provider = dill.loads(base64.b64decode(sys.argv[1]))
made = provider.create({"__provider": "x"})
known = [name for name in sys.modules if name.split(".")[0] in ("infra", "easel")]
print(json.dumps([made.id, made.outs, provider.diff(made.id, made.outs, {}).changes, known]))
"""


class _Pulumis(Resource, module="easel", name="Token"):
    """Pulumi's own way to the same resource."""


def test_a_token_is_256_random_bits_and_its_hash() -> None:
    """As the gateway's own tokens are, so that logs hide it; the hash is what the gateway compares."""
    one, two = (token_provider().create({}).outs for _ in range(2))
    assert one is not None
    assert two is not None
    assert one["token"] != two["token"]
    assert PATTERN.fullmatch(one["token"])
    body = one["token"].removeprefix("easel_")
    assert len(base64.urlsafe_b64decode(body + "=")) == 32
    assert one["hash"] == hashlib.sha256(one["token"].encode()).hexdigest()


def test_the_id_gives_no_token_away() -> None:
    """Ids are shown in every listing."""
    made = token_provider().create({})
    assert re.fullmatch(r"[0-9a-f]{16}", made.id)
    assert made.id == (made.outs or {})["hash"][:16]


def test_the_engine_makes_tokens_in_a_process_that_knows_nothing_of_easel() -> None:
    """As the engine does it: pickled here, loaded there, without the package on the path."""
    pickled = serialize_provider(token_provider())
    ran = subprocess.run(
        [sys.executable, "-I", "-c", ELSEWHERE, pickled], capture_output=True, text=True, check=False, cwd="/"
    )
    assert ran.returncode == 0, ran.stderr
    made_id, outs, changes, known = json.loads(ran.stdout)
    assert outs["hash"] == hashlib.sha256(outs["token"].encode()).hexdigest()
    assert made_id == outs["hash"][:16]
    assert changes is False
    assert known == []


def test_a_link_is_registered_as_pulumis_own_dynamic_resource() -> None:
    """By the type that the engine takes to its process for Python's providers, with it as a secret."""
    studio, console = (
        node for node in provision({"studio": {"shape": "gpu.t4"}}).nodes if node.short == "Token"
    )
    for token in (studio, console):
        assert token.type == f"pulumi-python:{_Pulumis._resource_type_name}"
        assert token.secrets == {"__provider"}
        provider = dill.loads(base64.b64decode(token.inputs["__provider"]))
        assert provider.create({}).outs["token"].startswith("easel_")


def test_equal_code_is_pickled_equally() -> None:
    """Otherwise every `pulumi up` would show a change of every link."""
    assert serialize_provider(token_provider()) == serialize_provider(token_provider())
