"""A bout: a load of known events, faults while it runs, and the auditor's word when all has come to rest."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.faults.audit import Audit, audit
from tests.faults.events import KnownEvents, samples
from tests.faults.journal import Journal, Known, read
from tests.faults.observe import Books, Observer
from tests.faults.plant import CommandFailed, Plant
from tests.faults.send import Load
from tests.faults.sends import Sends
from tests.faults.verdict import Verdict
from tests.faults.watch import Check, Watch

RED_WITHIN = 10.0
"""Seconds within which health must say that something is broken, while it is."""
RECOVERS = {"collector": 5.0, "broker": 30.0, "pipeline": 120.0}
"""Seconds within which what is broken works again by itself, once the fault is over."""
COMES_LATE = 90.0
"""Seconds in which what was on its way when the sending ended arrives."""
End = Callable[[], None]


def no_checks(plant: Plant) -> Mapping[str, Check]:
    """The programs' own readiness is enough."""
    return {}


@dataclass(frozen=True)
class Fault:
    """Something that is broken on purpose. ``make`` breaks it and gives what ends that.

    ``lasts``: seconds until it is ended, longer if nobody has shown it by then; 0: a kill, which the supervisor mends.
    ``watched``: the programs that show it; ``checks``: what shows it besides.
    """

    name: str
    kind: str
    make: Callable[[Plant], End]
    watched: tuple[str, ...]
    lasts: float = 0.0
    shown: bool = True
    """Whether a process's health shows it; a command that fails shows it by failing."""
    checks: Callable[[Plant], Mapping[str, Check]] = no_checks
    load: Mapping[str, Any] = field(default_factory=dict)
    """Options of the load that is sent meanwhile."""
    borne: bool = False
    """Whether senders must see nothing of it: each of their events is taken."""


@dataclass
class Times:
    """When things were seen, in seconds as in :class:`Verdict`."""

    lasted: float
    red_after: float | None
    recovered_after: float | None
    caught_up_after: float | None = None
    """When everything that was taken until the fault was over is counted; None: not in time, or nobody looked."""


