"""``watershed docs …``"""

import json
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from dbt_project.build import DbtFailed
from dbt_project.docs import build_docs
from dbt_project.settings import DocsBuildSettings
from expectations.settings import DataDocsSettings
from runtime import log

app = typer.Typer(no_args_is_help=True, help="The docs site: what the marts are made of, and what the gates found.")


@app.callback()
def docs() -> None:
    """The docs site: what the marts are made of, and what the gates found."""


@app.command("build")
def build_command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Write dbt's docs and Data Docs into the site's folder; how fresh the marts are, also when they are up to date."""
    log.configure("docs")
    site = DataDocsSettings.read()
    try:
        built = build_docs(DocsBuildSettings.read(), site)
    except (DbtFailed, psycopg.Error) as error:
        Console(stderr=True).print(f"[red]{error}[/red]", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    text = f"written to {site.site_dir}" if built else f"{site.site_dir} is up to date"
    Console(stderr=as_json).print(text, highlight=False, soft_wrap=True)
    if as_json:
        typer.echo(json.dumps({"built": built, "site_dir": str(site.site_dir)}))
