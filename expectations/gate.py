"""One gate: run its suites on what a run has in hand, and write down who failed what.

A failed ``stop`` holds the tenants it names, at publication; a ``warn`` is only seen. What cannot be checked is an
error and not a pass: nothing is written then, and publish refuses a run without results.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg

from expectations.check import Finding, check
from expectations.settings import GateSettings
from expectations.suites import Severity, Stage, Suite, fed_by, load_suites
from runtime import log


@dataclass(frozen=True)
class Verdict:
    """What one gate found."""

    run_id: UUID
    stage: Stage
    findings: tuple[Finding, ...]

    def failures(self, severity: Severity) -> dict[str, list[str]]:
        """The failed expectations of a severity, by tenant."""
        failed: dict[str, list[str]] = {}
        for finding in self.findings:
            if finding.severity == severity and not finding.success:
                failed.setdefault(finding.tenant, []).append(f"{finding.suite}: {finding.expectation}")
        return failed

    def as_json(self) -> dict[str, object]:
        """For the command's last line."""
        return {
            "run_id": str(self.run_id),
            "stage": self.stage,
            "expectations": len({(f.suite, f.expectation) for f in self.findings}),
            "held": self.failures("stop"),
            "warned": self.failures("warn"),
        }


def gate(settings: GateSettings, stage: Stage, run_id: UUID) -> Verdict:
    """Check what ``run_id`` has claimed (``rollups``) or built (``marts``); earlier results of the stage are replaced.

    Only suites about event types that the run claimed are evaluated: the others would find nothing to look at.

    :raises CheckFailed: an expectation could not be evaluated.
    :raises SuiteError: a suite's file is wrong.
    """
    suites = load_suites(stage)
    with psycopg.connect(settings.gate_dsn) as connection:
        # The time before anything is read: what is claimed or built while the gate looks, it has not seen.
        row = connection.execute("select clock_timestamp()").fetchone()
        suites = _of_run(connection, suites, run_id)
        connection.rollback()
        verdict = Verdict(run_id, stage, check(settings, stage, run_id, suites))
        _write(connection, verdict, row[0] if row else None)
        connection.execute(
            "delete from ledger.gate_results where checked_at < now() - make_interval(days => %s)",
            (settings.gate_results_days,),
        )
    logger = log.get(__name__)
    levels: tuple[tuple[Severity, Callable[..., object]], ...] = (("stop", logger.error), ("warn", logger.warning))
    for severity, say in levels:
        for tenant, failed in verdict.failures(severity).items():
            say("expectation failed", severity=severity, tenant=tenant, failed=failed, run_id=str(run_id))
    return verdict


def _of_run(connection: psycopg.Connection, suites: tuple[Suite, ...], run_id: UUID) -> tuple[Suite, ...]:
    """The suites about what the run has in hand; all of them when none is, because a gate without results is shut."""
    types = connection.execute("select distinct type from ledger.unpublished where claimed_by = %s", (run_id,))
    claimed = {name for (name,) in types}
    return tuple(suite for suite in suites if fed_by(suite, claimed)) or suites


def _write(connection: psycopg.Connection, verdict: Verdict, checked_at: object) -> None:
    stage_of_run = (verdict.run_id, verdict.stage)
    connection.execute("delete from ledger.gate_results where run_id = %s and stage = %s", stage_of_run)
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into ledger.gate_results (
                run_id, stage, suite, expectation, severity, tenant, success, observed, checked_at
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            [
                (*stage_of_run, f.suite, f.expectation, f.severity, f.tenant, f.success, f.observed, checked_at)
                for f in verdict.findings
            ],
        )
