"""`easel status`: what runs, and where."""

import json
from typing import Any

import click

from scripts.remote.operator_api import OperatorClient
from scripts.remote.target import GatewayTarget, with_gateway
from scripts.remote.transport import LocalTransport, NotAnswering, NotRunning
from scripts.settings import Settings, settings


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@with_gateway
def command(as_json: bool, gateway: GatewayTarget) -> None:
    """Show endpoints, their links and replicas.

    With nothing running it says so and ends with 0: that is an answer too. Programs see it by `console`,
    which is null then.
    """
    here = settings()
    remote = gateway.remote(here)
    try:
        found = OperatorClient(remote or LocalTransport(here.home)).status()
    except NotRunning as error:
        found = at_rest(here, "asleep")
        if not as_json:
            click.echo(error.message)
            return
    except NotAnswering:
        if remote:
            raise
        found = at_rest(here, "starting")
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    if found["console"]:
        click.echo(f"console  {found['console'].get('link') or found['console']['url']}")
    for endpoint in found["endpoints"]:
        click.echo(f"{endpoint['name']}  {endpoint['state']}  {endpoint['link'] or endpoint['url']}")
        if endpoint.get("models"):
            click.echo(f"  models  {endpoint['models']['phase']}  {endpoint['models']['detail']}")
        for replica in endpoint["replicas"]:
            detail = f"  {replica['detail']}" if replica.get("detail") else ""
            click.echo(f"  {replica['id']}  {replica['state']}{detail}")


def at_rest(here: Settings, state: str) -> dict[str, Any]:
    """What the endpoints of the stack file look like while no gateway answers for them."""
    from scripts.local import configuration

    ports = configuration.current(here).ports
    return {
        "console": None,
        "endpoints": [
            {
                "name": name,
                "url": f"http://127.0.0.1:{port}/",
                "link": None,
                "state": state,
                "models": None,
                "replicas": [],
            }
            for name, port in ports.items()
        ],
    }
