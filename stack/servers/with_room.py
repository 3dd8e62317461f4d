"""Starts a server once its disk has room: ``python -m stack.servers.with_room FOLDER MEGABYTES PROGRAM [WORD …]``.

A broker stops when its disk is full, and the supervisor starts it again. Kafka (4.3.1) that starts on a full disk takes
its own logs for corrupt, the cluster's metadata first, and makes empty ones in their place; then it finds the topics'
logs to be strays. So it is not started before there is room. The process that waits becomes the server.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

EVERY = 1.0
"""Seconds between two looks."""


def argv(folder: Path, megabytes: int, program: Sequence[str | Path]) -> list[str | Path]:
    """What to start instead of ``program``."""
    return [sys.executable, "-m", "stack.servers.with_room", folder, str(megabytes), *program]


def wait_for_room(
    folder: Path, megabytes: int, free: Callable[[Path], int], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Return once ``folder``'s disk has so much room; ``free`` gives its bytes."""
    said = False
    while free(folder) < megabytes << 20:
        if not said:
            sys.stderr.write(
                f"less than {megabytes} MiB are free at {folder}: the server is not started until they are\n"
            )
            said = True
        sleep(EVERY)


def main() -> None:
    """Wait, then be the server."""
    folder, megabytes, *program = sys.argv[1:]
    wait_for_room(Path(folder), int(megabytes), lambda path: shutil.disk_usage(path).free)
    os.execvp(program[0], program)  # noqa: S606 - the same words, without a shell


if __name__ == "__main__":
    main()
