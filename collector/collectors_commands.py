"""``watershed collectors …``: who takes events, who holds "complete through" back, and closing what was lost."""

import getpass
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from collector import collectors, retire
from collector.commands import SpoolSettings
from collector.lake import open_catalog
from collector.lake_commands import specs
from collector.land_db import Database, DatabaseAway
from collector.land_settings import LanderSettings
from collector.land_topic import Brokers
from collector.ranges import Ranges, size
from runtime import log

app = typer.Typer(name="collectors", help="The collector processes, by their own word.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
_ID = re.compile(r"[0-9a-f]{16}")
_SHOWN = 8


@app.command("list")
def list_collectors(
    everyone: Annotated[bool, typer.Option("--all", help="Also those that are closed.")] = False, as_json: Json = False
) -> None:
    """List the open collectors. "Complete through" passes none of their promises: the first holds it back most."""
    log.configure("collectors", "WARNING")
    with _said():
        found = collectors.known(_database(LanderSettings.read()), closed=everyone)
    now = datetime.now(UTC)
    grid = Table(box=None)
    for heading, width in (
        ("collector", 16),
        ("state", 7),
        ("heard of", 9),
        ("acknowledged", 1),
        ("durable before", 19),
    ):
        grid.add_column(heading, no_wrap=True, min_width=width)
    for one in found:
        ago = f"{(now - one.heard).total_seconds():,.0f} s ago"
        grid.add_row(one.collector_id, one.state(now), ago, f"{one.acknowledged:,}", _time(one.durable_through))
    console = Console(stderr=as_json, highlight=False)
    console.print(grid)
    for one in found:
        if one.retired_by:
            console.print(f"{one.collector_id} was retired by {one.retired_by}: {one.retired_because}", markup=False)
    for line in collectors.held_back(found):
        console.print(f"[yellow]{line}[/]")
    if as_json:
        typer.echo(json.dumps({"collectors": [one.as_json(now) for one in found]}))


@app.command("retire")
def retire_command(  # noqa: PLR0917 - typer's
    collector_id: Annotated[str, typer.Argument(help="The collector, as `collectors list` names it.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without this it is only shown what it would mean.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why: it is kept with the receipt.")] = "",
    by: Annotated[str, typer.Option(help="Who decides; it is kept with the receipt.")] = "",
    silent_seconds: Annotated[
        float, typer.Option(min=0, help="Take it for dead after so long without a receipt.")
    ] = collectors.SILENT.total_seconds(),
    as_json: Json = False,
) -> None:
    """Close a collector that was lost with its state folder, so that "complete through" goes on without it.

    Shows first which of its events are in the lake and which are lost, and changes nothing without --yes. Where the
    folder is still there, start a collector on it instead: that loses nothing.
    """
    console = Console(stderr=as_json, highlight=False)
    if _ID.fullmatch(collector_id) is None:
        raise typer.BadParameter("16 hexadecimal digits, as `watershed collectors list` shows it")
    if yes and not reason.strip():
        raise typer.BadParameter("say why: --reason '…'", param_hint="--reason")
    log.configure("collectors", "WARNING")
    settings, silent = LanderSettings.read(), timedelta(seconds=silent_seconds)
    with _said():
        retire.check(collectors.one(_database(settings), collector_id), silent)
        _no_state_left(collector_id)
        catalog, brokers = open_catalog(settings), Brokers(settings.librdkafka())
        console.print("waiting until what Kafka has now is in the lake …")
        retire.wait_until_landed(catalog, brokers, specs(), seconds=120)
        # Again, now that every receipt there is has been read.
        retire.check(collectors.one(_database(settings), collector_id), silent)
        found = retire.fate(catalog, specs(), collector_id)
        _explain(console, found)
        if yes:
            value = retire.receipt(found, by.strip() or getpass.getuser(), reason.strip(), datetime.now(UTC))
            retire.publish(settings.librdkafka(), collector_id, value)
    if yes:
        console.print(f"[bold]{collector_id} is retired[/]; the lander learns of it within seconds")
    else:
        console.print(f"nothing was changed; to do it: watershed collectors retire {collector_id} --yes --reason '…'")
    if as_json:
        typer.echo(json.dumps({**found.as_json(), "retired": yes}))


def _explain(console: Console, found: retire.Fate) -> None:
    console.print(
        f"last heard of at {_time(found.heard)} UTC: sequences 1 to {found.assigned:,} were handed out, "
        f"{found.acknowledged:,} acknowledged; {found.landed:,} are in the lake"
    )
    console.print(f"[bold]acknowledged and not in the lake: {size(found.lost):,}[/]{_ranges(found.lost)}")
    console.print(
        f"at work at that moment and not in the lake: {size(found.in_doubt):,}{_ranges(found.in_doubt)}; "
        "their clients may have been told of success later"
    )
    console.print(
        f"taken after that: {size(found.beyond):,} are in the lake{_ranges(found.beyond)}; "
        "how many more there were, nobody knows"
    )
    console.print(
        f'Retired, it no longer holds "complete through" at {_time(found.durable_through)} UTC. What is lost stays '
        "acknowledged and missing, with your name and reason; it is not made void."
    )


def _no_state_left(collector_id: str) -> None:
    state: Path = SpoolSettings.read().collector_state_dir
    left = [*state.glob(f"receipts/{collector_id}.receipts"), *state.glob(f"spool/*-{collector_id}")]
    if left:
        raise retire.NotNow(
            f"its state is there ({', '.join(map(str, left))}): start a collector on {state}, which sends "
            "what is left and closes it, losing nothing"
        )


def _database(settings: LanderSettings) -> Database:
    return Database(settings.lander_dsn.get_secret_value(), settings.land_lock_seconds)


def _ranges(ranges: Ranges) -> str:
    if not ranges:
        return ""
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges[:_SHOWN])
    more = f" and {len(ranges) - _SHOWN:,} more ranges" if len(ranges) > _SHOWN else ""
    return f" ({shown}{more})"


def _time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


@contextmanager
def _said() -> Iterator[None]:
    """Whatever stands in the way is one line."""
    try:
        yield
    except (retire.NotNow, DatabaseAway, KafkaException, SQLAlchemyError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"[red]error[/] {error}")
        raise typer.Exit(1) from error
