"""A Kubernetes API as tests ask it: plain dicts, and refusals as they are.

Not the client that the gateway has: that is judged here. Strict field validation, which pulumi asks for, no
client's typed call has either.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

Object = dict[str, Any]
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
# Seconds between tries of what a busy API did not take: clients of Kubernetes' own wait and ask again.
_AGAIN = (0.2, 1.0, 3.0)


class ApiRefusalError(Exception):
    """The API refused; `code` is HTTP's, `reason` Kubernetes' word for it (`Forbidden`, `Conflict` …)."""

    def __init__(self, answer: httpx.Response) -> None:
        try:
            status: Object = answer.json()
        except ValueError:
            status = {"message": answer.text}
        self.code = answer.status_code
        self.reason = str(status.get("reason", ""))
        super().__init__(f"{self.code} {self.reason}: {status.get('message', '')}")


class UnknownKindError(Exception):
    """The API has no such kind (yet: a definition takes a moment)."""


class Api:
    """One caller's way to the API."""

    def __init__(self, url: str, ca: Path, token: str) -> None:
        self.url, self.ca, self.token = url, ca, token
        self._client = httpx.Client(
            base_url=url,
            verify=ssl.create_default_context(cafile=str(ca)),
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
            limits=httpx.Limits(max_connections=None),
        )
        # What a kind is called in a path, and whether it is a namespace's.
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def request(self, method: str, path: str, body: Any = None, kind: str = "", **query: Any) -> Object:
        """One request; the answer.

        Raises:
            ApiRefusalError: the API did not do it.
        """
        headers = {"Content-Type": kind or "application/json"}
        content = None if body is None else json.dumps(body)
        for pause in (*_AGAIN, None):
            try:
                answer = self._client.request(method, path, content=content, headers=headers, params=query)
            except httpx.TransportError:
                # Made twice is made wrongly; anything else may be done again.
                if method == "POST" or pause is None:
                    raise
            else:
                if answer.status_code != 429 or "eviction" in path or pause is None:
                    break
            time.sleep(pause)
        if answer.is_error:
            raise ApiRefusalError(answer)
        found: Object = (
            answer.json() if "json" in answer.headers.get("content-type", "") else {"text": answer.text}
        )
        return found

    def path(self, version: str, kind: str, namespace: str | None = None, name: str = "") -> str:
        """Where objects of a kind are: `("apps/v1", "Deployment", "team", "gateway")`."""
        if (version, kind) not in self._resources:
            self._discover(version)
        if (version, kind) not in self._resources:
            raise UnknownKindError(f"{version} {kind}")
        plural, namespaced = self._resources[version, kind]
        parts = [
            _root(version),
            *(["namespaces", namespace] if namespaced and namespace else []),
            plural,
            name,
        ]
        return "/".join(part for part in parts if part)

    def get(self, version: str, kind: str, name: str, namespace: str | None = None) -> Object:
        return self.request("GET", self.path(version, kind, namespace, name))

    def find(self, version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self.get(version, kind, name, namespace)
        except ApiRefusalError as refusal:
            if refusal.code == 404:
                return None
            raise

    def list(self, version: str, kind: str, namespace: str | None = None, **query: str) -> list[Object]:
        """`labelSelector` and `fieldSelector` as the API has them."""
        return self.listed(version, kind, namespace, **query)[0]

    def listed(
        self, version: str, kind: str, namespace: str | None = None, **query: str
    ) -> tuple[list[Object], str]:
        """The same, and since when to watch."""
        found = self.request("GET", self.path(version, kind, namespace), **query)
        # In a list the API leaves out what they are.
        items = [{"apiVersion": version, "kind": kind, **item} for item in found["items"]]
        return items, str(found["metadata"]["resourceVersion"])

    def create(self, item: Mapping[str, Any]) -> Object:
        namespace = item["metadata"].get("namespace")
        return self.request("POST", self.path(item["apiVersion"], item["kind"], namespace), item)

    def apply(self, item: Mapping[str, Any], manager: str = "tests", **query: str) -> Object:
        """Server-side apply, every unknown field refused, as pulumi-kubernetes does it."""
        meta = item["metadata"]
        path = self.path(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true"} | query
        return self.request("PATCH", path, item, _PATCHES["apply"], **query)

    def patch(self, item: Mapping[str, Any], change: Any, part: str = "", how: str = "merge") -> Object:
        """Change an object, or a subresource of it (`status`)."""
        meta = item["metadata"]
        path = self.path(item["apiVersion"], item["kind"], meta.get("namespace"), meta["name"])
        return self.request("PATCH", f"{path}/{part}" if part else path, change, _PATCHES[how])

    def delete(
        self, version: str, kind: str, name: str, namespace: str | None = None, **options: Any
    ) -> None:
        """Delete, if it is there; options as `DeleteOptions` has them (`gracePeriodSeconds`)."""
        try:
            self.request("DELETE", self.path(version, kind, namespace, name), options or None)
        except ApiRefusalError as refusal:
            if refusal.code != 404:
                raise

    def watch(self, version: str, kind: str, since: str) -> Iterator[tuple[str, Object]]:
        """Changes of all namespaces since a list, `("ADDED", object)`, for a minute or two."""
        path, query = (
            self.path(version, kind),
            {"watch": "true", "timeoutSeconds": "90", "resourceVersion": since},
        )
        with self._client.stream("GET", path, params=query, timeout=100) as answer:
            if answer.is_error:
                answer.read()
                raise ApiRefusalError(answer)
            for line in answer.iter_lines():
                change = json.loads(line)
                yield change["type"], change["object"]

    def service_account(self, name: str, namespace: str) -> Api:
        """The API as a service account asks it, with a token of the API's own."""
        path = f"{self.path('v1', 'ServiceAccount', namespace, name)}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return Api(self.url, self.ca, self.request("POST", path, body)["status"]["token"])

    def kubeconfig(self, path: Path, namespace: str = "default") -> Path:
        """Written for programs that are to ask as this caller."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca)}
        context = {"cluster": "tests", "user": "tests", "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "tests", "user": {"token": self.token}}],
            "contexts": [{"name": "tests", "context": context}],
            "current-context": "tests",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def _discover(self, version: str) -> None:
        for each in self.request("GET", _root(version))["resources"]:
            if "/" not in each["name"]:
                self._resources[version, each["kind"]] = each["name"], each["namespaced"]


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
