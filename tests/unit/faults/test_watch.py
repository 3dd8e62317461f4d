"""A process that says nothing is as red as one that says why."""

import threading
import time

import pytest

from tests.faults import watch
from tests.faults.watch import Reading, Watch


def test_red_and_green_are_told_from_the_moment_of_the_fault() -> None:
    health: dict[str, str | None] = {"a": None, "b": None}
    watching = Watch({name: lambda name=name: health[name] for name in health})  # type: ignore[misc]
    try:
        assert watching.green_after(time.monotonic(), 30) is not None
        fault = time.monotonic()
        assert not watching.turns_red(fault, 0.1)
        health["b"] = "is away"
        assert watching.turns_red(fault, 30)
        assert watching.red() == {"b": "is away"}
        assert watching.green_after(fault, 1) is None
        assert watching.red_after(fault) is not None
        over = time.monotonic()
        health["b"] = None
        assert watching.green_after(over, 30) is not None
    finally:
        watching.close()


def test_green_is_told_from_when_it_turned_green_and_not_from_when_it_was_red() -> None:
    """Who looks just between the answer and its note would take the moment of red for it."""

    class Unnoted(Watch):
        def _note(self) -> None:
            pass

    watching = Unnoted({})
    over = time.monotonic()
    reading = Reading(reason=None, looked_at=over + 1, changes=[(over, "is away")])
    watching._readings["a"] = reading
    try:
        assert watching.green_after(over, 0.1) is None
        reading.changes.append((over + 0.5, None))
        assert watching.green_after(over, 30) == pytest.approx(0.5)
    finally:
        watching.close()


def test_a_check_that_hangs_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.2)
    going = threading.Event()
    going.set()

    def check() -> str | None:
        going.wait(60)
        return None

    watching = Watch({"a": check})
    try:
        assert watching.green_after(time.monotonic(), 30) is not None
        going.clear()
        _until(lambda: "no answer" in watching.red().get("a", ""))
        going.set()
        assert watching.green_after(time.monotonic(), 30) is not None
    finally:
        going.set()
        watching.close()


def _until(happened: object) -> None:
    deadline = time.monotonic() + 30
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
