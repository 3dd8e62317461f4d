"""Brings parts up in dependency order, as much at once as the order allows, and says what each is waiting for."""

import graphlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from stack.programs import Part, Program, StackError
from stack.supervise import Supervisor

POLL_SECONDS = 0.25
FAILED_STARTS = 3
"""A program that died this often while it was waited for will not come up by itself."""
DOWN_STATES = {"BACKOFF", "EXITED", "FATAL"}

Progress = Callable[[str, str], None]
"""Told (part, what happened)."""


def in_order(parts: Sequence[Part]) -> list[Part]:
    """``parts`` so that each comes after what it needs.

    :raises StackError: when a part needs one that is not there, or they need each other.
    """
    by_name = {part.name: part for part in parts}
    for part in parts:
        if missing := set(part.needs) - set(by_name):
            raise StackError(f"{part.name} needs {', '.join(sorted(missing))}, which this stack does not have")
    try:
        order = graphlib.TopologicalSorter({part.name: part.needs for part in parts}).static_order()
        return [by_name[name] for name in order]
    except graphlib.CycleError as error:
        raise StackError(f"the parts need each other: {error.args[1]}") from error


def bring_up(parts: Sequence[Part], supervisor: Supervisor, ready_seconds: float, say: Progress) -> None:
    """Start every part once what it needs is ready; return when all are.

    :raises StackError: the first failure, after the parts already being started have settled.
    """
    by_name = {part.name: part for part in parts}
    cancelled = threading.Event()
    _each(
        {part.name: part.needs for part in parts},
        lambda name: _one(by_name[name], supervisor, ready_seconds, say, cancelled),
        cancelled,
    )


def take_down(parts: Sequence[Part], supervisor: Supervisor, say: Progress) -> None:
    """Stop every program once all that need it have stopped, as much at once as that allows.

    A program that does not stop by itself is killed after its ``stop_seconds``: it takes no longer than the longest
    chain of programs that need each other.
    """
    needed_by: dict[str, list[str]] = {part.name: [] for part in parts}
    for part in parts:
        for need in part.needs:
            needed_by[need].append(part.name)
    programs = {part.name for part in parts if isinstance(part, Program)}

    def stop(name: str) -> None:
        start = time.monotonic()
        if name in programs and supervisor.stop_program(name):
            say(name, f"stopped ({time.monotonic() - start:.1f} s)")

    _each(needed_by, stop, threading.Event())


def _each(after: Mapping[str, Iterable[str]], do: Callable[[str], None], cancelled: threading.Event) -> None:
    """``do`` each name once all those it comes ``after`` are done; sets ``cancelled`` at the first failure.

    :raises BaseException: the first failure, when what was being done has ended.
    """
    sorter = graphlib.TopologicalSorter(after)
    sorter.prepare()
    running: dict[Future[None], str] = {}
    failure: BaseException | None = None
    with ThreadPoolExecutor(max_workers=len(after) or 1, thread_name_prefix="stack") as pool:
        try:
            while sorter.is_active() and failure is None:
                for name in sorter.get_ready():
                    running[pool.submit(do, name)] = name
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    failure = failure or future.exception()
                    sorter.done(running.pop(future))
        finally:
            # After a failure, or Ctrl-C, nobody waits for the others any more.
            cancelled.set()
    if failure is not None:
        raise failure


def _one(part: Part, supervisor: Supervisor, ready_seconds: float, say: Progress, cancelled: threading.Event) -> None:
    start = time.monotonic()
    if not isinstance(part, Program):
        part.do()
        say(part.name, f"done ({time.monotonic() - start:.1f} s)")
        return
    if supervisor.info()[part.name]["statename"] not in {"STARTING", "RUNNING"}:
        part.prepare()
        if cancelled.is_set():
            return
        supervisor.start_program(part.name)
    deaths, was_down = 0, False
    while (reason := part.not_ready()) is not None:
        state = supervisor.info()[part.name]
        is_down = state["statename"] in DOWN_STATES
        deaths, was_down = deaths + (is_down and not was_down), is_down
        if deaths >= FAILED_STARTS or state["statename"] == "FATAL":
            raise StackError(
                f"{part.name} does not stay up ({state['spawnerr'] or reason}): see {state['stdout_logfile']}"
            )
        if time.monotonic() - start > ready_seconds:
            raise StackError(
                f"{part.name} is not ready after {ready_seconds:.0f} s ({reason}): see {state['stdout_logfile']}"
            )
        if cancelled.wait(POLL_SECONDS):
            return
    say(part.name, f"ready ({time.monotonic() - start:.1f} s)")
