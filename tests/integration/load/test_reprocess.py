"""Reprocessing: what differs from the lake is found, put in place at once, and can be taken back."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from books.reconcile import reconcile
from books.settings import BooksSettings
from contracts.registry import Registry
from spark_jobs import reprocess as job
from spark_jobs import reprocess_commands
from warehouse import erasures, reprocess_runs
from warehouse.reprocess_undo import CannotUndo

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


class Killed(Exception):
    """The process ends here."""


def loaded(probe: Any, tenant: str, arrival: Any) -> None:
    """A day with events in three hours: copies, collisions, money, visitors, more pages than the cap."""
    arrivals = [
        arrival(
            event=n if n % 5 else n - 1,
            sequence=n + 1,
            minute=(n % 3) * 240 + n % 7,
            second=n % 50,
            data={"page": f"/{n % 5}", "amount": Decimal(n) / 4, "quantity": n, "visitor": f"v{n % 4}", "region": "DE"},
        )
        for n in range(1, 40)
    ]
    probe.arrive(tenant, *arrivals)
    probe.load()


def seen(probe: Any, tenant: str) -> dict[datetime, int]:
    found: dict[datetime, int] = {}
    for row in probe.rollup(tenant):
        found[row["minute"]] = found.get(row["minute"], 0) + row["seen"]
    return found


def waiting_hours(probe: Any, tenant: str) -> list[tuple[datetime, str]]:
    rows = probe.query("select hour, cause from ledger.unpublished where tenant = %s order by hour", tenant)
    return [(row["hour"], row["cause"]) for row in rows]


def published(probe: Any, tenant: str) -> None:
    """As if the marts had all that is loaded."""
    probe.watershed.execute("delete from ledger.unpublished where tenant = %s", (tenant,))


def spoil(probe: Any, tenant: str, *minutes: datetime) -> None:
    """Count five too many in each row of ``minutes``, as a bug or a hand might."""
    probe.watershed.execute(
        f"update rollups.{probe.contract.rollup_table} set seen = seen + 5 where tenant = %s and minute = any(%s)",
        (tenant, list(minutes)),
    )


def told(outcome: Any) -> dict[tuple[str, str], tuple[str | None, str | None, int]]:
    return {(d["part"], d["measure"]): (d["old"], d["new"], d["rows"]) for d in outcome.as_json()["differences"]}


def test_unchanged_code_and_data_give_equal_checksums_and_change_nothing(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    before = probe.checksum(tenant)
    outcome = probe.reprocess(tenant)
    assert outcome.differing == 0
    assert outcome.as_json()["minutes_compared"] == len(seen(probe, tenant))
    assert probe.checksum(tenant) == before
    assert waiting_hours(probe, tenant) == []
    assert before[f"rollups.{probe.contract.rollup_table}"].rows == len(probe.rollup(tenant))


def test_what_was_changed_by_hand_is_found_exactly_mended_and_can_be_taken_back(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    whole, numbers = probe.checksum(tenant), seen(probe, tenant)
    table, (first, second, *_, last) = probe.contract.rollup_table, sorted(numbers)
    spoil(probe, tenant, first)
    probe.watershed.execute(f"delete from rollups.{table} where tenant = %s and minute = %s", (tenant, second))
    nothing = NOON + timedelta(hours=3)  # no event occurred there
    probe.watershed.execute(
        f"insert into rollups.{table}"
        " (tenant, minute, region, page, status, seen, bots, errors, quantity_spread, visitors)"
        " values (%s, %s, 'FR', '/', 200, 70, 0, 0, '{}', '{}')",
        (tenant, nothing),
    )
    probe.watershed.execute(
        "update ledger.cells set counted = counted + 1 where tenant = %s and minute = %s", (tenant, last)
    )
    probe.watershed.execute("delete from ledger.books_touched")
    spoiled, total = probe.checksum(tenant), sum(numbers.values())
    in_first = len([r for r in probe.rollup(tenant) if r["minute"] == first])
    off = 5 * in_first - numbers[second] + 70

    dry = probe.reprocess(tenant, dry_run=True)
    found = told(dry)
    assert dry.differing == 4
    in_second = found["rollup", "quantity_sum"][2]
    assert found["rollup", "seen"] == (str(total + off), str(total), in_first + in_second + 1)
    counted = sum(c["counted"] for c in probe.cells(tenant))
    assert found["cells", "counted"] == (str(counted), str(counted - 1), 1)
    assert found["rollup", "visitors"][:2] == (None, None), "visitors cannot be summed"
    assert ("cells", "landed") not in found
    assert probe.checksum(tenant) == spoiled, "a dry run changes nothing"
    assert waiting_hours(probe, tenant) == []

    applied = probe.reprocess(tenant)
    assert applied.outcomes == {"replaced": 4}
    assert told(applied) == found
    assert probe.checksum(tenant) == whole
    hours = {m.replace(minute=0) for m in (first, second, last, nothing)}
    assert waiting_hours(probe, tenant) == [(hour, "reprocess") for hour in sorted(hours)]
    marks = probe.query("select distinct reprocessed_by from ledger.unpublished where tenant = %s", tenant)
    assert [row["reprocessed_by"] for row in marks] == [applied.run_id]
    received = {c["received_hour"] for c in probe.cells(tenant) if c["minute"] in (first, second, last)}
    assert received <= {row["received_hour"] for row in probe.query("select received_hour from ledger.books_touched")}

    undone = probe.undo(applied.run_id)
    assert undone.outcomes == {"replaced": 4}
    assert probe.checksum(tenant) == spoiled
    assert probe.undo(undone.run_id).outcomes == {"replaced": 4}, "an undo is a run like others"
    assert probe.checksum(tenant) == whole


def test_a_changed_rollup_of_the_contract_is_found_and_put_in_place(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    whole = probe.checksum(tenant)
    tighter = dataclasses.replace(probe.contract, rollup=dataclasses.replace(probe.contract.rollup, cap=1))
    assert probe.reprocess(tenant, contract=tighter, dry_run=True).differing > 0
    outcome = probe.reprocess(tenant, contract=tighter)
    assert outcome.outcomes == {"replaced": outcome.differing}
    pages: dict[datetime, set[str]] = {}
    for row in probe.rollup(tenant):
        pages.setdefault(row["minute"], set()).add(row["page"])
    assert all(len(names - {"(other)"}) == 1 for names in pages.values())
    assert any("(other)" in names for names in pages.values())
    assert probe.reprocess(tenant).differing == outcome.differing, "the contract as it was differs as much"
    assert probe.checksum(tenant) == whole


def test_a_killed_run_goes_on_where_it_was(probe, tenant, arrival, monkeypatch):
    loaded(probe, tenant, arrival)
    whole = probe.checksum(tenant)
    spoil(probe, tenant, *seen(probe, tenant))
    minutes = len(seen(probe, tenant))
    (lake,) = probe.query("select sum(landed)::int as n from ledger.cells where type = %s", probe.contract.type)
    chunk = lake["n"] // 4  # so that the day is cut into a few pieces
    compare, calls, spans = job.comparing.compare, [], []

    def killed_in_the_third(*arguments: Any) -> Any:
        spans.append(arguments[3])
        calls.append(compare(*arguments))
        if len(calls) == 3:
            raise Killed  # what it had found of this piece is lost
        return calls[-1]

    def rows(text: str, run: Any) -> int:
        (row,) = probe.query(f"select count(*) as n from ledger.{text} where run_id = %s", run)
        return int(row["n"])

    monkeypatch.setattr(job.comparing, "compare", killed_in_the_third)
    with pytest.raises(Killed):
        probe.reprocess(tenant, chunk=chunk)
    monkeypatch.setattr(job.comparing, "compare", compare)
    (run,) = probe.query("select run_id from ledger.reprocesses where tenant = %s", tenant)
    assert calls[2].differing > 0
    assert rows("reprocess_minutes", run["run_id"]) == sum(c.differing for c in calls[:2])
    steps: list[Any] = []
    outcome = probe.reprocess(tenant, chunk=chunk, say=steps.append)
    assert outcome.resumed
    assert outcome.run_id == run["run_id"]
    assert steps[0].through == spans[2].end, "no piece was compared twice, and none was left out"
    assert [s.left is not None and s.left >= 0 for s in steps] == [True] * len(steps)
    assert (steps[-1].done, outcome.differing) == (steps[-1].total, minutes)
    assert probe.checksum(tenant) == whole
    assert not probe.reprocess(tenant, chunk=chunk).resumed, "what is done is not taken up again"


def test_other_code_does_not_go_on_with_what_was_begun(probe, tenant, arrival, monkeypatch):
    loaded(probe, tenant, arrival)
    whole = probe.checksum(tenant)
    spoil(probe, tenant, *seen(probe, tenant))
    with monkeypatch.context() as patch:
        patch.setattr(job, "apply", _die)
        patch.setattr(job, "code_of", lambda _contracts: "the code before")
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    assert not probe.reprocess(tenant).resumed
    assert probe.checksum(tenant) == whole
    states = probe.query("select state from ledger.reprocesses where tenant = %s order by started_at", tenant)
    assert [row["state"] for row in states] == ["given up", "done"]


CHILD = """
import json, sys
from datetime import datetime
from pathlib import Path
from contracts.registry import Registry
from spark_jobs.reprocess import reprocess
from spark_jobs.settings import ReprocessSettings
from warehouse import reprocess_apply
from warehouse.reprocess_compare import Span

