"""`easel token new|list|revoke|signout`: who may pass the door."""

import re

import click

from infra.names import endpoint_name
from infra.quantities import seconds
from scripts.remote.target import GatewayTarget, with_gateway


def _endpoint(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value in (None, "console") else endpoint_name(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from None


def _name(ctx: click.Context, param: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", value):
        raise click.BadParameter(
            f"{value!r} is not a token's name: up to 63 letters, digits, dots, hyphens, underscores"
        )
    return value


def _optional_name(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _name(ctx, param, value)


def _expires(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    try:
        if value is not None and seconds(value) == 0:
            raise ValueError("is no time at all")
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}") from None
    return value


endpoint_option = click.option("--endpoint", callback=_endpoint, required=True, help="The endpoint it opens.")
name_option = click.option("--name", callback=_name, required=True, help="What the token is for.")


@click.group("token")
def command() -> None:
    """Give, list and take back tokens."""


@command.command("new")
@endpoint_option
@name_option
@click.option("--expires", callback=_expires, help="After how long it ends, such as 90d; without it, never.")
@with_gateway
def new(endpoint: str, name: str, expires: str | None, gateway: GatewayTarget) -> None:
    """Make a token and print it. It is not shown again."""
    click.echo(gateway.client().new_token(endpoint, name, expires))


@command.command("list")
@click.option("--endpoint", callback=_endpoint, help="Of this endpoint only.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@with_gateway
def show(endpoint: str | None, as_json: bool, gateway: GatewayTarget) -> None:
    """List tokens: their names and dates, never what they are."""
    tokens = gateway.client().tokens(endpoint)
    if as_json:
        import json

        click.echo(json.dumps(tokens, indent=1))
        return
    rows = [("ENDPOINT", "NAME", "CREATED", "EXPIRES", "LAST USED")]
    for token in tokens:
        expires, used = token["expires"] or "never", token["last_used"] or "never"
        rows.append(
            (token["endpoint"], token["name"], *(_short(at) for at in (token["created"], expires, used)))
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@command.command("revoke")
@endpoint_option
@name_option
@with_gateway
def revoke(endpoint: str, name: str, gateway: GatewayTarget) -> None:
    """Take a token back: from now on it opens nothing."""
    note = gateway.client().revoke(endpoint, name)
    click.echo(f"{name} opens {endpoint} no longer")
    if note:
        click.echo(note, err=True)


@command.command("signout")
@click.option("--endpoint", callback=_endpoint, help="With --name: the endpoint that the token opens.")
@click.option("--name", callback=_optional_name, help="Everybody who signed in with this token.")
@click.option("--member", help="A member of the team by their mail address, at all endpoints.")
@with_gateway
def sign_out(endpoint: str | None, name: str | None, member: str | None, gateway: GatewayTarget) -> None:
    """End browser sessions; the token stays good, and whoever has it or an account signs in again."""
    if bool(member) == bool(endpoint or name) or bool(endpoint) != bool(name):
        raise click.UsageError("say whose sessions end: --member ADDRESS, or --endpoint and --name")
    note = gateway.client().end_sessions(member=member, endpoint=endpoint or "", token=name or "")
    click.echo(f"{member or f'everybody with {name}'} is signed out of {endpoint or 'everything'}")
    if note:
        click.echo(note, err=True)


def _short(at: object) -> str:
    from datetime import UTC, datetime

    if isinstance(at, int | float):
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    return str(at)[:16].replace("T", " ")
