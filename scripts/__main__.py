"""The `easel` command: one subcommand per file of `commands`, imported when it is used."""

import importlib

import click

COMMANDS = {
    "up": ("scripts.commands.up", "Start every endpoint of the stack file on this machine."),
    "status": ("scripts.commands.status", "Show endpoints, their links and replicas."),
    "wake": ("scripts.commands.wake", "Wake an endpoint."),
    "sleep": ("scripts.commands.sleep", "Put an endpoint to sleep."),
    "token": ("scripts.commands.token", "Give, list and take back tokens."),
    "secret": ("scripts.commands.secret", "Replace the secret that sessions are signed with."),
    "models": ("scripts.commands.models", "Bring models in, list, check and remove them."),
    "upload": ("scripts.commands.upload", "Send models to an endpoint, over any number of interruptions."),
    "files": ("scripts.commands.files", "List, fetch, send and remove an endpoint's models and pictures."),
    "logs": ("scripts.commands.logs", "Show what endpoints, gateway and Caddy log."),
    "new": ("scripts.commands.new", "Write a team's stack file."),
    "clone": ("scripts.commands.clone", "Copy an endpoint, in one team's stack file or into another's."),
    "cost": ("scripts.commands.cost", "Say what teams and endpoints cost, before they do."),
    "policy": ("scripts.commands.policy", "Print what who runs `pulumi up` must be let do."),
    "doctor": ("scripts.commands.doctor", "Check whether this machine has what easel needs."),
    "schema": ("scripts.commands.schema", "Write the schema and the references that come from tables."),
    "version": ("scripts.commands.version", "Print the version."),
}
"""Name, module and one line of help, so that `easel --help` imports none of them."""


class Commands(click.Group):
    """A group that imports a subcommand when it is called, not when the group is."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was meant."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f"; did you mean {near[0]}?" if near else "."
            ctx.fail(f"There is no command {args[0]!r}{meant} There are {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A team's own Stable Diffusion endpoint.

    Settings by environment: EASEL_HOME (data; .easel in the repository), EASEL_PORT (the first endpoint's
    port; 7860) and EASEL_STACK (a stack's name, or a path to its file; local). For a gateway elsewhere:
    EASEL_CONSOLE (its console's address) and EASEL_TOKEN.
    """


if __name__ == "__main__":
    main()
