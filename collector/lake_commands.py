"""``watershed lake …``: make and evolve the lake's tables, and see how far they are."""

import json
from datetime import UTC
from typing import Annotated, Any

import typer
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from rich.console import Console
from rich.table import Table as Grid
from sqlalchemy.exc import SQLAlchemyError

from collector.collectors import held_back, known
from collector.lake import (
    BreakingChange,
    CatalogLost,
    LakeSettings,
    TableSpec,
    ensure_table,
    open_catalog,
    spec_of,
)
from collector.lake_metadata import Bucket
from collector.lake_recover import LanderAtWork, Recovered, What, look
from collector.lake_recover import recover as recovered
from collector.land_adopt import adopt
from collector.land_commit import State
from collector.land_db import Database, DatabaseAway
from collector.land_quality import COLLECTOR_RECEIPTS, RECEIPTS_TOPIC, REJECTED_EVENTS, REJECTS_TOPIC
from collector.land_settings import LanderSettings
from collector.land_topic import Brokers
from contracts.registry import Registry
from runtime import log

app = typer.Typer(name="lake", help="The lake's tables.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]


def specs() -> dict[str, TableSpec]:
    """Every table, by the topic it is landed from."""
    found = {contract.topic: spec_of(contract) for contract in Registry.load()}
    return {**found, REJECTS_TOPIC: REJECTED_EVENTS, RECEIPTS_TOPIC: COLLECTOR_RECEIPTS}


@app.command()
def ensure(as_json: Json = False) -> None:
    """Create the tables that are missing and add the columns that contracts gained; refuse breaking changes.

    Nor is a table made anew that the bucket has and the catalog has lost: see `watershed lake recover`.
    """
    console = Console(stderr=as_json, soft_wrap=True)
    catalog = open_catalog(LakeSettings.read())
    refused = []
    for spec in specs().values():
        try:
            table = ensure_table(catalog, spec)
        except (BreakingChange, CatalogLost) as error:
            refused.append(str(error))
            console.print(f"[red]refused[/] {error}")
        else:
            console.print(f"{spec.identifier}: {len(table.schema().fields)} columns")
    if as_json:
        typer.echo(json.dumps({"tables": [s.identifier for s in specs().values()], "refused": refused}))
    if refused:
        raise typer.Exit(1)


@app.command()
def status(as_json: Json = False) -> None:
    """Show each table's rows, snapshots, files, how far it is behind its topic, and what holds its promise back."""
    log.configure("lake", "WARNING")
    settings = LanderSettings.read()
    catalog, brokers = open_catalog(settings), Brokers(settings.librdkafka())
    wanted = specs()
    topics = brokers.describe(wanted)
    ends = brokers.end_offsets({name: info.partitions for name, info in topics.items()})
    database = Database(settings.lander_dsn.get_secret_value(), settings.land_lock_seconds)
    through = {
        (type_ if type_ == REJECTS_TOPIC else f"events.{type_}"): instant.astimezone(UTC).isoformat()
        for type_, instant in database.landed_through().items()
    }
    held = held_back(known(database, closed=False))
    rows = [_status(catalog, spec, ends.get(topic), through.get(topic)) for topic, spec in wanted.items()]
    grid = Grid(box=None)
    grid.add_column("table", min_width=26)
    for heading in ("rows", "files", "snapshots", "land_seq", "behind"):
        grid.add_column(heading)
    grid.add_column("all before (UTC)", min_width=19)
    for row in rows:
        shown = {**row, "through": (row["through"] or "")[:19].replace("T", " ") or None}
        grid.add_row(*(str(value if value is not None else "-") for value in shown.values()))
    console = Console(stderr=as_json)
    console.print(grid)
    for line in held:
        console.print(f"[yellow]{line}[/]", highlight=False)
    if as_json:
        typer.echo(json.dumps({"tables": rows, "held_back": held}))


@app.command("adopt-topic")
def adopt_topic(
    topic: Annotated[str, typer.Argument(help="The topic whose table stopped, such as events.page_view.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Let a stopped table go on from the topic as it is now: made anew, or short of messages deleted too early.

    What the table holds stays. Messages of the topic that are in the table already would land a second time, so say yes
    only when the topic is a new one, or when the messages between are gone for good.
    """
    known_specs = specs()
    if topic not in known_specs:
        raise typer.BadParameter(f"no table is landed from {topic!r}; there are {', '.join(known_specs)}")
    spec = known_specs[topic]
    if not yes:
        typer.confirm(f"{spec.identifier} goes on from the first message of {topic}. Sure?", abort=True)
    state = adopt(LanderSettings.read(), topic, spec)
    Console(stderr=as_json).print(f"{spec.identifier} goes on from {dict(state.offsets)}")
    if as_json:
        typer.echo(json.dumps({"table": spec.identifier, "offsets": dict(state.offsets)}))


@app.command()
def recover(
    yes: Annotated[
        bool, typer.Option("--yes", help="Really change the catalog; without it, say what would be.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have the catalog name the newest of each table that the bucket has: after Postgres was lost or put back.

    Without --yes nothing is changed. The landers must be at rest. Exits 1 where a table could not be recovered.
    """
    log.configure("lake", "WARNING")
    settings = LanderSettings.read()
    database = Database(settings.lander_dsn.get_secret_value(), settings.land_lock_seconds)
    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    found = []
    try:
        catalog = open_catalog(settings)
        bucket = Bucket(catalog)
        for table in bucket.tables():
            one = recovered(catalog, bucket, table, database) if yes else look(catalog, bucket, table)
            found.append(one)
            console.print(_told(one))
    except (LanderAtWork, CommitFailedException, DatabaseAway) as error:
        typer.echo(f"lake: {error}", err=True)
        raise typer.Exit(1) from error
    except (OSError, SQLAlchemyError) as error:
        typer.echo(
            f"lake: the bucket or the catalog does not answer: {error}; what was said is done, ask again", err=True
        )
        raise typer.Exit(1) from error
    changed = sum(one.changes for one in found)
    console.print(
        f"{changed} of {len(found)} tables {'were brought' if yes else 'would be brought'} to what the bucket has"
    )
    if changed and not yes:
        console.print("nothing was changed: --yes does it")
    if as_json:
        typer.echo(json.dumps({"tables": [one.as_json() for one in found], "changed": changed if yes else 0}))
    if any(one.what in {What.OTHER_BRANCH, What.NOTHING_WHOLE} for one in found):
        raise typer.Exit(1)


def _told(one: Recovered) -> str:
    named = one.was.rpartition("/")[2] if one.was else "nothing"
    at = f": {one.newest.name}, land_seq {one.land_seq}; the catalog named {named}" if one.newest else ""
    over = "".join(f"; passed over {location}, which lacks files or is damaged" for location in one.passed)
    return f"{one.table}: {one.what.value}{at}{over}"


def _status(catalog: SqlCatalog, spec: TableSpec, ends: dict[int, int] | None, through: str | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("table", "rows", "files", "snapshots", "land_seq", "behind", "through"))
    row |= {"table": spec.identifier, "through": through}
    try:
        table = catalog.load_table(spec.identifier)
    except NoSuchTableError:
        return row
    state, snapshot = State.of(table.properties), table.current_snapshot()
    summary = snapshot.summary if snapshot is not None else None
    row["rows"] = int(summary["total-records"] or 0) if summary is not None else 0
    row["files"] = int(summary["total-data-files"] or 0) if summary is not None else 0
    row["snapshots"] = len(table.metadata.snapshots)
    row["land_seq"] = state.land_seq
    if ends is not None:
        row["behind"] = sum(end - state.offsets.get(partition, 0) for partition, end in ends.items())
    return row
