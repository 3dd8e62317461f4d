"""Evaluate suites with Great Expectations on what a run has in hand, naming each tenant that fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from expectations import data_docs
from expectations.settings import GateSettings
from expectations.suites import Expectation, Severity, Stage, Suite, batch, claimed

EVERY_TENANT = "*"
"""Stands for all tenants where an expectation passed."""
GX_SEVERITY: dict[Severity, str] = {"stop": "critical", "warn": "warning"}


class CheckFailed(Exception):
    """An expectation could not be evaluated; the message names it and says why."""


@dataclass(frozen=True)
class Finding:
    """One expectation on one tenant that failed it, or on all when it passed."""

    suite: str
    expectation: str
    severity: Severity
    tenant: str
    success: bool
    observed: str | None


def check(settings: GateSettings, stage: Stage, run_id: UUID, suites: Sequence[Suite]) -> tuple[Finding, ...]:
    """Evaluate ``suites`` on what ``run_id`` has in hand; Data Docs shows it when a stop failed, and else now and then.

    :raises CheckFailed: an expectation could not be evaluated.
    """
    gx = data_docs.great_expectations()
    context = data_docs.context(settings)
    warehouse = context.data_sources.add_postgres(
        name="warehouse", connection_string=_url(settings.gate_dsn), create_temp_table=False
    )
    validations = []
    for suite in suites:
        rows = warehouse.add_query_asset(suite.name, query=batch(suite, str(run_id)))
        definition = gx.ValidationDefinition(
            name=suite.name,
            data=rows.add_batch_definition_whole_table("claimed"),
            suite=add_suite(context, suite, run_id),
        )
        validations.append(context.validation_definitions.add(definition))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name=stage, validation_definitions=validations, result_format="COMPLETE")
    )
    run = f"{stage} {run_id}"
    outcome = checkpoint.run(run_id=gx.core.RunIdentifier(run_name=run))
    by_name = {result.suite_name: result for result in outcome.run_results.values()}
    findings = tuple(finding for suite in suites for finding in _findings(suite, by_name[suite.name]))
    stopped = any(finding.severity == "stop" and not finding.success for finding in findings)
    if stopped or data_docs.due(settings, stage, run):
        data_docs.show(settings, context, list(by_name), list(outcome.run_results), run)
    else:
        data_docs.forget(settings, run)
    return findings


def add_suite(context: Any, suite: Suite, run_id: UUID) -> Any:
    """``suite`` as Great Expectations knows it, in ``context``."""
    gx = data_docs.great_expectations()
    expectations = [
        gx.expectations.UnexpectedRowsExpectation(
            unexpected_rows_query=_query(suite, expectation, run_id),
            description=expectation.description,
            meta={"name": expectation.name},
            severity=GX_SEVERITY[suite.severity],
        )
        for expectation in suite.expectations
    ]
    return context.suites.add(gx.ExpectationSuite(name=suite.name, expectations=expectations))


def _query(suite: Suite, expectation: Expectation, run_id: UUID) -> str:
    """All failing tenants in one row.

    Of more than 200 rows Great Expectations keeps the first 200, and the tenants beyond would be published.
    """
    failing = expectation.failing.replace("{claimed}", f"{claimed(suite, str(run_id))} as claimed").strip()
    if "{batch}" not in failing:
        # It looks at the claimed periods, also at those without rows; Great Expectations wants its batch mentioned.
        failing += " /* {batch} */"
    return (
        "select json_agg(json_build_object('tenant', tenant, 'observed', observed) order by tenant) as failing"  # noqa: S608
        f" from ({failing}) as failing having count(*) > 0"
    )


def _findings(suite: Suite, results: Any) -> Iterator[Finding]:
    by_name = {result.expectation_config.meta["name"]: result for result in results.results}
    for expectation in suite.expectations:
        result = by_name[expectation.name]
        _raise_if_not_evaluated(f"{suite.name}: {expectation.name}", result.exception_info)
        if result.success:
            yield Finding(suite.name, expectation.name, suite.severity, EVERY_TENANT, True, None)
            continue
        for row in result.result["details"]["unexpected_rows"]:
            for failing in row["failing"]:
                observed = str(failing["observed"])
                yield Finding(suite.name, expectation.name, suite.severity, failing["tenant"], False, observed)


def _raise_if_not_evaluated(name: str, info: dict[str, Any]) -> None:
    """Great Expectations takes an error for a failed expectation; it gives one problem, or one for each metric."""
    problems = [info] if "raised_exception" in info else list(info.values())
    for problem in problems:
        if problem["raised_exception"]:
            raise CheckFailed(f"{name}: {problem['exception_message'].splitlines()[0]}")


def _url(dsn: str) -> str:
    """As SQLAlchemy wants it; periods are those of UTC, whatever the server's zone."""
    separator = "&" if "?" in dsn else "?"
    return f"{dsn.replace('postgresql://', 'postgresql+psycopg://', 1)}{separator}options=-c%20timezone%3DUTC"
