"""A collector does not start before its disk has room for its counters.

It would end at once, and whoever starts it again lets ever more time pass between two tries: supervisord a second more
each time, Kubernetes up to five minutes. Waiting, it serves as soon as there is room.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from collector import receipts
from runtime import log

NEEDED = receipts.SIZE + (1 << 20)
"""Bytes: the counters, and the first of all else that a process keeps."""
EVERY = 0.5
"""Seconds between two looks."""
_log = log.get(__name__)


def free(folder: Path) -> int:
    """Bytes that this process may still write to the folder's disk."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


async def wait_for_room(
    folder: Path, free: Callable[[Path], int] = free, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return once the disk of ``folder``, which is made where there is none, has :data:`NEEDED` bytes.

    :raises OSError: there is no such folder, and none can be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = False
    while free(folder) < NEEDED:
        if not said:
            _log.error("the disk is full: the collector starts when there is room", folder=str(folder), needed=NEEDED)
            said = True
        await sleep(EVERY)
    if said:
        _log.info("the disk has room again", folder=str(folder))
