"""``watershed superset …``: what an operator does to Superset besides starting it."""

import sys
from typing import Annotated

import httpx
import typer

from superset_config.admin import Admin
from superset_config.rest import SupersetError, SupersetSettings

app = typer.Typer(help="Superset: passwords, and dashboards between its pages and the files.", no_args_is_help=True)


@app.callback()
def superset() -> None:
    """Superset: passwords, and dashboards between its pages and the files."""


@app.command("reset-password")
def reset_password(
    username: Annotated[str, typer.Argument(help="Log-in name.")],
    mail: Annotated[bool, typer.Option("--mail", help="Mail the link instead of showing it.")] = False,
) -> None:
    """Give a link at which somebody chooses a new password: for one hour, and once."""
    try:
        with Admin(SupersetSettings.read()) as admin:
            link = admin.link(username, "forgotten", mail)
    except (SupersetError, httpx.HTTPError) as error:
        sys.stderr.write(f"superset: {error}\n")
        raise typer.Exit(1) from error
    if link.url is None:
        typer.echo(f"{username} was sent a link, good for {link.hours:.0f} h")
        return
    if mail:
        typer.echo("no mail server is set (SMTP_HOST); hand this on yourself:")
    typer.echo(link.url)
