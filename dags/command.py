"""Runs the ``watershed`` command for a task: its words go to the log, its last line, a JSON object, is the result.

Knows nothing of Airflow, except what of the environment is Airflow's own and not the command's.
"""

import json
import logging
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

USAGE_ERROR = 2
"""Code with which the command ends when it was called wrongly."""
STOP_SECONDS = 20
"""How long a command may take to stop when its task is stopped."""

log = logging.getLogger("watershed")


class CommandFailed(Exception):
    """The command ended with an error; another try may help. ``result`` is what it did all the same, if it says.

    ``code`` is the one it ended with.
    """

    def __init__(self, message: str, result: dict[str, Any] | None, code: int) -> None:
        super().__init__(message)
        self.result = result
        self.code = code


class CommandMisused(Exception):
    """The command was called wrongly or does not keep what it promised: another try would end the same."""


def environment(environ: Mapping[str, str], room: str) -> dict[str, str]:
    """What of ``environ`` a command of ``room`` is given.

    Not what is Airflow's own: a command needs neither its database nor its keys nor its imports. Nor what is another
    room's: a value called ``ROOM__<ROOM>__<NAME>`` goes to that room only, as ``<NAME>``. With it the width of a line
    in the log, so that a table is not broken at eighty characters.
    """
    own = ("AIRFLOW", "_AIRFLOW", "PYTHONPATH")
    rest = {name: value for name, value in environ.items() if not name.startswith(own)}
    given: dict[str, str] = {}
    for name in [name for name in rest if name.startswith("ROOM__")]:
        _, owner, plain = name.split("__", 2)
        value = rest.pop(name)
        rest.pop(plain, None)
        if owner == room.upper():
            given[plain] = value
    return {"COLUMNS": "160", **rest, **given}


def say(line: str) -> None:
    """Log a line of a command's standard error; a structured one at its own level and in words."""
    try:
        entry = json.loads(line)
        level = logging.getLevelNamesMapping()[entry.pop("level").upper()]
        event = entry.pop("event")
    except (ValueError, KeyError, AttributeError, TypeError):
        log.info("%s", line)
        return
    known = {"timestamp", "service", "logger"}
    rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in known)
    log.log(level, "%s", f"{event} {rest}".rstrip())


def _say_all(lines: IO[str]) -> None:
    for line in lines:
        say(line.rstrip())


def run(arguments: Sequence[str], room: str) -> dict[str, Any]:
    """Run ``watershed`` (the executable that ``WATERSHED_BIN`` names) with ``arguments``; give its last line.

    ``room`` is the one whose command it is and whose credentials it gets.

    :raises CommandFailed: when it ends with an error.
    :raises CommandMisused: when the arguments are wrong, or the last line is no JSON object.
    """
    shown = f"`watershed {' '.join(arguments)}`"
    process = subprocess.Popen(
        [os.environ["WATERSHED_BIN"], *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment(os.environ, room),
    )
    errors = threading.Thread(target=_say_all, args=(process.stderr,), daemon=True)
    errors.start()
    last = ""
    try:
        for line in process.stdout or ():
            if last:
                log.info("%s", last)
            last = line.rstrip()
        code = process.wait()
    finally:
        # A timeout or a kill arrives as an exception in the loop above: the command must not outlive its task.
        _stop(process)
        errors.join(timeout=5)
    try:
        parsed = json.loads(last)
    except ValueError:
        parsed = None
    result: dict[str, Any] | None = parsed if isinstance(parsed, dict) else None
    if last and (code or result is None):
        log.log(logging.ERROR if code else logging.INFO, "%s", last)
    if code == USAGE_ERROR:
        raise CommandMisused(f"{shown} was called wrongly, see above")
    if code:
        raise CommandFailed(f"{shown} ended with code {code}, see above", result, code)
    if result is None:
        raise CommandMisused(f"{shown} ended with no JSON object but with {last!r}")
    return result


def _stop(process: "subprocess.Popen[str]") -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
