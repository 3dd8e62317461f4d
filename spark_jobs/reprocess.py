"""Reprocess: what the lake gives for a span of time, against what the rollups have; differences go in at once.

Compared piece by piece, each at a pinned snapshot and in a transaction of its own, so that memory is bounded and a run
that is killed goes on where it was. Nothing anyone reads changes until all is compared (ADR 0034).
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

import psycopg

from contracts.model import Contract
from runtime import log
from spark_jobs.catalog import CATALOG, catalog_dsn, metadata_locations
from spark_jobs.lake import Pinned, pin
from spark_jobs.maintain_plan import files_of
from spark_jobs.recompute import recompute_span
from spark_jobs.reprocess_plan import pieces, seconds_left
from spark_jobs.settings import ReprocessSettings
from spark_jobs.type_load import LazySpark
from warehouse import reprocess_compare as comparing
from warehouse import reprocess_runs as runs
from warehouse.held import missing_files
from warehouse.load_state import SESSION
from warehouse.reprocess_apply import Patience, apply
from warehouse.reprocess_compare import Span
from warehouse.reprocess_differences import Difference, Grain, differences
from warehouse.reprocess_judge import REPLACED, judge_all
from warehouse.reprocess_undo import prepare

logger = log.get(__name__)
_COMPUTES = ("dedupe.py", "rollup.py", "recompute.py", "surviving.py")
MOST_TOLD = 100
"""Differences that a result has at most, of each type: of a year of many tenants there may be millions."""


@dataclass(frozen=True)
class Step:
    """Progress: one piece of one type is compared. ``left`` in seconds; None while nobody can tell."""

    type: str
    through: datetime
    done: int
    total: int
    left: float | None
    differing: int


@dataclass
class Outcome:
    """What one call did.

    ``outcomes``: minutes that differed, by what became of them; of a dry run only those that would be left as they are,
    and they are not among ``differing``. ``differences``: the first, ``differences_found`` is how many there are.
    """

    run_id: UUID
    kind: runs.Kind
    resumed: bool
    asked: runs.Asked
    types: dict[str, runs.Progress] = field(default_factory=dict)
    differing: int = 0
    differences: list[Difference] = field(default_factory=list)
    differences_found: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    ways: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0

    def as_json(self, most: int = MOST_TOLD) -> dict[str, object]:
        """For the command's last line."""
        numbers = ("events", "minutes_compared", "minutes_waiting", "minutes_quarantined", "minutes_below_floor")
        return {
            "run_id": str(self.run_id),
            "kind": self.kind,
            "resumed": self.resumed,
            "from": self.asked.start.isoformat(),
            "to": self.asked.end.isoformat(),
            **{name: sum(getattr(p, name) for p in self.types.values()) for name in numbers},
            "differing": self.differing,
            "replaced": self.outcomes.get(REPLACED, 0),
            "left_as_they_are": {k: n for k, n in sorted(self.outcomes.items()) if k != REPLACED},
            "differences": [d.as_json() for d in self.differences[:most]],
            "differences_left_out": max(0, self.differences_found - most),
            "reads": [] if self.kind == "dry run" else [lake for lake, _ in self.ways],
            "writes": [] if self.kind == "dry run" else [rollup for _, rollup in self.ways],
            "seconds": round(self.seconds, 3),
        }


def code_of(contracts: Iterable[Contract]) -> str:
    """A fingerprint of what decides the numbers: the contracts' fields and rollups, and the code that computes."""
    digest = hashlib.sha256()
    for contract in sorted(contracts, key=lambda c: c.type):
        digest.update(repr((contract.type, contract.fields, contract.rollup)).encode())
    for name in _COMPUTES:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


