"""The storm: random kills of random programs while a million events go through, loads and maintenance included."""

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import psutil

from tests.faults.bout import Bout
from tests.faults.plant import Plant
from tests.faults.verdict import Verdict

VICTIMS = {
    "collector": 5,
    "lander": 5,
    "load": 4,
    "kafka": 3,
    "s3": 2,
    "postgres": 2,
    "spark-connect": 1,
    "maintain": 1,
}
"""Who is killed, and how often among these. A kill may well meet a program that is still on its way up."""
NAME = "storm of random kills"
PAUSE = (1.0, 5.0)
"""Seconds between two kills."""
MAINTAIN_EVERY = 60.0
MOST_SECONDS = 2400.0
"""After so long a storm makes no more kills, and sends no more, however few they were: the verdict then says so."""


class Commands:
    """The pipeline's commands at work again and again, each of which may be killed in the middle."""

    def __init__(self, plant: Plant, *, maintain: bool) -> None:
        self._plant, self._stop = plant, threading.Event()
        self._running: dict[str, psutil.Popen] = {}
        self.begun: Counter[str] = Counter()
        """How often each was begun."""
        self.done: Counter[str] = Counter()
        """How often each ended well."""
        works: list[tuple[str, tuple[str, ...], float]] = [("load", ("load",), 1.0)]
        if maintain:
            works.append(("maintain", ("lake", "maintain"), MAINTAIN_EVERY))
        self._threads = [threading.Thread(target=self._again, args=work, name=work[0]) for work in works]
        for thread in self._threads:
            thread.start()

    def kill(self, room: str) -> bool:
        """Kill the command that is at work in ``room``; False when none is."""
        process = self._running.get(room)
        if process is None or process.poll() is not None:
            return False
        process.kill()
        return True

    def close(self) -> None:
        """Begin no more, and wait for what is at work."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _again(self, room: str, words: tuple[str, ...], every: float) -> None:
        while not self._stop.is_set():
            process = self._plant.begin(room, *words)
            self._running[room] = process
            self.begun[room] += 1
            self.done[room] += process.wait() == 0
            self._stop.wait(every)


@contextlib.contextmanager
def commands(plant: Plant, *, maintain: bool = False) -> Iterator[Commands]:
    """Loads, and maintenance of the lake too, until the block ends."""
    made = Commands(plant, maintain=maintain)
    try:
        yield made
    finally:
        made.close()


def load_of(kills: int, events: int) -> dict[str, float]:
    """Options of a load that sends ``events`` while so many kills are made, though it is held up by them."""
    rate = max(200.0, 1.5 * events / (kills * sum(PAUSE) / 2))
    return {"rate": rate, "batch": 100, "most": events, "pause": 2.0}  # or most would be sent while nobody is there


def storm(bout: Bout, *, kills: int, seconds: float) -> Verdict:
    """Kill ``kills`` times while all its events are sent, unless ``seconds`` are over before; then judge."""
    plant, events = bout.plant, bout.load.most
    chance = random.Random(bout.events.seed)  # noqa: S311 - the storm can be made again
    bout.begin()
    began, made = time.monotonic(), Counter[str]()
    with commands(plant, maintain=True) as running:
        while time.monotonic() - began < seconds and (made.total() < kills or bout.load.sent < events):
            time.sleep(chance.uniform(*PAUSE))
            victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            if made.total() < kills and _kill(plant, running, victim):
                made[victim] += 1
        lasted = time.monotonic() - began
    known = bout.rest(900)
    told = ", ".join(f"{name} {n}" for name, n in made.most_common())
    verdict = Verdict(NAME, "pipeline", round(lasted), bound=900)
    verdict.recovered_after = round(time.monotonic() - began - lasted, 1)
    bout.judge(known, verdict)
    verdict.about = f"{made.total()} kills: {told}; {running.done['load']} loads ended well; " + _maintenance(
        plant, running, verdict
    )
    if made.total() < kills or known.sent < events:
        verdict.findings.append(f"only {made.total()} kills and {known.sent:,} events in {lasted:.0f} s")
    return verdict


def _maintenance(plant: Plant, running: Commands, verdict: Verdict) -> str:
    """What came of maintenance, in words. That it never got through a table, or fails in the calm, is a finding.

    A whole run takes longer than the servers it needs are let live, so what counts is each table's.
    """
    lines = plant.log_of("maintain").read_text().splitlines()
    well, failed = tables_of(lines, "maintained"), tables_of(lines, "maintenance failed")
    tables = {*(contract.table for contract in plant.registry), "quality.collector_receipts", "quality.rejected_events"}
    if never := sorted(tables - set(well)):
        verdict.findings.append(f"never maintained: {', '.join(never)}")
    if code := plant.begin("maintain", "lake", "maintain").wait():
        verdict.findings.append(f"maintenance when all was calm ended with {code}: {plant.log_of('maintain')}")
    return (
        f"{running.begun['maintain']} maintenances begun, {running.done['maintain']} ended well: tables maintained "
        f"{well.total()} times, each {min((well[table] for table in tables), default=0)} times or more, "
        f"and {failed.total()} times not"
    )


def tables_of(lines: Iterable[str], event: str) -> Counter[str]:
    """Of a log, how often it says ``event`` of each table."""
    found: Counter[str] = Counter()
    for line in lines:
        with contextlib.suppress(ValueError):  # not all lines are the log's own
            said = json.loads(line)
            if isinstance(said, dict) and said.get("event") == event:
                found[said["table"]] += 1
    return found


def _kill(plant: Plant, running: Commands, victim: str) -> bool:
    if victim in {"load", "maintain"}:
        return running.kill(victim)
    try:
        plant.kill(victim)
    except ProcessLookupError:
        return False  # the supervisor has not started it again yet
    return True
