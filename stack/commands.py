"""``watershed stack …``: what ``make up``, ``down``, ``status`` and ``reset`` call."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from runtime.settings import SettingsError
from stack import airflow as airflow_parts
from stack import remembered
from stack.lifecycle import Stack
from stack.programs import StackError

app = typer.Typer(help="The native local stack: real servers as plain processes.", no_args_is_help=True)
console = Console(highlight=False)

Only = Annotated[list[str] | None, typer.Option(help="Only this part and what it needs (repeatable).")]


def _stack(only: list[str] | None = None) -> Stack:
    try:
        return Stack(remembered.recall(), only)
    except (StackError, SettingsError, ValueError) as error:
        raise _failed(error) from error


def _failed(error: Exception) -> typer.Exit:
    sys.stderr.write(f"stack: {error}\n")
    return typer.Exit(1)


@contextmanager
def _failures(way_out: str) -> Iterator[None]:
    """What can go wrong is one line; so is Ctrl-C, or SIGTERM, with the way out of where it leaves the stack."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except StackError as error:
        raise _failed(error) from error
    except KeyboardInterrupt as error:
        sys.stderr.write(f"stack: interrupted: {way_out}\n")
        raise typer.Exit(130) from error


def _say(part: str, what: str) -> None:
    console.print(f"  {part:<22} {what}", soft_wrap=True)


@app.command()
def up(only: Only = None) -> None:
    """Start every server in order and wait until each is ready."""
    start = time.monotonic()
    stack = _stack(only)
    with _failures("what has started keeps running; `make up` starts the rest, `make down` stops it"):
        stack.up(_say)
    console.print(
        f"up in {time.monotonic() - start:.0f} s; endpoints and log-ins: {stack.settings.watershed_state / 'env'}",
        soft_wrap=True,
    )


@app.command()
def down() -> None:
    """Stop every process; the data stays."""
    start = time.monotonic()
    with _failures("what has not stopped keeps running; `make down` stops it"):
        ran = _stack().down(_say)
    console.print(f"down in {time.monotonic() - start:.0f} s; the data stays" if ran else "nothing was running")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Show each process: state, memory, whether it is ready and, if not, why. Exits 1 unless all are."""
    stack = _stack()
    rows = stack.status()
    if as_json:
        sys.stdout.write(json.dumps({"programs": [asdict(row) for row in rows]}) + "\n")
    elif not rows:
        console.print("down: `make up` starts it")
    else:
        table = Table("process", "state", "pid", "up (s)", "MiB", "ready")
        for row in rows:
            ready = "yes" if row.reason is None else f"no: {row.reason}"
            table.add_row(row.name, row.state, str(row.pid), str(row.seconds_up), f"{row.resident_mb:.0f}", ready)
        for column in table.columns[:-1]:
            column.no_wrap = True
        console.print(table)
        console.print(
            f"{sum(row.resident_mb for row in rows):.0f} MiB in all; logs: {stack.settings.logs}/<process>.log",
            soft_wrap=True,
        )
    if not rows or any(row.reason for row in rows):
        raise typer.Exit(1)


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Really delete; without it, only say what would go.")] = False,
) -> None:
    """Stop everything and delete all data, logs and secrets of the stack."""
    stack = _stack()
    if not yes:
        for path in stack.doomed():
            console.print(f"  would delete {path}", soft_wrap=True)
        console.print("nothing was deleted: `make reset YES=1` does it")
        return
    with _failures("`make reset YES=1` goes on"):
        stack.reset(_say)


@app.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
def airflow(
    words: Annotated[list[str] | None, typer.Argument(help="As Airflow takes them; none: its own help.")] = None,
) -> None:
    """Airflow's own commands, on the stack's Airflow: `watershed stack airflow backfill create --help`."""
    stack = _stack()
    argv, environment = airflow_parts.command_line(stack.settings, stack.secrets, words or ["--help"])
    os.execve(argv[0], argv, {**os.environ, **environment})  # noqa: S606 - no shell, and its exit code is ours
