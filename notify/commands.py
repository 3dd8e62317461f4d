"""``watershed notify``"""

import json
from enum import StrEnum
from typing import Annotated

import typer

from notify.send import Alert, send
from notify.settings import NotifySettings
from runtime import log

app = typer.Typer(help="Tell people that a task failed, or works again.")


class State(StrEnum):
    """Which end of an incident."""

    FAILED = "failed"
    RECOVERED = "recovered"


@app.command("notify")
def notify_command(  # noqa: PLR0917 - options, which are given by name
    state: Annotated[State, typer.Argument(help="failed or recovered")],
    dag: Annotated[str, typer.Option("--dag", help="The DAG.")],
    task: Annotated[str, typer.Option("--task", help="The task.")],
    since: Annotated[str, typer.Option("--since", help="When the incident began (RFC 3339).")],
    run_id: Annotated[str, typer.Option("--run-id", help="The run that tells it.")] = "",
    url: Annotated[str, typer.Option("--url", help="Where the task's log is.")] = "",
    error: Annotated[str, typer.Option("--error", help="What the task said.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Log an alert and send it to the webhook and the mail addresses that are set.

    Exit code 1 when a channel refused: the others have it all the same.
    """
    log.configure("notify")
    settings = NotifySettings.read()
    runbook = f"{settings.alert_runbook_url}#{dag}-fails"
    outcome = send(Alert(state.value, dag, task, run_id, since, url, error, runbook), settings)
    failed = {channel: why for channel, why in outcome.items() if why != "sent"}
    for channel, why in failed.items():
        log.get(__name__).error("not sent", channel=channel, why=why)
    if as_json:
        typer.echo(json.dumps({"sent": sum(why == "sent" for why in outcome.values()), "failed": failed}))
    if failed:
        raise typer.Exit(1)