def reprocess(
    contracts: Sequence[Contract],
    settings: ReprocessSettings,
    span: Span,
    *,
    dry_run: bool,
    supersede: bool = False,
    grain: Grain = "day",
    say: Callable[[Step], None] | None = None,
) -> Outcome:
    """Compare ``span`` of all ``contracts`` with the lake; without ``dry_run`` put in place what differs.

    :raises AlreadyAtWork: another reprocessing runs, or of a dry run another dry run.
    :raises Busy: a load kept a type for too long when all was compared; call it again.
    :raises BuildAtWork: a build run did; call it again.
    :raises PySparkException: the Spark server is away, or became so.
    """
    started = time.monotonic()
    by_type = {c.type: c for c in contracts}
    asked = runs.Asked(
        "dry run" if dry_run else "apply", span.start, span.end, tuple(sorted(by_type)), span.tenant, code_of(contracts)
    )
    with ExitStack() as stack:
        warehouse = stack.enter_context(psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION))
        stack.enter_context(runs.alone(warehouse, dry_run=dry_run))
        run = runs.begin(warehouse, asked)
        outcome = Outcome(run.run_id, asked.kind, run.resumed, asked)
        if run.state == "comparing":
            catalog = stack.enter_context(psycopg.connect(catalog_dsn(settings), autocommit=True))
            _Comparison(settings, warehouse, catalog, run, say=say).compare(span, list(by_type.values()))
            runs.finish(warehouse, run.run_id, "compared")
        _take_down(warehouse, outcome, by_type, grain)
        if dry_run:
            runs.finish(warehouse, run.run_id, "done")
        else:
            patience = Patience(settings.reprocess_wait_seconds, supersede)
            outcome.outcomes = apply(warehouse, run.run_id, contracts, patience)
    outcome.seconds = time.monotonic() - started
    logger.info("reprocessed", **{k: v for k, v in outcome.as_json(0).items() if k not in ("reads", "writes")})
    return outcome


def undo(
    contracts: Sequence[Contract],
    settings: ReprocessSettings,
    run_id: UUID,
    *,
    supersede: bool = False,
    grain: Grain = "day",
) -> Outcome:
    """Put back what ``run_id`` replaced, but for minutes that were recomputed since.

    :raises CannotUndo: there is nothing to put back, or it does not fit any more.
    :raises AlreadyAtWork, Busy, BuildAtWork: see :func:`reprocess`.
    """
    started = time.monotonic()
    by_type = {c.type: c for c in contracts}
    with psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION) as warehouse, runs.alone(warehouse):
        run = prepare(warehouse, run_id, by_type)
        outcome = Outcome(run.run_id, "undo", run.resumed, run.asked)
        _take_down(warehouse, outcome, by_type, grain)
        patience = Patience(settings.reprocess_wait_seconds, supersede)
        outcome.outcomes = apply(warehouse, run.run_id, contracts, patience)
    outcome.seconds = time.monotonic() - started
    logger.info("undone", run_undone=str(run_id), **outcome.as_json(0))
    return outcome


def _take_down(
    warehouse: psycopg.Connection, outcome: Outcome, contracts: Mapping[str, Contract], grain: Grain
) -> None:
    """What was found, told before it is applied: then the rollups have the old numbers still.

    Of one moment, and without what would be left as it is by then: what a load computed since it was compared does not
    differ any more, and what lies below a floor that was raised since cannot be told. Nothing of it is kept.
    """
    with warehouse.transaction(force_rollback=True):
        warehouse.execute("set transaction isolation level repeatable read")
        judged = judge_all(warehouse, outcome.run_id, contracts.values())
        for type_ in outcome.asked.types:
            if (done := runs.progress(warehouse, outcome.run_id, type_)) is not None:
                outcome.types[type_] = done
            contract = contracts[type_]
            found, count = differences(warehouse, outcome.run_id, contract, grain, MOST_TOLD)
            outcome.differences += found
            outcome.differences_found += count
            if count:
                outcome.ways.append((f"{CATALOG}.{contract.table}", f"rollups.{contract.rollup_table}"))
    outcome.differing = sum(judged.values())
    if outcome.kind == "dry run":
        outcome.differing = judged.get(REPLACED, 0)
        outcome.outcomes = {what: n for what, n in judged.items() if what != REPLACED}


