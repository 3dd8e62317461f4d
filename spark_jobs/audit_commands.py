"""``watershed audit ids``: ids that a sender used for two times."""

import json
import logging
from datetime import UTC, date, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.registry import ContractError, Registry
from runtime import log
from spark_jobs.audit_ids import Audit, audit, audit_again
from spark_jobs.settings import AuditSettings

app = typer.Typer(no_args_is_help=True, help="Audits of what is in the lake.")


@app.callback()
def audits() -> None:
    """Audits of what is in the lake."""


@app.command("ids")
def ids_command(
    day: Annotated[str, typer.Option("--day", help="The day of receipt (UTC): 2026-11-28.")],
    type_: Annotated[list[str] | None, typer.Option("--type", help="Only this event type; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = False,
) -> None:
    """Look for ids received on --day that lie in more than one minute: their events count in each of them.

    It is compared with what occurred in the AUDIT_LOOK_BACK_DAYS before. What is found is in marts.id_audits, with
    examples; a second audit of a day replaces the first. Days that were audited beside missing files are audited
    again when these are there. Exit code 1 when a type could not be looked at.
    """
    log.configure("audit")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    when = _day(day)
    try:
        registry = Registry.load()
        contracts = [registry.newest(t) for t in type_] if type_ else list(registry)
    except ContractError as error:
        raise typer.BadParameter(str(error), param_hint="--type") from error
    settings, console = AuditSettings.read(), Console(stderr=as_json, highlight=False)
    done = audit(contracts, settings, when)
    _show(done, console)
    again = audit_again(contracts, settings)
    for one in again:
        console.print(f"{one.day} was audited beside missing files, which are there again:")
        _show(one, console)
    if as_json:
        typer.echo(json.dumps({**done.as_json(), "again": [one.as_json() for one in again]}))
    if any(one.failed for one in (done, *again)):
        raise typer.Exit(1)


def _day(text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-11-28", param_hint="--day") from error
    if found > datetime.now(UTC).date():
        raise typer.BadParameter(f"{text} has not begun", param_hint="--day")
    return found


def _show(done: Audit, console: Console) -> None:
    table = Table("type", "tenant", "ids", "reused", "counted too often", "for example", box=None)
    for type_, found in sorted(done.types.items()):
        for one in found:
            if one.reused:
                example = one.examples[0]["event_id"] if one.examples else ""
                table.add_row(type_, one.tenant, f"{one.ids:,}", f"{one.reused:,}", f"{one.surplus:,}", example)
    if table.row_count:
        console.print(table)
        console.print("`watershed trace EVENT_ID` tells where one of them counts")
    told = done.as_json()
    console.print(f"{told['ids']:,} ids received on {done.day}, {told['reused']:,} of them in more than one minute")
    for type_, files in sorted(done.files_missing.items()):
        console.print(
            f"{type_}: {files:,} files of the lake are missing (`watershed books show --red`), and were not looked"
            " into: the day is audited again on the night after they are there"
        )
    for type_, why in sorted(done.failed.items()):
        console.print(f"{type_} failed: {why}", style="red", markup=False)
