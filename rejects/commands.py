"""``watershed rejects …``: what was rejected, by reason and by sender, and single ones in full."""

import json
import logging
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from collector.lake import open_catalog
from contracts.registry import Registry
from rejects import options, terminal
from rejects.browse import Overview, version_shown
from rejects.read import rejects
from rejects.reject import Chosen, Reject
from rejects.settings import RejectsSettings
from runtime import log
from spark_jobs.reject_labels import Labels
from warehouse import rejects as ledger
from warehouse import repairs
from warehouse.held import missing_files
from warehouse.repairs import Repair, RepairRun

app = typer.Typer(name="rejects", help="Rejected events: browse them, look at one.", no_args_is_help=True)
REASONS_SHOWN, SENDERS_SHOWN = 30, 15


@app.command("list")
@options.choosing
def list_command(
    wanted: Chosen,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="So many single ones, the newest.")] = 10,
    as_json: options.Json = False,
) -> None:
    """Count rejected events by reason, then by tenant, key and contract version; then show the newest single ones.

    What the lake has of them is read: name a time (--from) where there are many. Without --json bodies are not shown.
    """
    console = _quiet(as_json=as_json)
    settings = RejectsSettings.read()
    with terminal.trouble_told():
        overview = Overview(Labels(Registry.load()), limit)
        with psycopg.connect(settings.repairer_dsn, autocommit=True) as warehouse:
            missing = missing_files(warehouse, ledger.CURSOR)
            for reject in rejects(open_catalog(settings), wanted, missing):
                overview.add(reject)
            mended = repairs.repaired(warehouse, [reject.reject_id for reject in overview.newest()])
    _show_overview(overview, mended, console)
    terminal.say_missing(console, len(missing))
    if as_json:
        found = {**overview.as_json(), "files_missing": len(missing)}
        for one in found["newest"]:
            one["repaired"] = one["reject_id"] in mended
        typer.echo(json.dumps(found))


@app.command("show")
def show_command(
    reject_id: Annotated[str, typer.Argument(help="The rejection, as `rejects list` names it.")],
    as_json: options.Json = False,
) -> None:
    """Show one rejected event: every reason, where it came from, its untouched body, and what a repair made of it."""
    console = _quiet(as_json=as_json)
    settings = RejectsSettings.read()
    with terminal.trouble_told(), psycopg.connect(settings.repairer_dsn, autocommit=True) as warehouse:
        missing = missing_files(warehouse, ledger.CURSOR)
        reject = next(rejects(open_catalog(settings), Chosen(ids=(reject_id,)), missing), None)
        if reject is None:
            perhaps = f", unless in one of {len(missing):,} files that are missing" if missing else ""
            terminal.fail(f"the lake has no rejection {reject_id}{perhaps}; see `watershed rejects list`")
        repair = repairs.of_reject(warehouse, reject_id)
    _show_one(reject, repair, console)
    if as_json:
        typer.echo(json.dumps({**reject.as_json(), "repair": None if repair is None else _repair_json(*repair)}))


def _quiet(*, as_json: bool) -> Console:
    log.configure("rejects", "WARNING")
    logging.getLogger("pyiceberg").setLevel(logging.WARNING)
    return terminal.console(stderr=as_json)


def _show_overview(overview: Overview, mended: frozenset[str], console: Console) -> None:
    reasons = Table("reason", "field", "type", "events", box=None)
    for (type_, reason, field), n in overview.reasons.most_common(REASONS_SHOWN):
        terminal.add_row(reasons, reason, field, type_, f"{n:,}")
    senders = Table("tenant", "key", "type", "version", "events", box=None)
    for (tenant, key, type_, version), n in overview.senders.most_common(SENDERS_SHOWN):
        terminal.add_row(senders, tenant, key, type_, version_shown(version), f"{n:,}")
    newest = Table("received (UTC)", "rejection", "tenant", "type", "reasons", "", box=None)
    for reject in overview.newest():
        said = "; ".join(f"{r.pointer} {r.keyword}".strip() for r in reject.reasons)
        state = "repaired" if reject.reject_id in mended else "erased" if reject.erased else ""
        received = f"{reject.received_at:%Y-%m-%d %H:%M:%S}"
        named = (reject.reject_id, reject.tenant or "", reject.event_type or "")
        terminal.add_row(newest, received, *named, said, state)
    console.print(f"{overview.events:,} rejected events")
    for table in (reasons, senders, newest):
        if table.row_count:
            console.print(table)


def _show_one(reject: Reject, repair: tuple[Repair, RepairRun] | None, console: Console) -> None:
    def say(line: str) -> None:
        terminal.say(console, line)

    say(f"{reject.reject_id} of tenant {reject.tenant}, type {reject.event_type}, {version_shown(reject.version())}")
    for reason in reject.reasons:
        say(f"  {reason.pointer or '(the event)'} {reason.keyword}: {reason.message}")
    say(f"received {reject.received_at.isoformat()} by collector {reject.collector_id}, sequence {reject.sequence}")
    say(f"sent by key {reject.key_id}, refused by: {reject.stage}")
    if reject.topic is not None:
        say(f"it was a message: {reject.topic}, partition {reject.partition}, offset {reject.offset}")
    if reject.line is not None:
        say(f"it was line {reject.line} of a file")
    place = f"partition {reject.kafka_partition}, offset {reject.kafka_offset}"
    say(f"kept in the topic rejected_events, {place}; landed by commit {reject.land_seq}")
    if repair is not None:
        one, run = repair
        say(f"repaired as {one.type} {one.event_id}, {one.occurred_at.isoformat()}: {_state(one)}")
        how = "judged anew" if run.patch is None else json.dumps(list(run.patch))
        say(f"by {run.by_whom} in run {run.run_id}: {how}")
    say("body, of which nothing is left since somebody in it was forgotten:" if reject.erased else "body:")
    terminal.say(console, reject.body.decode("utf-8", "backslashreplace"), keep="\n\t")


def _state(repair: Repair) -> str:
    if repair.refused is not None:
        return "refused by the collector after all"
    if repair.loaded_at is not None:
        return f"in the lake and loaded ({repair.loaded_at.isoformat()})"
    return "no answer of the collector yet" if repair.sent_at is None else "sent, not loaded yet"


def _repair_json(repair: Repair, run: RepairRun) -> dict[str, Any]:
    def instant(value: Any) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "run_id": str(run.run_id),
        "by": run.by_whom,
        "patch": run.patch,
        "event_type": repair.type,
        "event_id": repair.event_id,
        "occurred_at": instant(repair.occurred_at),
        "sent_at": instant(repair.sent_at),
        "loaded_at": instant(repair.loaded_at),
        "refused": repair.refused,
    }
