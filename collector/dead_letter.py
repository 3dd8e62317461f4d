"""Messages of the spool that Kafka never takes: one file each, kept until an operator decides."""

import base64
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from collector.message import Message

SUFFIX = ".json"
BYTES = ".bin"
"""Of a file with bytes of a damaged segment: no message, so nothing sends it again."""


class DeadLetterDamaged(Exception):
    """A file of the folder is not one this module wrote."""


@dataclass(frozen=True)
class DeadLetters:
    """The folder. Its files are JSON: the message, Kafka's reason, and when it was set aside."""

    folder: Path

    @classmethod
    def of(cls, state: Path) -> Self:
        """Those of a collector's state folder."""
        return cls(state / "dead-letter")

    def put(self, message: Message, error: str, at: float) -> Path:
        """Keep a message durably; ``at`` in seconds since 1970. Blocks for the disk.

        :raises OSError: the disk does not take it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{message.collector_id}-{message.sequence:020d}{SUFFIX}"
        letter = {
            "topic": message.topic,
            "key": None if message.key is None else base64.b64encode(message.key).decode(),
            "value": base64.b64encode(message.value).decode(),
            "received_us": message.received_us,
            "collector_id": message.collector_id,
            "sequence": message.sequence,
            "error": error,
            "set_aside_at": datetime.fromtimestamp(at, UTC).isoformat(),
        }
        durable_write(path, json.dumps(letter, indent=1).encode())
        return path

    def keep_bytes(self, name: str, data: bytes) -> Path:
        """Keep bytes of a damaged segment durably. Blocks for the disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}{BYTES}"
        durable_write(path, data)
        return path

    def files(self) -> list[Path]:
        """The messages set aside, oldest name first."""
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def damaged(self) -> list[Path]:
        """The damaged segments that :meth:`keep_bytes` kept, by name."""
        return sorted(self.folder.glob(f"*{BYTES}"))

    def read(self, path: Path) -> tuple[Message, str]:
        """The message of a file, and why it was set aside.

        :raises DeadLetterDamaged: it cannot be read as one.
        """
        try:
            letter = json.loads(path.read_bytes())
            key = letter["key"]
            message = Message(
                letter["topic"],
                None if key is None else base64.b64decode(key),
                base64.b64decode(letter["value"]),
                int(letter["received_us"]),
                letter["collector_id"],
                int(letter["sequence"]),
            )
            return message, letter["error"]
        except (ValueError, KeyError, TypeError) as error:
            raise DeadLetterDamaged(f"{path}: {error}") from error


def durable_write(path: Path, data: bytes) -> None:
    """Replace ``path`` by ``data`` so that it is there after a crash: the file synced, then its folder."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