class _Comparison:
    """The comparing part of one run."""

    def __init__(
        self,
        settings: ReprocessSettings,
        warehouse: psycopg.Connection,
        catalog: psycopg.Connection,
        run: runs.Run,
        *,
        say: Callable[[Step], None] | None,
    ) -> None:
        self._settings, self._warehouse, self._catalog = settings, warehouse, catalog
        self._run, self._say = run, say
        self._spark = LazySpark(settings)
        self._differing: Counter[str] = Counter()

    def compare(self, span: Span, contracts: Sequence[Contract]) -> None:
        """Every piece of ``span``, of every type, that is not compared yet."""
        work = [(contract, piece) for contract in contracts for piece in self._pieces(span, contract)]
        total = sum(_effort(piece) for _, piece in work)
        done, started = 0, time.monotonic()
        for contract, piece in work:
            self._compare(contract, piece)
            done += _effort(piece)
            left = seconds_left(time.monotonic() - started, done, total - done)
            type_ = contract.type
            if self._say is not None:
                self._say(Step(type_, piece.end, done, total, left, self._differing[type_]))

    def _pieces(self, span: Span, contract: Contract) -> list[Span]:
        """What is left to compare of a type; the floor, and what lies below it, is noted when the type begins."""
        books = comparing.books(self._warehouse, contract.type)
        pinned = self._pin(contract)
        if books is None or pinned is None:
            return []
        done = runs.progress(self._warehouse, self._run.run_id, contract.type)
        if done is None:
            done = self._begin(span, contract, books)
        start = max(done.compared_through, books.floor or done.compared_through)
        rows: Counter[date | None] = Counter()
        for file in files_of(pinned.source):
            rows[file.day] += file.rows
        left = replace(span, start=start)
        days = comparing.days_with_rows(self._warehouse, contract, left)
        return pieces(
            left,
            {day: n for day, n in rows.items() if day is not None},
            {day.date() for day in days},
            self._settings.load_chunk_events,
        )

    def _begin(self, span: Span, contract: Contract, books: comparing.Books) -> runs.Progress:
        start = max(span.start, books.floor or span.start)
        below = replace(span, end=min(start, span.end))
        left_out = comparing.minutes_below(self._warehouse, contract, below) if below.start < below.end else 0
        done = runs.Progress(start, minutes_below_floor=left_out)
        runs.note(self._warehouse, self._run.run_id, contract.type, done)
        return done

    def _compare(self, contract: Contract, piece: Span) -> None:
        """One piece.

        The transaction's snapshot is taken before the lake is pinned, so that what the books say is loaded is in the
        lake as pinned; and what is loaded later changes nothing of what is compared.
        """
        run_id, type_ = self._run.run_id, contract.type
        with runs.keeping(self._warehouse), self._warehouse.transaction():
            self._warehouse.execute("set transaction isolation level repeatable read")
            books = comparing.books(self._warehouse, type_)
            done = runs.progress(self._warehouse, run_id, type_)
            pinned = self._pin(contract)
            if books is None or done is None or pinned is None:
                raise RuntimeError(f"{type_}: its table or its books are gone")
            missing = missing_files(self._warehouse, type_)
            computed = recompute_span(self._spark(), contract, pinned, piece, books.land_seq, missing)
            found = comparing.compare(self._warehouse, run_id, contract, piece, computed)
            done = replace(
                done,
                compared_through=piece.end,
                events=done.events + piece.events,
                minutes_compared=done.minutes_compared + found.minutes,
                minutes_waiting=done.minutes_waiting + found.waiting,
                minutes_quarantined=done.minutes_quarantined + found.quarantined,
            )
            runs.note(self._warehouse, run_id, type_, done)
        self._differing[type_] += found.differing

    def _pin(self, contract: Contract) -> Pinned | None:
        location = metadata_locations(self._catalog, [contract.table]).get(contract.table)
        return None if location is None else pin(contract.table, location, self._settings)


def _effort(piece: Span) -> int:
    """What a piece costs, in events: to ask Spark at all costs as much as some thousands of them."""
    return piece.events + 20_000
