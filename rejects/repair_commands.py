"""``watershed repair``: rejected events, mended or judged anew, through the normal path."""

import getpass
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from collector.keys import KeysError
from collector.sender import SendError
from contracts.registry import Registry
from rejects import options, terminal
from rejects.recipe import PatchError, Recipe
from rejects.reject import Chosen
from rejects.repair import Disagreement
from rejects.run_repair import RepairWork
from rejects.settings import RepairSettings
from runtime import log
from warehouse.repairs import RepairAtWork

app = typer.Typer(name="repair", help="Mend rejected events and send them again.")
SHOWN = 20


@app.command("repair")
@options.choosing
def repair_command(  # noqa: PLR0917 - typer's
    wanted: Chosen,
    ids: Annotated[list[str] | None, typer.Option("--id", help="This rejection; may be repeated.")] = None,
    patch: Annotated[
        str | None, typer.Option(help="A JSON Patch (RFC 6902) for each event: a file, or the text itself, from [ on.")
    ] = None,
    revalidate: Annotated[
        bool, typer.Option("--revalidate/--no-revalidate", help="Judge the events as they are, by today's contracts.")
    ] = False,
    at_receipt: Annotated[
        bool, typer.Option("--at-receipt", help="Events with an event_id and no time happened when they were received.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Send what passes; without it nothing is changed.")
    ] = False,
    by: Annotated[str, typer.Option(help="Who decides; it is kept with the run.")] = "",
    as_json: options.Json = False,
) -> None:
    """Say how many rejected events would pass, mended by --patch or as they are (--revalidate), and why others not.

    With --apply those that pass go through the collector, under their own ids and times; an event without an id gets
    one that follows from its rejection. What was repaired is never sent again. Needs the collector's KEYS_FILE: keys
    of the tenants are made for the run and revoked at its end. A tenant's rejected events stay that tenant's.
    """
    log.configure("repair", "WARNING")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    console = terminal.console(stderr=as_json)
    wanted = replace(wanted, ids=tuple(filter(None, ids or ())))
    if bool(patch) == revalidate:
        raise typer.BadParameter("say how: --patch FILE or --revalidate")
    with _told():
        recipe = Recipe.read(_text(patch), at_receipt=at_receipt) if patch else Recipe(None, at_receipt)
        settings, registry = RepairSettings.read(), Registry.load()
        words = (TextColumn("{task.completed:,} rejected events looked at"), TimeElapsedColumn())
        with Progress(*words, console=console, transient=True) as bar:
            task = bar.add_task("looking", total=None)
            work = RepairWork(settings, registry, wanted, recipe, lambda n: bar.advance(task, n))
            done = work.apply(by.strip() or getpass.getuser()) if apply else work.look()
    _show(done, console)
    if as_json:
        typer.echo(json.dumps(done))


def _text(patch: str) -> str:
    if patch.lstrip().startswith("["):
        return patch
    try:
        return Path(patch).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise PatchError(f"cannot be read: {error}") from error


@contextmanager
def _told() -> Iterator[None]:
    """What can go wrong is said in a line."""
    with terminal.trouble_told():
        try:
            yield
        except PatchError as error:
            terminal.fail(f"--patch: {error}")
        except (RepairAtWork, KeysError) as error:
            terminal.fail(str(error))
        except (Disagreement, SendError) as error:
            terminal.fail(f"{error}\nRepair again later: what was sent is noted, and counts once.")


def _show(done: dict[str, Any], console: Console) -> None:
    if done["reasons"]:
        grid = Table("type", "reason", "field", "events", "for example", box=None)
        for one in done["reasons"][:SHOWN]:
            example = f"{one['example']['reject_id']}: {one['example']['message']}"
            terminal.add_row(grid, one["event_type"], one["reason"], one["field"], f"{one['events']:,}", example)
        console.print("still refused:")
        console.print(grid)
    for one in done["passing"]:
        console.print(f"{one['tenant']} {one['event_type']}: {one['events']:,} pass")
    words = (
        "{seen:,} rejected events: {would_pass:,} pass, {still_refused:,} stay refused, "
        "{already_repaired:,} were repaired before"
    )
    console.print(words.format(**done))
    terminal.say_missing(console, done["files_missing"])
    if done["dry_run"]:
        if done["unanswered"]:
            console.print(f"a run was cut short: {done['unanswered']:,} events of it are sent again first")
        console.print("nothing was changed; --apply sends what passes")
        return
    console.print(f"run {done['run_id']}: {done['sent']:,} sent, {done['resumed']:,} of runs that were cut short")
    if done["unanswered"]:
        console.print(f"{done['unanswered']:,} of those are in the lake's rejects no longer, or cannot be made again")