def stand_still(*_):
    print("here", flush=True)
    sys.stdin.read()  # until it is killed

asked = json.loads(sys.stdin.readline())
if asked["where"] == "between two pieces":
    say = stand_still
else:
    say, reprocess_apply._mark = None, stand_still
span = Span(datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"]), asked["tenant"])
contract = Registry.load(Path(asked["folder"])).newest(asked["type"])
reprocess([contract], ReprocessSettings(**asked["settings"]), span, dry_run=False, say=say)
"""


def killed(probe: Any, tenant: str, chunk: int, where: str) -> None:
    """A process of its own does the same as ``probe.reprocess``, and is killed -9 where it stands still."""
    asked = {
        "where": where, "tenant": tenant, "folder": str(probe.folder), "type": probe.contract.type,
        "start": DAY.isoformat(), "end": (DAY + timedelta(days=1)).isoformat(),
        "settings": {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in probe.reprocessing(load_chunk_events=chunk).model_dump().items()
        },
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        lines = iter(process.stdout.readline, "")
        assert any(line == "here\n" for line in lines), "it ended before it came there"
        process.kill()
        assert process.wait() == -signal.SIGKILL


def when_the_other_is_gone(probe: Any) -> None:
    """Postgres notices by itself that a client is gone, and lets its locks go."""
    deadline = time.monotonic() + 60
    with psycopg.connect(probe.settings.loader_dsn, autocommit=True) as connection:
        while True:
            try:
                with reprocess_runs.alone(connection):
                    return
            except reprocess_runs.AlreadyAtWork:
                assert time.monotonic() < deadline, "the killed process still has its lock"
                time.sleep(0.05)


def test_kill_9_loses_nothing_wherever_it_strikes(probe, tenant, arrival, monkeypatch):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    whole, minutes = probe.checksum(tenant), len(seen(probe, tenant))
    spoil(probe, tenant, *seen(probe, tenant))
    spoiled = probe.checksum(tenant)
    (lake,) = probe.query("select sum(landed)::int as n from ledger.cells where type = %s", probe.contract.type)
    chunk = lake["n"] // 2
    for where in ("between two pieces", "when all is replaced and before the commit"):
        killed(probe, tenant, chunk, where)
        when_the_other_is_gone(probe)
        assert probe.checksum(tenant) == spoiled
        assert waiting_hours(probe, tenant) == []
    steps: list[Any] = []
    monkeypatch.setattr(job, "MOST_TOLD", 2)
    outcome = probe.reprocess(tenant, chunk=chunk, say=steps.append, grain="hour")
    assert outcome.resumed
    assert steps == [], "all was compared already"
    assert (len(outcome.differences), outcome.differences_found) == (2, 3), "of many the first are told, and how many"
    assert outcome.outcomes == {"replaced": minutes}
    assert probe.checksum(tenant) == whole
    assert len(waiting_hours(probe, tenant)) == 3


def _die(*_: Any) -> Mapping[str, int]:
    raise Killed


def test_events_that_arrive_meanwhile_are_kept(probe, tenant, arrival):
    """One is loaded after its minute was compared, one has only landed, one waits in ``touched``."""
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, second, third, *_ = sorted(numbers)
    spoil(probe, tenant, *numbers)
    table = probe.contract.type

    def minute_of(moment: datetime) -> int:
        return int((moment - NOON) / timedelta(minutes=1))

    probe.watershed.execute(
        "insert into ledger.touched (type, tenant, minute, cause, received_from) values (%s, %s, %s, 'repair', now())",
        (table, tenant, third),
    )

    def while_it_works(_step: Any) -> None:
        probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=minute_of(first), data={"page": "/new"}))
        probe.load()
        probe.arrive(tenant, arrival(event=1002, sequence=1002, minute=minute_of(second), data={"page": "/new"}))

    outcome = probe.reprocess(tenant, say=while_it_works)
    assert outcome.as_json()["minutes_waiting"] == 1
    assert outcome.outcomes == {"replaced": len(numbers) - 2, "newer": 1}
    now = seen(probe, tenant)
    assert now == {**numbers, first: numbers[first] + 1}
    probe.load()
    assert seen(probe, tenant) == {**now, second: numbers[second] + 1}
    assert probe.reprocess(tenant, dry_run=True).differing == 0


def test_a_dry_run_does_not_tell_of_what_is_left_alone_by_now(probe, tenant, arrival):
    """A load mended one minute since it was compared; another waits for the load."""
    loaded(probe, tenant, arrival)
    first, second, third, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first, second, third)

    def while_it_works(_step: Any) -> None:
        probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
        probe.load()
        probe.watershed.execute(
            "insert into ledger.touched (type, tenant, minute, cause, received_from)"
            " values (%s, %s, %s, 'erasure', now())",
            (probe.contract.type, tenant, second),
        )

    outcome = probe.reprocess(tenant, dry_run=True, say=while_it_works, grain="hour")
    assert outcome.differing == 1
    assert outcome.as_json()["left_as_they_are"] == {"newer": 1, "waiting": 1}
    (_, _, rows) = told(outcome)["rollup", "seen"]
    assert rows == len([r for r in probe.rollup(tenant) if r["minute"] == third])
    assert (outcome.as_json()["reads"], outcome.as_json()["replaced"]) == ([], 0)
    probe.load()


@pytest.mark.parametrize("known", [True, False], ids=["read before", "never read"])
def test_next_to_a_missing_file_its_minutes_are_left_alone(probe, tenant, arrival, stack, known):
    """Where it is known what the file held, the other minutes are mended; else its day waits until it is back."""
    table = probe.catalog.load_table(probe.contract.table)
    before = set(table.inspect.files()["file_path"].to_pylist())
    probe.arrive(tenant, arrival(event=1, sequence=1), arrival(event=2, sequence=2, minute=59))
    table.refresh()
    (gone,) = set(table.inspect.files()["file_path"].to_pylist()) - before
    probe.arrive(tenant, arrival(event=3, sequence=3, minute=30))
    probe.load()
    numbers = seen(probe, tenant)
    spoil(probe, tenant, *numbers)
    spoiled = seen(probe, tenant)
    own = stack.own("books")
    books = BooksSettings(**{n: own[n.upper()] for n in BooksSettings.model_fields if n.upper() in own})
    if known:
        assert reconcile([probe.contract], books).failed == {}
    with table.io.new_input(gone).open() as file:
        held = file.read()
    table.io.delete(gone)
    try:
        assert reconcile([probe.contract], books).files_missing == 1
        outcome = probe.reprocess(tenant)
        between = NOON + timedelta(minutes=30)
        assert outcome.as_json()["minutes_waiting"] == (2 if known else 3)
        assert outcome.outcomes == ({"replaced": 1} if known else {})
        assert seen(probe, tenant) == ({**spoiled, between: numbers[between]} if known else spoiled)
    finally:
        with table.io.new_output(gone).create() as file:
            file.write(held)
        assert reconcile([probe.contract], books).files_missing == 0
    probe.load()
    assert probe.touched(tenant) == []
    assert probe.reprocess(tenant).outcomes == ({} if known else {"replaced": 1}), "the file's minutes the load mended"
    assert seen(probe, tenant) == numbers


def test_minutes_with_quarantined_rows_or_of_a_file_that_goes_missing_meanwhile_are_left(probe, tenant, arrival):
    """Of the one the lake has more than was ever to be counted, of the other nobody knows what it would give."""
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, *_, last = sorted(numbers)
    spoil(probe, tenant, *numbers)
    spoiled = seen(probe, tenant)
    probe.watershed.execute(
        "update ledger.cells set landed = landed + 1, quarantined = 1 where type = %s and tenant = %s and minute = %s",
        (probe.contract.type, tenant, first),
    )

    def lose(_step: Any) -> None:
        probe.watershed.execute(
            """
            with lost as (
                insert into ledger.lake_files (type, path, manifest, rows, read, state)
                values (%(type)s, %(tenant)s, 'none', 1, true, 'missing') returning file_id
            )
            insert into ledger.held_minutes (type, tenant, minute, file_id)
            select %(type)s, %(tenant)s, %(minute)s, file_id from lost
            """,
            {"type": probe.contract.type, "tenant": tenant, "minute": last},
        )

    try:
        outcome = probe.reprocess(tenant, say=lose)
    finally:
        probe.watershed.execute("delete from ledger.lake_files where path = %s", (tenant,))
    assert outcome.as_json()["minutes_quarantined"] == 1
    assert outcome.outcomes == {"replaced": len(numbers) - 2, "waiting": 1}
    assert seen(probe, tenant) == {**numbers, first: spoiled[first], last: spoiled[last]}


def test_after_a_change_of_columns_an_undo_is_refused(probe, tenant, arrival):
    """As if the tables had got a column since, first the rollup and then the books."""
    loaded(probe, tenant, arrival)
    first, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first)
    applied = probe.reprocess(tenant)
    mended = probe.checksum(tenant)
    for part, column in (("cells", "copies"), ("rollup", "seen")):
        probe.watershed.execute(
            "update ledger.reprocess_rows set content = content - %s where run_id = %s and part = %s",
            (column, applied.run_id, part),
        )
        with pytest.raises(CannotUndo, match=rf"other columns then \({column}\)"):
            probe.undo(applied.run_id)
        probe.watershed.execute(
            "delete from ledger.reprocess_rows where run_id = %s and part = 'cells'", (applied.run_id,)
        )
    assert probe.checksum(tenant) == mended


def test_a_minute_that_was_recomputed_since_is_not_undone(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    first, second, *_ = sorted(numbers)
    spoil(probe, tenant, first, second)
    spoiled = seen(probe, tenant)
    applied = probe.reprocess(tenant)
    probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
    probe.load()
    assert probe.undo(applied.run_id).outcomes == {"newer": 1, "replaced": 1}
    assert seen(probe, tenant) == {**numbers, first: numbers[first] + 1, second: spoiled[second]}


def test_a_load_after_it_does_not_hide_the_cause(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    published(probe, tenant)
    first, *_ = sorted(seen(probe, tenant))
    spoil(probe, tenant, first)
    probe.reprocess(tenant)
    probe.arrive(tenant, arrival(event=1001, sequence=1001, minute=int((first - NOON) / timedelta(minutes=1))))
    probe.load()
    assert waiting_hours(probe, tenant) == [(first.replace(minute=0), "reprocess")]


def test_nothing_below_the_floor_is_computed_and_how_much_that_was_is_told(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    floor = NOON + timedelta(hours=1)
    below = [m for m in numbers if m < floor]
    spoil(probe, tenant, *numbers)
    probe.watershed.execute("insert into ledger.lake_floor (type, floor) values (%s, %s)", (probe.contract.type, floor))
    try:
        outcome = probe.reprocess(tenant)
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    assert outcome.as_json()["minutes_below_floor"] == len(below) > 0
    assert outcome.outcomes == {"replaced": len(numbers) - len(below)}
    now = seen(probe, tenant)
    assert all(now[m] > numbers[m] for m in below)
    assert all(now[m] == numbers[m] for m in set(numbers) - set(below))


def test_a_floor_that_rises_before_the_end_is_respected_too(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    numbers = seen(probe, tenant)
    spoil(probe, tenant, *numbers)

    def raise_floor(_step: Any) -> None:
        probe.watershed.execute(
            "insert into ledger.lake_floor (type, floor) values (%s, %s)", (probe.contract.type, max(numbers))
        )

    try:
        outcome = probe.reprocess(tenant, say=raise_floor)
    finally:
        probe.watershed.execute("delete from ledger.lake_floor where type = %s", (probe.contract.type,))
    assert outcome.outcomes == {"replaced": 1, "below the floor": len(numbers) - 1}


def test_what_broke_at_the_end_has_changed_nothing(probe, tenant, arrival, monkeypatch):
    loaded(probe, tenant, arrival)
    spoil(probe, tenant, *seen(probe, tenant))
    spoiled = probe.checksum(tenant)
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.reprocess_apply._mark", _die)
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    assert probe.checksum(tenant) == spoiled
    outcome = probe.reprocess(tenant)
    assert outcome.resumed
    assert outcome.outcomes == {"replaced": outcome.differing}


def test_the_command_says_by_its_exit_code_whether_anything_differs(probe, tenant, arrival, monkeypatch, stack):
    loaded(probe, tenant, arrival)
    known = Registry.load(probe.folder)
    monkeypatch.setattr(reprocess_commands.Registry, "load", lambda: known)
    words = ["--from", "2026-03-01", "--to", "2026-03-02", "--tenant", tenant, "--json"]

    def run(*more: str) -> Any:
        return CliRunner().invoke(reprocess_commands.app, [*words, *more], env=stack.own("load"))

    same = run("--dry-run")
    assert same.exit_code == 0, same.output
    spoil(probe, tenant, *seen(probe, tenant))
    differing = run("--dry-run", "--by", "hour")
    assert differing.exit_code == reprocess_commands.DIFFERS
    result = json.loads(differing.stdout.strip().splitlines()[-1])
    assert {d["measure"] for d in result["differences"]} == {"seen"}
    assert len({d["period"] for d in result["differences"]}) == 3
    assert result["replaced"] == 0
    assert "100 %" in differing.stderr
    applied = run()
    assert applied.exit_code == 0
    assert json.loads(applied.stdout.strip().splitlines()[-1])["replaced"] == result["differing"]


def test_two_at_a_time_are_refused_and_a_dry_run_beside_another_is_not(probe, tenant, load_settings):
    with psycopg.connect(load_settings.loader_dsn, autocommit=True) as other:
        with reprocess_runs.alone(other):
            with pytest.raises(reprocess_runs.AlreadyAtWork):
                probe.reprocess(tenant)
            assert probe.reprocess(tenant, dry_run=True).differing == 0
        with reprocess_runs.alone(other, dry_run=True), pytest.raises(reprocess_runs.AlreadyAtWork):
            probe.reprocess(tenant, dry_run=True)


def test_what_was_replaced_is_forgotten_after_its_days(probe, tenant, arrival):
    loaded(probe, tenant, arrival)
    spoil(probe, tenant, *seen(probe, tenant))
    applied = probe.reprocess(tenant)
    with psycopg.connect(probe.maintainer.maintainer_dsn, autocommit=True) as maintainer:
        assert reprocess_runs.forget(maintainer, timedelta(days=30), dry_run=True) == 0
        probe.watershed.execute(
            "update ledger.reprocesses set finished_at = now() - interval '31 days' where run_id = %s",
            (applied.run_id,),
        )
        assert reprocess_runs.forget(maintainer, timedelta(days=30), dry_run=True) == 1
        assert reprocess_runs.forget(maintainer, timedelta(days=30)) == 1
    assert probe.query("select from ledger.reprocess_rows where run_id = %s", applied.run_id) == []
    with pytest.raises(CannotUndo, match="no run"):
        probe.undo(applied.run_id)


def test_what_is_kept_of_minutes_with_somebody_forgotten_goes_and_an_undo_leaves_them_alone(
    probe, tenant, arrival, stack, monkeypatch
):
    loaded(probe, tenant, arrival)
    minutes = sorted(seen(probe, tenant))
    spoil(probe, tenant, *minutes)
    touches = {(tenant, minute) for minute in minutes[:2]}

    def kept() -> list[tuple[str, datetime]]:
        rows = probe.query(
            "select minute from ledger.reprocess_rows where tenant = %s"
            " union select minute from ledger.reprocess_minutes where tenant = %s",
            tenant, tenant,
        )  # fmt: skip
        return sorted(row["minute"] for row in rows)

    def forget() -> None:
        with psycopg.connect(stack.env["ERASER_DSN"], autocommit=True) as eraser:
            one = erasures.begin(eraser, tenant, "visitor", "ab" * 16, "tests")
            erasures.note(eraser, one.erasure_id, probe.contract.type, touches, {})
            erasures.touch(eraser, one.erasure_id, timedelta(milliseconds=200))

    def meanwhile(*arguments: Any) -> Any:
        """The lake is read already, and the rows that are kept are written after this."""
        with pytest.raises(erasures.ReprocessingAtWork, match=r"process \d+ of Postgres, role loader.* --list` says"):
            forget()
        return compute(*arguments)

    compute = job.recompute_span
    monkeypatch.setattr(job, "recompute_span", meanwhile)
    run = probe.reprocess(tenant)
    assert kept() == minutes
    forget()
    assert kept() == minutes[2:]
    probe.load()
    assert probe.undo(run.run_id).outcomes == {"replaced": len(minutes) - 2}
    assert probe.reprocess(tenant, dry_run=True).differing == len(minutes) - 2, "the others are as they were"
    probe.watershed.execute("delete from ledger.erasures where tenant = %s", (tenant,))
