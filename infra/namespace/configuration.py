"""What the gateway is told: the same JSON as elsewhere, a ConfigMap a file, followed while it runs."""

from typing import Any

import pulumi

from infra import render
from infra.namespace.manifest import Manifest, labels, made_of, manifest, studio_of
from infra.namespace.secrets import entry_of
from infra.namespace.target import Links, Target
from infra.spec import EndpointSpec, Spec

CONSOLE = "console"
HTTP = 8080
"""Where the gateway's Caddy listens, plain: TLS has ended before."""


def configuration(spec: Spec, target: Target, links: Links) -> list[Manifest]:
    """The endpoints' files, and last the team's, so that nobody reads of an endpoint without one."""
    files = {
        name: _endpoint(spec, target, name, endpoint, links[name])
        for name, endpoint in spec.endpoints.items()
    }
    files["team"] = _team(spec, target, links[CONSOLE])
    return [
        manifest(
            "v1",
            "ConfigMap",
            f"config-{name}",
            target.namespace,
            {**labels(), "easel/config": "true"},
            data={f"{name}.json": content},
        )
        for name, content in files.items()
    ]


def host(spec: Spec, label: str) -> str:
    """The host name of an endpoint or of the console: `studio.art.example.com`."""
    return f"{label}.{spec.team.domain}"


def _team(spec: Spec, target: Target, link_hash: pulumi.Input[str]) -> pulumi.Input[str]:
    config = render.team_config(spec, HTTP)
    # Every file is an endpoint: a list here would be read before a new endpoint's file is, and be refused.
    del config["endpoints"]
    members = spec.team.members
    trusted = {f"trusted_{number}": network for number, network in enumerate(target.edge.trusted)}
    # The secret comes by the environment of the pod.
    told = {**members.model_dump(), "client_secret": None} if members else None
    budget = spec.team.budget
    bought = {
        "machines": dict(target.machines),
        "budget": {"monthly": budget.monthly, "stop": budget.stop} if budget else None,
    }

    def content(known: dict[str, Any]) -> str:
        return render.text(
            {
                **config,
                **({"region": target.region} if target.region else {}),
                **(bought if target.machines else {}),
                "bind": "0.0.0.0",  # noqa: S104 - policies say who reaches the pod
                "console": {"port": HTTP, "host": host(spec, CONSOLE), "link": {"hash": known["hash"]}},
                "edge": {"trusted": [known[name] for name in trusted]},
                "members": told,
                "gateway": {"image": known["image"]},
            }
        )

    return made_of(content, {"hash": link_hash, "image": target.gateway_image, **trusted})


def _endpoint(
    spec: Spec, target: Target, name: str, endpoint: EndpointSpec, link_hash: pulumi.Input[str]
) -> pulumi.Input[str]:
    secrets = {
        variable: "/".join(entry_of(name, variable, value))
        for variable, value in target.secrets(name).items()
    }

    def content(known: dict[str, Any]) -> str:
        return render.text(
            {
                **render.endpoint_config(name, endpoint, HTTP, spec.team.storage.quota),
                "host": host(spec, name),
                "link": {"hash": known["hash"]},
                "container": render.container(endpoint, known["image"], secrets),
                "deployment": {"name": studio_of(name)},
            }
        )

    return made_of(content, {"hash": link_hash, "image": target.studio_image})
