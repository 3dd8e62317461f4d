"""``make faults``: faults on a stack of its own, one after another; all is written down.

``python -m tests.faults.run`` brings the stack up on its own ports and ends it again. Results go into
docs/reliability.json after each fault, and from there into docs/reliability.md. Exits 1 when a promise was not kept, or
when a fault that was asked for was not made, but for those that this machine cannot make: these are named, and counted.
"""

import argparse
import contextlib
import os
import platform
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psutil

from stack.lifecycle import Stack, with_needs
from stack.settings import LOCAL, StackSettings
from tests.faults import clocks, disks, page, storm
from tests.faults.bout import Bout, Fault, not_borne, told
from tests.faults.catalogue import OUTAGE, SKEWED, names, singles, wired
from tests.faults.clocks import Clocks, skewed
from tests.faults.commands import loads
from tests.faults.disks import Disks, full
from tests.faults.fitting import Fitting
from tests.faults.pipeline import OF_PIPELINE
from tests.faults.plant import Plant
from tests.faults.trio import Trio, taken_away
from tests.faults.verdict import RESULTS, Verdict, keep
from tests.faults.wiring import Wiring
from tests.ports import FAULTS_OFFSET

PARTS = ("redis", "spark-connect", "collector", "lander")
FEW = ("page_view", "purchase")
"""Types of events for the many faults to which it is all one how many there are: each costs time in every load."""
TIME_OVER = "time was over (--seconds)"
BROKEN_OFF = "what it is a part of broke off before"
SETTLE = 240.0
"""Seconds for what was taken to be counted after a fault, before the auditor says that it is not."""


class Run:
    """One call: what it was told, and what it found so far."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.deadline = time.monotonic() + given.seconds
        self.settings = StackSettings(watershed_state=given.folder, port_offset=given.port_offset)
        self.found: list[Verdict] = []
        self.about = {
            "date": f"{datetime.now(UTC):%F %R} UTC",
            "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GB, "
            f"Python {platform.python_version()}; load average at its beginning {os.getloadavg()[0]:.1f}",
        }

    @property
    def left(self) -> float:
        """Seconds."""
        left: float = self.deadline - time.monotonic()
        return left

    def asked(self, name: str) -> bool:
        """Whether this fault was asked for."""
        return not self.given.only or any(words in name for words in self.given.only)

    def wanted(self, name: str) -> bool:
        """Whether it was, and there is time."""
        return self.left > 0 and self.asked(name)

    def say(self, verdict: Verdict) -> None:
        """Write a verdict down."""
        self.found.append(verdict)
        keep([verdict], self.about, self.given.results)
        page.write()
        words = "; ".join(verdict.findings) or "held"
        sys.stdout.write(f"faults: {verdict.fault}: {words}\n")
        sys.stdout.flush()

    def judged(self, name: str, work: Callable[[], Iterable[Verdict]]) -> None:
        """Write down what ``work`` finds, as it does; where it breaks off, that of ``name``."""
        try:
            for verdict in work():
                self.say(verdict)
        except Exception as error:
            verdict = Verdict(name, "pipeline")
            broke_off(verdict, error)
            self.say(verdict)

    def one(self, plant: Plant, fault: Fault, types: Sequence[str] | None = None) -> None:
        """Make one fault and have it judged; ``types``: of the events, where none were asked for."""
        verdict = Verdict(fault.name, fault.kind)
        try:
            folder = self.given.folder / "journals"
            bout = Bout(plant, folder, random.getrandbits(32), self.given.types or types, **fault.load).begin()
            with loads(plant):
                try:
                    verdict = told(fault, bout.make(fault, patience=3, pipeline=True))
                except Exception as error:  # nothing may be lost by what went wrong, either
                    broke_off(verdict, error)
                known = bout.rest(SETTLE)
            bout.judge(known, verdict)
            if fault.borne:
                verdict.findings += not_borne(verdict)
        except Exception as error:
            broke_off(verdict, error)
        self.say(verdict)


def broke_off(verdict: Verdict, error: Exception) -> None:
    """A finding, and where it comes from."""
    traceback.print_exc()
    verdict.findings.append(f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def up(plant: Plant, parts: Sequence[str] = PARTS) -> Iterator[Plant]:
    """The plant's stack, from empty to running, and down again."""
    stack = plant.stack
    stack.parts = with_needs(stack.all_parts, parts)
    try:
        stack.up(_say)
        yield plant
    finally:
        stack.down(_say)


def of_plant(run: Run) -> None:
    """The storm, while there is most time for it, and single faults, on one plant."""
    faults = [fault for fault in singles() if run.wanted(fault.name)]
    if not faults and not run.wanted(storm.NAME):
        return
    Stack(run.settings).reset(_say)
    with up(Plant(run.settings)) as plant:
        if run.wanted(storm.NAME):
            load = storm.load_of(run.given.kills, run.given.events)
            bout = Bout(plant, run.given.folder / "journals", random.getrandbits(32), run.given.types, **load)
            seconds = min(run.left, storm.MOST_SECONDS)
            run.judged(storm.NAME, lambda: [storm.storm(bout, kills=run.given.kills, seconds=seconds)])
        for fault in faults:
            if run.wanted(fault.name):
                run.one(plant, fault)


