"""A reprocessing that is killed goes on where it was, and has changed nothing before its end."""

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from spark_jobs import reprocess as job
from tests.integration.load.reprocess_kit import (
    DAY,
    Killed,
    die,
    loaded,
    published,
    seen,
    spoil,
    waiting_hours,
)
from warehouse import reprocess_runs


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
        patch.setattr(job, "apply", die)
        patch.setattr(job, "code_of", lambda _contracts: "the code before")
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    assert not probe.reprocess(tenant).resumed
    assert probe.checksum(tenant) == whole
    states = probe.query("select state from ledger.reprocesses where tenant = %s order by started_at", tenant)
    assert [row["state"] for row in states] == ["given up", "done"]


def test_what_was_begun_long_ago_is_begun_anew(probe, tenant, arrival, monkeypatch):
    """Else a dry run would find nothing of what was changed since in what it had compared."""
    loaded(probe, tenant, arrival)
    with monkeypatch.context() as patch:
        patch.setattr(job.runs, "finish", die)
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    age = "update ledger.reprocesses set started_at = now() - %s::interval where tenant = %s"
    probe.watershed.execute(age, (reprocess_runs.GOES_ON - timedelta(minutes=5), tenant))
    with monkeypatch.context() as patch:
        patch.setattr(job.runs, "finish", die)
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    (begun,) = probe.query("select run_id from ledger.reprocesses where tenant = %s", tenant)
    spoil(probe, tenant, *seen(probe, tenant))
    probe.watershed.execute(age, (reprocess_runs.GOES_ON + timedelta(minutes=5), tenant))
    outcome = probe.reprocess(tenant)
    assert not outcome.resumed
    assert outcome.run_id != begun["run_id"]
    assert outcome.differing == len(seen(probe, tenant))


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


def test_what_broke_at_the_end_has_changed_nothing(probe, tenant, arrival, monkeypatch):
    loaded(probe, tenant, arrival)
    spoil(probe, tenant, *seen(probe, tenant))
    spoiled = probe.checksum(tenant)
    with monkeypatch.context() as patch:
        patch.setattr("warehouse.reprocess_apply._mark", die)
        with pytest.raises(Killed):
            probe.reprocess(tenant)
    assert probe.checksum(tenant) == spoiled
    outcome = probe.reprocess(tenant)
    assert outcome.resumed
    assert outcome.outcomes == {"replaced": outcome.differing}
