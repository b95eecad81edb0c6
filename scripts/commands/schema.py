"""`easel schema`: what editors complete stack files with, and those pages of docs/ that come from tables."""

import click

from scripts.settings import ROOT, CommandRefused, shown


@click.command("schema")
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is not as it would be written.")
def command(check: bool) -> None:
    """Write the schema and the reference of the spec from infra/spec.py, and docs/reference/options.md."""
    from infra.schema import reference, schema_text
    from scripts.docs import options_page

    stale = []
    for name, text in (
        ("stacks/easel.schema.json", schema_text()),
        ("docs/reference/spec.md", reference()),
        ("docs/reference/options.md", options_page.page()),
    ):
        file = ROOT / name
        if file.is_file() and file.read_text() == text:
            continue
        stale.append(name)
        if not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            click.echo(shown(file))
    if check and stale:
        raise CommandRefused(
            f"{' and '.join(stale)}: not as infra/spec.py and the table of options say; run `easel schema`"
        )
