"""The order in which the stack comes up, and what it says when a part does not."""

import _thread
import threading
import time
from collections.abc import Callable

import pytest

from stack.graph import bring_up, in_order, take_down
from stack.programs import Program, StackError, Step


class RecordingSupervisor:
    """Stands in for supervisord: a started program is RUNNING, or what ``states`` says next."""

    def __init__(self, states: dict[str, list[str]] | None = None) -> None:
        self.started: list[str] = []
        self._states = states or {}

    def info(self) -> dict[str, dict[str, str]]:
        names = set(self.started) | set(self._states) | {"a", "b", "c"}
        return {
            name: {"statename": self._state(name), "spawnerr": "", "stdout_logfile": f"{name}.log"} for name in names
        }

    def _state(self, name: str) -> str:
        if name not in self.started:
            return "STOPPED"
        script = self._states.get(name, [])
        return script.pop(0) if len(script) > 1 else (script[0] if script else "RUNNING")

    def start_program(self, name: str) -> None:
        self.started.append(name)


def program(name: str, not_ready: Callable[[], str | None] = lambda: None, needs: tuple[str, ...] = ()) -> Program:
    return Program(name=name, argv=["true"], not_ready=not_ready, needs=needs)


def silent(_part: str, _what: str) -> None:
    pass


def test_a_part_comes_after_what_it_needs() -> None:
    parts = [program("c", needs=("b",)), program("b", needs=("a",)), program("a")]
    assert [part.name for part in in_order(parts)] == ["a", "b", "c"]


def test_a_missing_need_is_named() -> None:
    with pytest.raises(StackError, match="b needs z"):
        in_order([program("b", needs=("z",))])


def test_parts_that_need_each_other_are_refused() -> None:
    with pytest.raises(StackError, match="need each other"):
        in_order([program("a", needs=("b",)), program("b", needs=("a",))])


def test_a_part_starts_only_when_what_it_needs_is_ready() -> None:
    supervisor = RecordingSupervisor()
    answers = iter(["still loading", "still loading", None])
    seen: list[list[str]] = []

    def slow() -> str | None:
        seen.append(list(supervisor.started))
        return next(answers)

    bring_up([program("a", slow), program("b", needs=("a",))], supervisor, 10, silent)  # type: ignore[arg-type]
    assert supervisor.started == ["a", "b"]
    assert all("b" not in started for started in seen)


def test_a_step_runs_before_the_parts_that_need_it() -> None:
    supervisor = RecordingSupervisor()
    order: list[str] = []
    step = Step("schema", lambda: order.append(f"schema after {supervisor.started}"), needs=("a",))
    bring_up([program("a"), step, program("b", needs=("schema",))], supervisor, 10, silent)  # type: ignore[arg-type]
    assert order == ["schema after ['a']"]


def test_a_part_that_is_never_ready_is_named_with_its_reason_and_log() -> None:
    with pytest.raises(StackError, match=r"a is not ready after .*port closed.*a\.log"):
        bring_up([program("a", lambda: "port closed")], RecordingSupervisor(), 0.3, silent)  # type: ignore[arg-type]


def test_a_part_that_keeps_dying_fails_at_once_and_not_after_the_whole_wait() -> None:
    script = ["BACKOFF", "STARTING", "BACKOFF", "STARTING", "BACKOFF"]
    finished = threading.Event()
    with pytest.raises(StackError, match="does not stay up"):
        bring_up([program("a", lambda: "no")], RecordingSupervisor({"a": script}), 60, silent)  # type: ignore[arg-type]
    finished.set()


def test_a_failed_step_stops_what_would_have_come_after() -> None:
    supervisor = RecordingSupervisor()

    def fail() -> None:
        raise StackError("no room")

    with pytest.raises(StackError, match="no room"):
        bring_up([Step("s", fail), program("b", needs=("s",))], supervisor, 10, silent)  # type: ignore[arg-type]
    assert supervisor.started == []


class StoppingSupervisor:
    """Stands in for supervisord: every program runs; ``stopped`` is the order in which they stopped."""

    def __init__(self, together: threading.Barrier | None = None) -> None:
        self.stopped: list[str] = []
        self._together = together

    def stop_program(self, name: str) -> bool:
        if self._together is not None:
            self._together.wait(timeout=5)
        self.stopped.append(name)
        return True


def test_a_program_stops_after_all_that_need_it_also_through_a_step() -> None:
    supervisor = StoppingSupervisor()
    parts = [
        program("a"),
        Step("s", lambda: None, needs=("a",)),
        program("b", needs=("s",)),
        program("c", needs=("b",)),
    ]
    take_down(parts, supervisor, silent)  # type: ignore[arg-type]
    assert supervisor.stopped == ["c", "b", "a"]


def test_programs_that_do_not_need_each_other_stop_at_the_same_time() -> None:
    supervisor = StoppingSupervisor(together=threading.Barrier(3))
    take_down([program("a"), program("b"), program("c")], supervisor, silent)  # type: ignore[arg-type]
    assert sorted(supervisor.stopped) == ["a", "b", "c"]


def test_a_program_is_not_started_any_more_after_ctrl_c() -> None:
    supervisor = RecordingSupervisor()
    preparing = threading.Event()

    def prepare() -> None:
        preparing.set()
        # Ctrl-C arrives in the main thread, which is waiting, while this one is at work.
        _thread.interrupt_main()
        time.sleep(0.2)

    part = Program(name="a", argv=["true"], not_ready=lambda: None, prepare=prepare)
    with pytest.raises(KeyboardInterrupt):
        bring_up([part], supervisor, 10, silent)  # type: ignore[arg-type]
    assert preparing.is_set()
    assert supervisor.started == []
