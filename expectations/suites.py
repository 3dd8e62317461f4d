"""The suites, read from ``suites/<schema>/<table>.<severity>.yaml``; severity is stop or warn."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import yaml

from warehouse.marts import MARTS, Mart
from warehouse.periods import TIME_ZONE, touched

FOLDER = Path(__file__).resolve().parent / "suites"
Severity = Literal["stop", "warn"]
Stage = Literal["rollups", "marts"]
SCHEMAS: dict[Stage, tuple[str, ...]] = {"rollups": ("rollups", "ledger"), "marts": ("marts_build",)}
"""What each gate looks at: before dbt what it will read, before publish what it has built."""
_FILE = re.compile(r"(?P<table>[a-z0-9_]+)\.(?P<severity>[a-z]+)\.yaml")


class SuiteError(Exception):
    """A suite's file is wrong; the message names it and what to change."""


@dataclass(frozen=True)
class Expectation:
    """``failing`` is SQL over ``{batch}`` that gives (tenant, observed), one row for each tenant that fails."""

    name: str
    description: str
    failing: str


@dataclass(frozen=True)
class Suite:
    """The expectations of one severity on one table."""

    schema: str
    table: str
    severity: Severity
    expectations: tuple[Expectation, ...]

    @property
    def name(self) -> str:
        """As in gate results and Data Docs."""
        return f"{self.schema}.{self.table}.{self.severity}"


def load_suites(stage: Stage, folder: Path = FOLDER) -> tuple[Suite, ...]:
    """The suites of one gate, by name.

    :raises SuiteError: a file is wrong, or there is none.
    """
    files = [path for schema in SCHEMAS[stage] for path in sorted((folder / schema).iterdir())]
    if not files:
        raise SuiteError(f"{folder}: no suite for the gate on {stage}")
    return tuple(_read(path) for path in files)


def _read(path: Path) -> Suite:
    named = _FILE.fullmatch(path.name)
    if named is None or named["severity"] not in get_args(Severity):
        raise SuiteError(f"{path}: a suite is called <table>.stop.yaml or <table>.warn.yaml")
    expectations = tuple(_expectations(path))
    names = [expectation.name for expectation in expectations]
    if not names or len(set(names)) != len(names):
        raise SuiteError(f"{path}: needs expectations, each with a name of its own")
    return Suite(path.parent.name, named["table"], cast(Severity, named["severity"]), expectations)


def _expectations(path: Path) -> Iterator[Expectation]:
    document = yaml.safe_load(path.read_text())
    if not isinstance(document, dict):
        raise SuiteError(f"{path}: a suite maps the names of expectations to `expect` and `failing`")
    for name, body in document.items():
        if not isinstance(body, dict) or body.keys() != {"expect", "failing"}:
            raise SuiteError(f"{path}: {name} needs `expect` (a sentence) and `failing` (SQL), and nothing else")
        if "{batch}" not in body["failing"] and "{claimed}" not in body["failing"]:
            raise SuiteError(
                f"{path}: {name} looks at all rows, not at the claimed: read from {{batch}} or {{claimed}}"
            )
        yield Expectation(name, body["expect"], body["failing"])


def _mart(suite: Suite) -> Mart | None:
    """The mart that ``suite`` looks at; None where it looks at a rollup or the books.

    :raises SuiteError: there is no such mart.
    """
    if suite.schema != "marts_build":
        return None
    mart = next((mart for mart in MARTS if mart.name == suite.table), None)
    if mart is None:
        raise SuiteError(f"{suite.name}: there is no mart {suite.table} in warehouse/marts.py")
    return mart


def claimed(suite: Suite, run_id: str) -> str:
    """SQL of the periods that ``suite`` looks at: (tenant, period_start, period_end) of what the run has in hand.

    Before dbt that is the claim, by hours of the type of the rollup (or of all types); afterwards what was built, by
    the grain of the mart.

    :raises SuiteError: the suite is about a mart that does not exist.
    """
    mart = _mart(suite)
    if mart is not None:
        hours = (
            "(select tenant, event_type, hour, '' as cause"  # noqa: S608 - our own names and a UUID
            f" from intermediate.int_claimed_hours where run_id = '{run_id}')"
        )
        return f"({touched(mart, hours, (f'marts_build.{mart.name}',))})"
    of_type = "" if suite.schema == "ledger" else f" and type = '{suite.table.removesuffix('_minute')}'"
    return (
        "(select type, tenant, hour as period_start, hour + interval '1 hour' as period_end"  # noqa: S608
        f" from ledger.unpublished where claimed_by = '{run_id}'{of_type})"
    )


def batch(suite: Suite, run_id: str) -> str:
    """SQL of the rows that ``suite`` looks at, each with the ``time_zone`` of its tenant.

    The period is asked for twice: as a range, for which a small claim finds an index, and as an equality, by which a
    claim of everything is one hash join instead of every row beside every period.
    """
    mart = _mart(suite)
    grain, time = (mart.grain, "period_start") if mart else ("hour", "minute")
    equal = "" if grain == "ever" else f" and calendar.period_start('{grain}', t.{time}, {TIME_ZONE}) = c.period_start"
    same_type = " and t.type = c.type" if suite.schema == "ledger" else ""
    return (
        f"select t.*, {TIME_ZONE} as time_zone from {suite.schema}.{suite.table} as t"  # noqa: S608 - names of files and a UUID
        " left join ledger.tenants as zones on zones.tenant = t.tenant"
        f" inner join {claimed(suite, run_id)} as c"
        f" on t.tenant = c.tenant{equal} and t.{time} >= c.period_start and t.{time} < c.period_end{same_type}"
    )


def fed_by(suite: Suite, types: Collection[str]) -> bool:
    """Whether what ``suite`` looks at has anything of the event types ``types``; the books are of all types."""
    mart = _mart(suite)
    if mart is not None:
        return not set(mart.event_types).isdisjoint(types)
    return suite.schema == "ledger" or suite.table.removesuffix("_minute") in types
