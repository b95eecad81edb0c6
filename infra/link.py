"""The first token of an endpoint or of the console: made once, kept as a secret output of the stack.

The gateway gets its hash only, so that neither the configuration bucket nor a host ever holds the token.
"""

import hashlib
import secrets
from functools import cache
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider
from pulumi.dynamic.dynamic import PROVIDER_KEY, serialize_provider

PREFIX = "easel_"
"""As in `easel.gateway.access.tokens`, so that a log that must hide tokens knows one."""


def token_provider() -> ResourceProvider:
    """What makes a token of 256 random bits, and never another one for the same resource.

    The class is made inside a function on purpose: the engine loads it in a process of its own, which may not
    find this package, and dill writes only such a class itself and not its address.
    """

    class TokenProvider(ResourceProvider):
        def create(self, props: dict[str, Any]) -> CreateResult:
            token = PREFIX + secrets.token_urlsafe(32)
            digest = hashlib.sha256(token.encode()).hexdigest()
            # An id is not kept secret, so it is made of the hash.
            return CreateResult(digest[:16], {**props, "token": token, "hash": digest})

        def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
            # Links that are out stay right; `pulumi up --replace` makes another token.
            return DiffResult(changes=False)

    return TokenProvider()


@cache
def _pickled() -> str:
    """The provider as the engine gets it, once for all links: dill walks the class each time."""
    return str(serialize_provider(token_provider()))


class _Token(pulumi.CustomResource):
    """What `pulumi.dynamic.Resource` would register, which pickles its provider anew for each resource."""

    token: pulumi.Output[str]
    hash: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        super().__init__(
            "pulumi-python:dynamic/easel:Token",
            name,
            {"token": None, "hash": None, PROVIDER_KEY: pulumi.Output.secret(_pickled())},
            pulumi.ResourceOptions.merge(opts, secret),
        )


class AccessLink(pulumi.ComponentResource):
    """A first token, and the link that it makes of an address, such as `https://studio.art.example.com`."""

    token: pulumi.Output[str]
    """`easel_…`, a secret."""
    hash: pulumi.Output[str]
    """SHA-256 of the token in hexadecimal, which is all that the gateway is told."""
    url: pulumi.Output[str]
    """The address with the token in it, a secret: whoever opens it is in."""

    def __init__(
        self, name: str, address: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("easel:link:Link", name, None, opts)
        made = _Token(name, pulumi.ResourceOptions(parent=self))
        self.token = pulumi.Output.secret(made.token)
        self.hash = made.hash
        self.url = pulumi.Output.secret(pulumi.Output.format("{0}/?token={1}", address, self.token))
        self.register_outputs({"hash": self.hash})
