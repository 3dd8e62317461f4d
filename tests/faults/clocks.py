"""Faults of the clock: that of one of our processes is set an hour ahead, or back, while it works, and set right again.

libfaketime stands between a process and the clock, for librdkafka too; the clock that only counts on stays as it is.
It reads from a file what to add, each time it is asked, so that a clock jumps under whoever looks at it. One way to
wait that it does not know is compiled from cnd_timedwait.c.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import psutil

from stack.programs import Program
from stack.settings import StackSettings
from tests.faults.bout import End, Fault
from tests.faults.fitting import Fitting
from tests.faults.plant import Plant

ROOMS = ("collector", "lander", "load")
SKEW = timedelta(hours=1)
COMPILER = "cc"
WAITS = Path(__file__).parent / "cnd_timedwait.c"
PAST = timedelta(hours=3)
"""How long ago the events occurred that are sent meanwhile: to a clock that is behind, those of now are of the future,
which are refused (docs/collector.md)."""


def why_not() -> str | None:
    """Why no clock can be set on this machine; None: it can."""
    if library() is None:
        return "libfaketime is not here (`make setup-dev` installs it where there is a wheel)"
    return None if shutil.which(COMPILER) else f"`{COMPILER}`, a compiler of C, is not here"


class Clocks(Fitting):
    """A file a room that says what is added to its clock; for machines where :func:`why_not` has nothing to say."""

    def __init__(self, settings: StackSettings) -> None:
        self._files = {room: settings.watershed_state / "clocks" / room for room in ROOMS}
        for room, path in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            self.set(room, timedelta())
        waits = settings.watershed_state / "clocks" / "cnd_timedwait.so"
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", waits, WAITS], check=True, capture_output=True)
        self._preload = f"{waits} {library()}"

    def program(self, program: Program) -> Program:
        """The program, asking its file."""
        return replace(program, env={**program.env, **self._env(program.name)})

    def own(self, room: str, values: Mapping[str, str]) -> dict[str, str]:
        """``values``, and for a command that has one, its file."""
        return {**values, **self._env(room)}

    def set(self, room: str, ahead: timedelta) -> None:
        """Set a clock, from now on."""
        draft = self._files[room].with_suffix(".new")
        draft.write_text(f"{ahead.total_seconds():+.0f}\n")
        draft.replace(self._files[room])

    def _env(self, room: str) -> dict[str, str]:
        if room not in self._files:
            return {}
        return {
            "LD_PRELOAD": self._preload,
            "FAKETIME_TIMESTAMP_FILE": str(self._files[room]),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


def library() -> Path | None:
    """libfaketime, from its wheel."""
    spec = find_spec("libfaketime")  # found, not imported: importing it changes this process
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return path if path.exists() else None


def skewed(seconds: float) -> list[Fault]:
    """Every room's clock, ahead and behind."""
    return [_skewed(room, ahead, seconds) for room in ROOMS for ahead in (SKEW, -SKEW)]


def _skewed(room: str, ahead: timedelta, seconds: float) -> Fault:
    def make(plant: Plant) -> End:
        clocks = plant.fitting
        assert isinstance(clocks, Clocks), "this plant's clocks are all the same"
        if room in {program.name for program in plant.programs}:
            maps = psutil.Process(plant.pid(room)).memory_maps()
            assert any("libfaketime" in found.path for found in maps), f"{room} asks the clock itself"
        clocks.set(room, ahead)
        return lambda: clocks.set(room, timedelta())

    which = "ahead" if ahead > timedelta() else "behind"
    watched = (room,) if room != "load" else ()
    name = f"{room}: clock {SKEW.seconds // 3600} h {which}"
    return Fault(name, "pipeline", make, watched, seconds, shown=False, load={"past": PAST})
