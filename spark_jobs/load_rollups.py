"""Load: what landed in the lake since the last load, into the rollups. No checkpoint: the ledger says what is to do.

Step 1 turns rows above a type's cursor into touched minutes. Step 2 recomputes touched minutes from the lake, newest
first, in chunks of one transaction each, until none is left or the time is up.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg

from contracts.model import Contract
from runtime import log
from spark_jobs.catalog import CATALOG, catalog_dsn, metadata_locations
from spark_jobs.load_rejects import TABLE as REJECTS
from spark_jobs.load_rejects import RejectsLoad, load_rejects
from spark_jobs.settings import LoadSettings
from warehouse.ddl import SCHEMA as ROLLUPS
from warehouse.load_state import SESSION, Busy, nothing_new, states
from warehouse.loads import Load

if TYPE_CHECKING:
    from spark_jobs.type_load import TypeLoad

logger = log.get(__name__)


@dataclass
class Summary:
    """What one run did. ``failed`` names the types that broke, with why; the others are loaded all the same.

    ``rejects`` is what counting the rejected events came to; None: it was not asked for, or is ``busy`` or ``failed``.
    ``ways``: from which table of the lake, as Spark calls it, into which of the warehouse rows were written.
    """

    run_id: UUID
    loads: list[Load] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    rejects: RejectsLoad | None = None
    ways: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0

    def as_json(self) -> dict[str, object]:
        """For the command's last line. ``changed``: tenants' minutes that were replaced."""
        return {
            "run_id": str(self.run_id),
            "changed": sum(load.minutes_recomputed for load in self.loads),
            "minutes_left": sum(load.minutes_left for load in self.loads),
            "types": {load.type: load.as_json() for load in self.loads},
            "idle": self.idle,
            "busy": self.busy,
            "failed": self.failed,
            "reads": [lake for lake, _ in self.ways],
            "writes": [rollup for _, rollup in self.ways],
            **(self.rejects.as_json() if self.rejects else {}),
            "seconds": round(self.seconds, 3),
        }


def load(contracts: Iterable[Contract], settings: LoadSettings) -> Summary:
    """Load all of ``contracts``, each type by itself: one that fails does not keep the others.

    Types take turns, a chunk each, so that one with a long backlog does not hold up the newest minutes of another.
    """
    started = time.monotonic()
    deadline = started + settings.load_budget_seconds
    by_type = {c.type: c for c in contracts}
    summary = Summary(uuid4())
    due = _due(by_type, settings, summary)
    if due:
        _load_due([by_type[type_] for type_ in due], settings, summary, deadline)
    summary.seconds = time.monotonic() - started
    return summary


def load_with_rejects(contracts: Iterable[Contract], settings: LoadSettings, *, recount: bool = False) -> Summary:
    """Load all of ``contracts``, then count the rejected events; either is done where the other fails.

    ``recount``: count every rejected event of the lake anew, not only what is new.
    """
    contracts = tuple(contracts)
    summary = load(contracts, settings)
    started = time.monotonic()
    try:
        summary.rejects = load_rejects(contracts, settings, recount=recount)
        if summary.rejects.hours_counted:
            summary.ways.append((f"{CATALOG}.{REJECTS}", "ledger.rejects"))
    except Busy:
        summary.busy.append(REJECTS)
    except Exception as error:
        logger.exception("rejected events could not be counted")
        summary.failed[REJECTS] = _words(error)
    summary.seconds += time.monotonic() - started
    return summary


def _load_due(contracts: Iterable[Contract], settings: LoadSettings, summary: Summary, deadline: float) -> None:
    # Only now: Spark's and Iceberg's clients take a second of CPU to import, which a minute without news does not cost.
    from spark_jobs.type_load import LazySpark, TypeLoad  # noqa: PLC0415

    spark = LazySpark(settings)
    with ThreadPoolExecutor(settings.load_threads, thread_name_prefix="load") as pool:
        turns = deque(TypeLoad(contract, settings, spark, summary.run_id) for contract in contracts)
        running: dict[Future[bool], TypeLoad] = {}
        fresh = set(turns)
        while turns or running:
            while turns and len(running) < settings.load_threads:
                one = turns.popleft()
                running[pool.submit(_turn, one, deadline, first=one in fresh)] = one
                fresh.discard(one)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                one = running.pop(future)
                if _more(future, one, summary):
                    turns.append(one)


def _due(contracts: Mapping[str, Contract], settings: LoadSettings, summary: Summary) -> list[str]:
    """The types with something new or something touched; all others are done with one update."""
    with psycopg.connect(settings.loader_dsn, autocommit=True, options=SESSION) as warehouse:
        before = states(warehouse, list(contracts))
        with psycopg.connect(catalog_dsn(settings), autocommit=True) as catalog:
            locations = metadata_locations(catalog, [c.table for c in contracts.values()])
        due = []
        seen = {}
        for type_, state in before.items():
            location = locations.get(contracts[type_].table)
            if location is not None and location == state.metadata_location:
                seen[type_] = (location, state.landed_through)
            if state.pending or (location is not None and location != state.metadata_location):
                due.append(type_)
            else:
                summary.idle.append(type_)
        nothing_new(warehouse, seen)
    return due


def _turn(one: "TypeLoad", deadline: float, *, first: bool) -> bool:
    """Begin, or do a chunk; gives whether there is more to do. The first chunk is done however late it is."""
    try:
        if first:
            one.begin(deadline - time.monotonic())
        if (first or time.monotonic() < deadline) and one.chunk():
            return True
        one.end()
    except BaseException:
        one.give_up()
        raise
    return False


def _more(future: "Future[bool]", one: "TypeLoad", summary: Summary) -> bool:
    """Take the outcome of a turn down; gives whether the type wants another."""
    type_ = one.contract.type
    try:
        if future.result():
            return True
        summary.loads.append(one.load)
        if one.load.minutes_recomputed:
            summary.ways.append((f"{CATALOG}.{one.contract.table}", f"{ROLLUPS}.{one.contract.rollup_table}"))
    except Busy:
        summary.busy.append(type_)
    except Exception as error:
        logger.exception("load failed", type=type_)
        summary.failed[type_] = _words(error)
    return False


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
