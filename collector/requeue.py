"""Looking at the spool from outside the collector, and putting back what was set aside."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.dead_letter import DeadLetters, durable_write
from collector.message import encode
from collector.spool import SpoolFolder
from collector.spool_read import SEGMENT, survey


def status(state: Path) -> dict[str, Any]:
    """The spool's folders (name, owner alive or not, records waiting, bytes) and the messages set aside."""
    folders = []
    for path in sorted((state / "spool").glob("[0-9]*")):
        end, _ = survey(path)
        cursor = _cursor(path)
        size = sum(segment.stat().st_size for segment in path.glob(f"*{SEGMENT}"))
        folders.append(
            {"name": path.name, "owner": _owner(path), "waiting": max(0, end - cursor) if size else 0, "bytes": size}
        )
    letters = DeadLetters.of(state)
    dead = []
    for path in letters.files():
        message, error = letters.read(path)
        dead.append({"name": path.name, "topic": message.topic, "sequence": message.sequence, "error": error})
    return {"folders": folders, "dead_letters": dead}


def requeue(state: Path, letters: DeadLetters, paths: Sequence[Path], now_us: int) -> int:
    """Make a spool folder of these dead letters, then delete them; gives how many.

    The folder appears complete, under a name that every collector on this state folder looks for. A crash in between
    leaves both: the messages then go out twice, with the same (collector_id, sequence).

    :raises DeadLetterDamaged: one of them cannot be read; nothing was changed.
    """
    messages = sorted((letters.read(path)[0] for path in paths), key=lambda m: (m.received_us, m.sequence))
    if not messages:
        return 0
    name = f"{now_us}-requeue{secrets.token_hex(4)}"
    draft = state / "spool" / f".{name}"
    draft.mkdir(parents=True)
    durable_write(draft / f"{0:020d}{SEGMENT}", b"".join(map(encode, messages)))
    draft.rename(draft.with_name(name))
    directory = os.open(draft.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    for path in paths:
        path.unlink()
    return len(messages)


def _owner(path: Path) -> str:
    folder = SpoolFolder.lock(path)
    if folder is None:
        return "running"
    folder.close(remove=False)
    return "dead"


def _cursor(path: Path) -> int:
    try:
        return int((path / "cursor").read_text())
    except (FileNotFoundError, ValueError):
        return 0