def of_fitted(
    run: Run,
    faults: Sequence[Fault],
    fitting: Callable[[], Fitting],
    why_not: str | None = None,
) -> None:
    """Faults of a plant that something is fitted to, unless there is a reason why that cannot be."""
    faults = [fault for fault in faults if run.wanted(fault.name)]
    if not faults or why_not is not None:
        return
    Stack(run.settings).reset(_say)
    with fitting() as fitted, up(Plant(run.settings, fitted)) as plant:
        for fault in faults:
            if run.wanted(fault.name):
                run.one(plant, fault, FEW)


def of_wires(run: Run) -> None:
    """Faults of the network."""
    of_fitted(run, wired(), lambda: Wiring(run.settings))


def of_disks(run: Run) -> None:
    """Full disks."""
    of_fitted(run, full(OUTAGE), lambda: Disks(run.settings), disks.why_not())


def of_clocks(run: Run) -> None:
    """Clocks that differ."""
    of_fitted(run, skewed(SKEWED), lambda: Clocks(run.settings), clocks.why_not())


def cannot() -> dict[str, str]:
    """By name, the faults that this machine cannot make, and why."""
    kinds = ((full(OUTAGE), disks.why_not()), (skewed(SKEWED), clocks.why_not()))
    return {fault.name: why for faults, why in kinds if why is not None for fault in faults}


def ended(asked: Iterable[str], found: Sequence[Verdict], unable: Mapping[str, str], otherwise: str) -> int:
    """Say what of what was ``asked`` for was not made, and how many that are; gives the exit status.

    ``unable`` says why of those that this machine cannot make, which is no failure; ``otherwise`` of any other.
    """
    made = {verdict.fault for verdict in found}
    left = [name for name in asked if name not in made]
    for name in left:
        sys.stdout.write(f"faults: not made: {name}: {unable.get(name, otherwise)}\n")
    missed = sum(name not in unable for name in left)
    broken = sum(not verdict.held for verdict in found)
    sys.stdout.write(
        f"faults: {len(made)} made, {broken} broke a promise; {len(left)} not made: {missed} that could be, "
        f"{len(left) - missed} that this machine cannot make\n"
    )
    return 1 if broken or missed else 0


def of_brokers(run: Run) -> None:
    """Of three brokers some are taken away."""
    of_fitted(run, taken_away(OUTAGE), lambda: Trio(run.settings))


def made(run: Run, faults: Callable[[Run], None]) -> bool:
    """Make a round of faults; whether it came to its end. A plant that does not start, or not stop, costs no other."""
    try:
        faults(run)
    except Exception:
        traceback.print_exc()
        return False
    return True


def main() -> int:
    """Make the faults that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10800, help="begin nothing after so long (default: 10800)")
    parser.add_argument("--kills", type=int, default=200, help="random kills of the storm (default: 200)")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the storm (default: 1000000)")
    parser.add_argument("--only", action="append", metavar="WORDS", help="only faults whose name has these words")
    parser.add_argument(
        "--type", action="append", dest="types", metavar="TYPE", help="send only this type; may be repeated"
    )
    parser.add_argument("--list", action="store_true", help="name the faults, and make none")
    parser.add_argument(
        "--port-offset", type=int, default=FAULTS_OFFSET, help=f"of the stack's ports (default: {FAULTS_OFFSET})"
    )
    parser.add_argument("--folder", type=Path, default=LOCAL / "faults", help="of the stack, and of the journals")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where verdicts are written")
    given = parser.parse_args()
    if given.list:
        unable = cannot()
        sys.stdout.write("".join(f"{name}{_because(unable.get(name))}\n" for name in names()))
        return 0
    given.folder.mkdir(parents=True, exist_ok=True)
    run = Run(given)
    asked = [name for name in names() if run.asked(name)]
    if not asked:
        parser.error("no fault has these words in its name; --list names them")
    rounds: tuple[Callable[[Run], None], ...] = (
        of_brokers,
        of_plant,
        of_wires,
        of_disks,
        of_clocks,
        *(partial(one, up=up) for one in OF_PIPELINE),
    )
    through = [made(run, one) for one in rounds]
    code = ended(asked, run.found, cannot(), BROKEN_OFF if run.left > 0 else TIME_OVER)
    return code if all(through) else 1


def _because(why: str | None) -> str:
    return "" if why is None else f": not made here: {why}"


def _say(part: str, what: str) -> None:
    sys.stdout.write(f"  {part:<22} {what}\n")


if __name__ == "__main__":
    sys.exit(main())
