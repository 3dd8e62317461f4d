"""``watershed demo …``: make events, send them, and prove the charts equal what was sent."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.progress import Progress

from collector.import_access_log import read_lines
from collector.sender import Report, Sender, SendError
from contracts.model import ContractError
from contracts.registry import Registry
from demo import access_log, send, show
from demo import run as running
from demo.generate import Plan
from demo.run import DemoError
from demo.scenarios import SCENARIOS, Scenario
from demo.settings import CompareSettings, RunSettings, SendSettings
from demo.truth import Tally, Truth, TruthError
from demo.wait import Outcome, until_equal
from runtime.settings import SettingsError

app = typer.Typer(help="Made-up events, and the proof that the charts show them.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
Seed = Annotated[int, typer.Option(help="The same seed, end, days and total make the same events.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How many days before the end.")]
Total = Annotated[int, typer.Option(min=1, help="Valid page views; of every other type comes its share.")]
Patience = Annotated[float, typer.Option(min=0, help="Seconds to wait for the charts.")]
TruthFile = Annotated[Path, typer.Option(help="The file that holds what the charts must show.")]


@app.command()
def generate(
    *,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Events a second from now on, instead of a history.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="With --rate: stop after this long.")] = None,
    days: Days = running.DAYS,
    total: Total = running.TOTAL,
    seed: Seed = running.SEED,
    end: Annotated[datetime | None, typer.Option(help="End of the history, UTC; default: now.")] = None,
    tenant: Annotated[str, typer.Option(help="The tenant of the write key, for the truth file.")] = "demo",
    truth: Annotated[Path | None, typer.Option(help="Write what the charts must show to this file.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the events to this file, one a line; send nothing.")] = None,
    as_json: Json = False,
) -> None:
    """Send made-up events: a history of days, or (--rate) from now on until Ctrl-C."""
    with _failures():
        registry = Registry.load()
        if rate is not None:
            counted, report = _live(registry, seed, rate, seconds)
            told = counted.truth(tenant)
        else:
            plan = Plan.history(seed, end.replace(tzinfo=UTC) if end else datetime.now(UTC), days, total)
            if out is not None:
                told, report = _to_file(plan, registry, tenant, out)
            else:
                settings = SendSettings.read()
                key = settings.write_key.get_secret_value()
                told, report = _history(plan, registry, settings.collector_url, key, tenant)
    if out is not None:
        if truth is not None:
            told.save(truth)
        show.say(f"wrote {report.sent:,} events to {out}")
        _last_line(as_json, {"written": report.sent, **told.sent})
        return
    _told(told, report, truth, as_json)


@app.command()
def live(
    *,
    rate: Annotated[float, typer.Option(min=0.01, help="Events a second on a usual day.")] = 100.0,
    scenario: Annotated[
        str | None, typer.Option(help=f"What befalls the world: {', '.join(SCENARIOS)}; default: nothing.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Seconds of a usual day before the scenario begins.")] = 60,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after this long; default: at Ctrl-C.")] = None,
    seed: Seed = running.SEED,
    tenant: Annotated[str, typer.Option(help="The tenant of the write key, for the truth file.")] = running.TENANT,
    truth: Annotated[Path | None, typer.Option(help="Write what the charts must show of it to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Send made-up events of every type from now on, with or without a scenario."""
    if scenario is not None and scenario not in SCENARIOS:
        raise typer.BadParameter(f"{scenario}: it is one of {', '.join(SCENARIOS)}")
    with _failures():
        happening = SCENARIOS[scenario] if scenario else None
        if happening is not None:
            show.say(f"{happening.name}, in {after} s: {happening.words}")
        counted, report = _live(Registry.load(), seed, rate, seconds, happening, after=after)
        told = counted.truth(tenant)
    _told(told, report, truth, as_json)


@app.command()
def compare(truth: TruthFile, patience: Patience = 0, as_json: Json = False) -> None:
    """Compare the charts with what was sent, by region and day; exit 1 with the differences."""
    with _failures():
        settings = CompareSettings.read()
        told = Truth.load(truth)
        outcome = until_equal(
            settings.reader_dsn,
            settings.warehouse_dsn,
            told,
            Registry.load(),
            sent_by=None,
            patience=patience,
            tell=show.say,
        )
    _judge(told, outcome, as_json)