class Bout:
    """One load, one tenant, from :meth:`begin` to :meth:`judge`."""

    def __init__(
        self, plant: Plant, folder: Path, seed: int, types: Sequence[str] | None = None, **options: Any
    ) -> None:
        """``types``: of the events, all by default; ``options``: those of :class:`Load`."""
        self.plant = plant
        self.gone: str | None = None
        """A type of which messages were deleted before they landed: these are lost, and the books must say how many."""
        self.tenant = f"faults-{seed:08x}"
        self.events = KnownEvents(seed, samples(plant.registry, types))
        self.observer = Observer(plant.env, plant.registry, self.tenant)
        folder.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(folder / f"{self.tenant}.journal")
        options = {"rate": 200, **options}
        self.load = Load(plant.env["COLLECTOR_URL"], plant.key(self.tenant), self.events, self._journal, **options)

    def begin(self) -> Self:
        """Send; gives itself once events are taken."""
        self.load.start()
        if self.flows(time.monotonic(), 60) is None:
            self.load.stop()
            raise AssertionError(f"no event is taken: {read(self._journal.path).why}")
        return self

    def flows(self, moment: float, seconds: float) -> float | None:
        """Seconds from ``moment`` until an event was answered with 2xx; None: not within ``seconds``."""
        while (first := self.load.first_taken(moment)) is None:
            if time.monotonic() - moment > seconds:
                return None
            time.sleep(0.02)
        return first - moment

    def make(self, fault: Fault, *, patience: float = 1.0, pipeline: bool = False) -> Times:
        """Make a fault and wait until all is well again; ``patience``: how many times its bound is waited for.

        ``pipeline``: somebody loads meanwhile, so wait until the backlog is counted too.
        """
        bound = RECOVERS[fault.kind] * patience
        programs = {p.name: p.not_ready for p in self.plant.programs if p.name in fault.watched}
        watch = Watch({**programs, **fault.checks(self.plant)})
        try:
            assert watch.green_after(time.monotonic(), 60) is not None, f"before {fault.name}: {watch.red()}"
            end = fault.make(self.plant)
            began = time.monotonic()
            try:
                time.sleep(fault.lasts)
                if fault.lasts and fault.shown:
                    watch.turns_red(began, RED_WITHIN * patience)
            finally:
                end()
            over = time.monotonic() if fault.lasts else began
            behind = self.load.taken
            green = watch.green_after(over, bound)
            flows = self.flows(over, bound)
            recovered = None if green is None or flows is None else round(max(green, flows), 1)
            red = watch.red_after(began)
            caught_up = self.caught_up(behind, over, catch_up_within(over - began) * patience) if pipeline else None
            return Times(round(over - began, 1), _round(red), recovered, _round(caught_up))
        finally:
            watch.close()

    def caught_up(self, events: int, moment: float, seconds: float) -> float | None:
        """Seconds from ``moment`` until so many events are counted; None: not within ``seconds``."""
        while time.monotonic() - moment < seconds:
            with contextlib.suppress(psycopg.OperationalError):
                if self._counted() >= events:
                    return time.monotonic() - moment
            time.sleep(0.5)
        return None

    def rest(self, seconds: float) -> Known:
        """Send no more, and load until what was taken is counted, at most so long; gives what was sent.

        Commands fail while servers are on their way back; that is what the next try is for.
        """
        self.load.stop()
        known = read(self._journal.path)
        sends = Sends(known)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(CommandFailed, psycopg.OperationalError):
                self.plant.command("load", "load")
                if self.through(sends):
                    break
        return known

    def through(self, sends: Sends) -> bool:
        """Whether all that was taken or rejected is counted, and nothing waits to be."""
        counted = self._counted() >= sends.must_count
        rejected = self.observer.counted_rejections() >= sends.must_reject
        return counted and rejected and not self.observer.waiting()

    def judge(self, known: Known, verdict: Verdict) -> Audit:
        """The auditor's word, the books and a second computation, into ``verdict``."""
        found, wrong = self._looked(known)
        verdict.sent, verdict.acknowledged, verdict.unknown = found.sent, found.taken, found.unknown
        verdict.refused, verdict.rejected, verdict.minted = found.refused, found.rejected, found.minted
        verdict.landed, verdict.duplicates, verdict.copies = found.landed, found.duplicates, found.copies
        verdict.counted = found.counted
        verdict.books = "; ".join(wrong) or "balance"
        verdict.findings += [*found.findings, *(f"the books: {what}" for what in wrong)]
        before = self.observer.checksums()
        self.observer.touch()
        while self.observer.waiting():
            self.plant.command("load", "load")
        after = self.observer.checksums()
        differ = [name for name in before if before[name] != after[name]]
        verdict.checksums = f"differ: {', '.join(differ)}" if differ else "equal"
        if differ:
            verdict.findings.append(f"computed again, {', '.join(differ)} came out otherwise")
        return found

    def _looked(self, known: Known) -> tuple[Audit, list[str]]:
        """The auditor's word, and what of the books is wrong.

        A finding is looked at again: what has no answer may be on its way when all that has one is counted, and
        receipts come some seconds after the events; then all of it must close by itself.
        """
        deadline = time.monotonic() + COMES_LATE
        while True:
            with contextlib.suppress(CommandFailed):  # another may be at work
                self.plant.command("books", "books", "reconcile")
            found = audit(self.events, known, self.observer.seen(), self.gone)
            wrong = said_otherwise(self.observer.books(self.gone), found)
            if not (found.findings or wrong) or time.monotonic() > deadline:
                return found, wrong
            time.sleep(2)
            with contextlib.suppress(CommandFailed):
                self.plant.command("load", "load")

    def _counted(self) -> int:
        return sum(self.observer.counted().values())


def said_otherwise(books: Books, found: Audit) -> list[str]:
    """In words, what the books do not say as the auditor found it, or as the sender was told; and what is out."""
    wrong = list(books.wrong)
    for name, allowed in found.books.items():
        if (said := books.sums[name]) not in allowed:
            wrong.append(f"{name}: {said}, not {_words(allowed)}")
    if books.reasons != found.reasons:
        wrong.append(f"rejected for {dict(books.reasons)}, not for {dict(found.reasons)}")
    return wrong


def _words(allowed: range) -> str:
    return str(allowed[0]) if len(allowed) == 1 else f"{allowed[0]} to {allowed[-1]}"


def catch_up_within(outage: float) -> float:
    """Seconds within which a backlog is counted after an outage of ``outage`` seconds."""
    return max(2 * outage, RECOVERS["pipeline"])


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def not_borne(verdict: Verdict) -> list[str]:
    """What senders saw of a fault of which they must see nothing."""
    if not verdict.unknown and not verdict.refused:
        return []
    return [f"{verdict.unknown} events without an answer, and {verdict.refused} refused"]


def told(fault: Fault, times: Times) -> Verdict:
    """A verdict with what the times say."""
    verdict = Verdict(
        fault.name, fault.kind, times.lasted, red_after=times.red_after, recovered_after=times.recovered_after,
        bound=RECOVERS[fault.kind], caught_up_after=times.caught_up_after,
    )  # fmt: skip
    within = catch_up_within(times.lasted)
    if times.caught_up_after is None or times.caught_up_after > within:
        verdict.findings.append(f"what was taken until then was not counted within {within:g} s")
    if times.recovered_after is None or times.recovered_after > verdict.bound:
        verdict.findings.append(f"not well again within {verdict.bound:g} s")
    if fault.shown and times.lasted > RED_WITHIN and (times.red_after is None or times.red_after > RED_WITHIN):
        verdict.findings.append(f"health did not show it within {RED_WITHIN:g} s")
    return verdict
