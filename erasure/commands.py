"""``watershed forget``: somebody asks to be forgotten."""

import getpass
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import psycopg
import typer
from pyiceberg.exceptions import CommitFailedException
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from collector.suppressed import Person
from contracts.registry import ContractError, Registry
from erasure.elsewhere import Place, places
from erasure.expire import finish
from erasure.rewrite import KeepsChanging
from erasure.run import Forget, Forgotten, NobodyToForget
from erasure.settings import EraseSettings
from runtime import log
from warehouse.erasures import Erasure, ErasureAtWork, ReprocessingAtWork, erasures
from warehouse.load_state import SESSION

app = typer.Typer(name="forget", help="Forget somebody: personal data goes, counts stay.")


@app.command("forget")
def forget_command(  # noqa: PLR0917 - typer's
    user: Annotated[str | None, typer.Option("--user", help="The user's id; `-` reads it from standard input.")] = None,
    visitor: Annotated[
        str | None, typer.Option("--visitor", help="The visitor's id; `-` reads it from standard input.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose user or visitor.")] = None,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Do it; without it nothing is changed. It cannot be undone.")
    ] = False,
    finish_all: Annotated[
        bool, typer.Option("--finish", help="Delete old snapshots and files that people who were forgotten are in.")
    ] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Every erasure, and how far it is.")] = False,
    by: Annotated[str, typer.Option("--by", help="Who decides; it is kept with the erasure.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")] = False,
) -> None:
    """Say what of somebody is where, and with --apply take it away: from then on nothing of theirs lands, either.

    Their events stay as tombstones, so that counts and sums stay; every personal field is null, and distinct counts are
    restated by the next load and publication. Killed, or asked again, it goes on. Older snapshots of the lake have them
    until readers are through (LAND_KEEP_HOURS): --finish deletes those, and tells when to come again.
    """
    log.configure("forget", "WARNING")
    logging.getLogger("pyiceberg").setLevel(logging.ERROR)
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    if sum((user is not None, visitor is not None, finish_all, list_all)) != 1:
        raise typer.BadParameter("say one of --user ID, --visitor ID, --finish, --list")
    with _said():
        settings, registry = EraseSettings.read(), Registry.load()
        if list_all:
            answer = _list(settings, console)
        elif finish_all:
            finished = finish(settings, registry)
            console.print(f"{finished.snapshots:,} snapshots and {finished.files:,} files deleted")
            console.print(f"{len(finished.gone):,} erasures are through, {len(finished.left):,} wait for old snapshots")
            if finished.again_at:
                console.print(f"come again after {finished.again_at:%Y-%m-%d %H:%M} UTC")
            answer = finished.as_json()
        else:
            if tenant is None:
                raise typer.BadParameter("say whose: an id is a tenant's own", param_hint="--tenant")
            kind, given = ("user", user) if user is not None else ("visitor", visitor)
            answer = _forget(
                settings, registry, Person(tenant, kind, _id(given or "")), _who(by) if apply else None, console
            )
    if as_json:
        typer.echo(json.dumps(answer))
    if answer.get("files_missing") and not answer["dry_run"]:
        raise typer.Exit(1)


def _forget(
    settings: EraseSettings, registry: Registry, person: Person, by: str | None, console: Console
) -> dict[str, Any]:
    words = (TextColumn("{task.description}: {task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*words, console=console, transient=True) as bar:
        task = bar.add_task("looking", total=None)

        def progress(table: str, rows: int) -> None:
            bar.update(task, advance=rows, description=table)

        work = Forget(settings, registry, person, progress)
        done = work.look() if by is None else work.apply(by)
        elsewhere = places(settings, registry, person)
    _show(done, elsewhere, console)
    return {**done.as_json(), "elsewhere": [vars(one) for one in elsewhere]}


def _show(done: Forgotten, elsewhere: Sequence[Place], console: Console) -> None:
    grid = Table("table", "rows", "files", "minutes or hours", box=None)
    for one in done.tables:
        grid.add_row(one.table, f"{one.rows:,}", f"{one.files:,}", f"{one.to_count_anew:,}")
    console.print(grid)
    for place in elsewhere:
        found = "" if place.messages is None else f"{place.messages:,} {place.unit}; "
        console.print(f"{place.place}: {found}{place.what}", markup=False)
    if done.missing:
        console.print(
            f"{done.missing:,} files of the lake are missing (`watershed books show --red`): who is in them cannot be"
            " told. Ask again when they are there"
        )
    if done.dry_run:
        console.print("nothing was changed; --apply makes tombstones of these rows, for good")
        return
    console.print(f"erasure {done.erasure_id}: {done.minutes_touched:,} minutes are counted anew by the next load")
    if done.minutes_below_floor:
        console.print(
            f"{done.minutes_below_floor:,} minutes lie below the lake's floor: their sketches stay as they are"
        )
    console.print("old snapshots of the lake have them until `watershed forget --finish`, LAND_KEEP_HOURS from now")


def _list(settings: EraseSettings, console: Console) -> dict[str, Any]:
    with psycopg.connect(settings.eraser_dsn, autocommit=True, options=SESSION) as connection:
        found = erasures(connection)
    grid = Table("asked (UTC)", "tenant", "of a", "by", "events", "rejections", "state", box=None)
    for one in found:
        asked = f"{one.asked_at:%Y-%m-%d %H:%M}"
        grid.add_row(asked, one.tenant, one.subject, one.by_whom, f"{one.events:,}", f"{one.rejections:,}", _state(one))
    console.print(grid)
    return {"erasures": [{name: _plain(value) for name, value in vars(one).items()} for one in found]}


def _state(one: Erasure) -> str:
    if one.gone_at:
        return f"gone {one.gone_at:%Y-%m-%d %H:%M}"
    return "in old snapshots only" if one.lake_at else "cut short, or files were missing: ask again"


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value if isinstance(value, int | None) else str(value)


def _id(given: str) -> str:
    found = sys.stdin.readline().rstrip("\r\n") if given == "-" else given
    if not found:
        raise typer.BadParameter("the id is empty")
    return found


def _who(by: str) -> str:
    return by.strip() or getpass.getuser()


@contextmanager
def _said() -> Iterator[None]:
    """What can go wrong is said in a line."""
    try:
        yield
    except (ErasureAtWork, ReprocessingAtWork, NobodyToForget, KeepsChanging, ContractError) as error:
        said = str(error)
    except CommitFailedException as error:
        said = f"{error}\nAsk again: what is done stays done."
    except (psycopg.Error, SQLAlchemyError, OSError) as error:
        said = f"the warehouse, the catalog or the lake does not answer: {error}\nAsk again: what is done stays done."
    else:
        return
    Console(stderr=True, highlight=False).print(f"error: {said}", markup=False, soft_wrap=True)
    raise typer.Exit(1)
