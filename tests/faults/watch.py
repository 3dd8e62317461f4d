"""Watches the health of processes while a fault is made: when the first was seen red, and when all were green again."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from stack.programs import Program

Check = Callable[[], str | None]
"""Why something does not serve; None when it does."""
EVERY = 0.25
PATIENCE = 5.0
"""Seconds without an answer after which whoever looks takes a check for red: an operator's probe gives up too."""


@dataclass
class Reading:
    """One process's health. ``reason`` is as last answered."""

    reason: str | None = "not looked at yet"
    asked_at: float | None = None
    """Since when an answer is waited for; None: none is."""
    looked_at: float = 0.0
    """When what was last answered had been asked."""
    changes: list[tuple[float, str | None]] = field(default_factory=list)

    @property
    def noted_green(self) -> bool:
        """Whether the last change that was noted is to green: it is noted a little later than it is answered."""
        return bool(self.changes) and self.changes[-1][1] is None

    def now(self) -> str | None:
        """The reason, also when there is no answer."""
        asked_at = self.asked_at
        if asked_at is not None and time.monotonic() - asked_at > PATIENCE:
            return f"no answer within {PATIENCE:g} s"
        return self.reason


class Watch:
    """Checks at work, each in a thread of its own because one may hang, until :meth:`close`."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._readings = {name: Reading() for name in checks}
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(check, self._readings[name]), name=f"watch-{name}", daemon=True)
            for name, check in checks.items()
        ]
        self._judge = threading.Thread(target=self._note, name="watch", daemon=True)
        for thread in (*self._threads, self._judge):
            thread.start()

    @classmethod
    def of(cls, programs: Iterable[Program], names: Collection[str]) -> "Watch":
        """A watch over those of a stack's ``programs``."""
        return cls({program.name: program.not_ready for program in programs if program.name in names})

    def red(self) -> dict[str, str]:
        """What is red now, and why."""
        found = {name: reading.now() for name, reading in self._readings.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    def red_after(self, moment: float) -> float | None:
        """Seconds from ``moment`` until the first was seen red; None: none was."""
        red = [at for r in self._readings.values() for at, reason in r.changes if reason is not None and at >= moment]
        return min(red) - moment if red else None

    def turns_red(self, moment: float, seconds: float) -> bool:
        """Wait until one was seen red after ``moment``, at most so many seconds from then; whether one was."""
        while (red := self.red_after(moment)) is None and time.monotonic() - moment < seconds:
            time.sleep(EVERY)
        return red is not None

    def green_after(self, moment: float, seconds: float) -> float | None:
        """Wait until all are green at once, and were each looked at after ``moment``; None: not within ``seconds``.

        Seconds from ``moment`` until the last of them turned green.
        """
        while time.monotonic() - moment < seconds:
            readings = self._readings.values()
            if not self.red() and all(r.noted_green and r.looked_at > moment for r in readings):
                return max(0.0, max((r.changes[-1][0] for r in readings), default=moment) - moment)
            time.sleep(EVERY)
        return None

    def close(self) -> None:
        """Look no more. A check that hangs is left to its own end."""
        self._stop.set()
        self._judge.join()

    def _look(self, check: Check, reading: Reading) -> None:
        while not self._stop.is_set():
            asked = time.monotonic()
            reading.asked_at = asked
            reading.reason = check()
            reading.looked_at, reading.asked_at = asked, None
            self._stop.wait(EVERY)

    def _note(self) -> None:
        while not self._stop.is_set():
            for reading in self._readings.values():
                reason = reading.now()
                was = reading.changes[-1][1] if reading.changes else None
                if (reason is None) != (was is None) or not reading.changes:
                    reading.changes.append((time.monotonic(), reason))
            self._stop.wait(EVERY / 5)