@app.command()
def run(
    *,
    log: Annotated[
        Path | None, typer.Option(help="Import this access log (plain or gzip) instead of made-up events.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help=f"Days of history; first {running.DAYS}.")] = None,
    total: Annotated[int | None, typer.Option(min=1, help=f"Valid page views; first {running.TOTAL:,}.")] = None,
    seed: Annotated[int | None, typer.Option(help=f"Another seed, other events; first {running.SEED}.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Send so many events a second; default: as fast as they are taken.")
    ] = None,
    patience: Patience = 1200,
    as_json: Json = False,
) -> None:
    """Send 35 days of events to the running stack, wait for the charts and compare them with what was sent.

    Run again, it sends the same events again, and they must count once. With another history than what a tenant was
    sent before, it goes to a tenant of its own: demo-2 and so on.
    """
    started = time.monotonic()
    wish = running.Wish(days, total, seed)
    if log is not None and (wish, rate) != (running.Wish(), None):
        raise typer.BadParameter("an access log has its own events: no --days, --total, --seed or --rate with it")
    with _failures():
        settings = RunSettings.read()
        registry = Registry.load()
        if log is None:
            tenant, sent_before = running.tenant_for(settings, registry, wish, show.say)
            plan = sent_before or wish.plan(datetime.now(UTC))
            if sent_before is not None:
                show.say(f"{running.words(plan)} were sent before; again, they must count once")
            # Kept before they are sent: a run after one that was interrupted goes on with the same events.
            send.truth_of(plan, registry, tenant).save(running.truth_path(settings, tenant))
            with running.write_key(settings, tenant) as key:
                told, report = _history(plan, registry, settings.collector_url, key, tenant, rate=rate)
        else:
            told, report = _log(log, settings)
        sent_by = datetime.now(UTC)
        told.save(running.truth_path(settings, told.tenant))
        show.say(f"{report.accepted:,} accepted, {report.rejected:,} rejected, {report.seconds:.0f} s; now the charts")
        outcome = until_equal(
            settings.reader_dsn,
            settings.warehouse_dsn,
            told,
            registry,
            sent_by=sent_by,
            patience=patience,
            tell=show.say,
        )
    if outcome.equal:
        show.console.print(show.summary(told))
        for line in running.addresses(settings):
            show.say(line)
        show.say(f"done in {time.monotonic() - started:.0f} s, {outcome.waited:.0f} of them from last event to charts")
    _judge(told, outcome, as_json)


def _told(told: Truth, report: Report, truth: Path | None, as_json: bool) -> None:
    if truth is not None:
        told.save(truth)
    show.say(
        f"sent {report.sent:,} in {report.seconds:.1f} s: {report.accepted:,} accepted, {report.rejected:,} rejected"
    )
    figures = {"sent": report.sent, "accepted": report.accepted, "rejected": report.rejected, **told.sent}
    _last_line(as_json, figures)


def _judge(told: Truth, outcome: Outcome, as_json: bool) -> None:
    figures: dict[str, Any] = {
        "tenant": told.tenant,
        "equal": outcome.equal,
        "reason": outcome.reason,
        "page_views": told.page_views,
        "differences": [asdict(d) for d in outcome.differences[: show.MOST]],
        "waited_seconds": round(outcome.waited, 1),
        "complete_through": outcome.freshness.complete_through if outcome.freshness else None,
    }
    if outcome.equal:
        show.say(
            f"equal to the last event: {told.page_views:,} page views of {len(told.views)} days, and all other types"
        )
    else:
        show.differences(outcome.differences)
        show.say(f"not equal: {outcome.reason}; {_held(outcome)}other events of tenant {told.tenant} count too")
    _last_line(as_json, figures)
    if not outcome.equal:
        raise typer.Exit(1)


def _held(outcome: Outcome) -> str:
    held = outcome.freshness.held_because if outcome.freshness else None
    return f"publication is held: {held}; " if held else ""


def _history(
    plan: Plan, registry: Registry, url: str, key: str, tenant: str, *, rate: float | None = None
) -> tuple[Truth, Report]:
    show.say(f"sending {running.words(plan)} to tenant {tenant}")
    with Progress(console=Console(stderr=True)) as bar, Sender(url, key) as sender:
        task = bar.add_task("sending", total=send.about(plan, registry))
        return send.history(plan, registry, sender, tenant, lambda count: bar.advance(task, count), rate=rate)


def _log(log: Path, settings: RunSettings) -> tuple[Truth, Report]:
    tenant = access_log.tenant_of(log)
    try:
        with log.open("rb") as stream:
            told = access_log.count(read_lines(stream), tenant)
        with Progress(console=Console(stderr=True)) as bar:
            task = bar.add_task("importing", total=None)
            summary = access_log.import_log(log, settings, tenant, lambda lines: bar.advance(task, lines))
    except (OSError, EOFError) as error:
        raise DemoError(f"{log} cannot be read: {error}") from error
    requests = sum(int(sums["requests"]) for sums in told.totals["request_log"].values())
    show.say(f"{summary.lines:,} lines, {summary.bad_lines} of them not readable: {requests:,} request logs")
    sent = summary.request_logs + summary.page_views + summary.bot_page_views
    told.sent = {"new": sent}
    return told, Report(sent=sent, accepted=sent, requests=summary.requests, seconds=summary.seconds)


def _live(
    registry: Registry,
    seed: int,
    rate: float,
    seconds: float | None,
    scenario: Scenario | None = None,
    *,
    after: int = 0,
) -> tuple[Tally, Report]:
    settings = SendSettings.read()
    with Sender(settings.collector_url, settings.write_key.get_secret_value()) as sender:
        return send.now_on(
            registry,
            sender,
            show.every_ten_seconds(),
            seed=seed,
            rate=rate,
            seconds=seconds,
            scenario=scenario,
            after=after,
        )


def _to_file(plan: Plan, registry: Registry, tenant: str, out: Path) -> tuple[Truth, Report]:
    tally, report, started = Tally(registry), Report(), time.monotonic()
    with out.open("w", encoding="utf-8") as file:
        for made in send.made_events(plan, registry, tally):
            file.write(json.dumps(made.event, ensure_ascii=False, separators=(",", ":")) + "\n")
            report.sent += 1
    report.seconds = time.monotonic() - started
    return tally.truth(tenant, send.as_json(plan, registry)), report


@contextmanager
def _failures() -> Iterator[None]:
    """What can go wrong in a known way is one line and exit code 1."""
    try:
        yield
    except (SendError, send.VerdictError, TruthError, DemoError, ContractError, SettingsError, ValueError) as error:
        sys.stderr.write(f"demo: {error}\n")
        raise typer.Exit(1) from error
    except psycopg.OperationalError as error:
        sys.stderr.write(f"demo: the warehouse does not answer: {error}\n")
        raise typer.Exit(1) from error


def _last_line(as_json: bool, value: dict[str, Any]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value) + "\n")
