"""OpenLineage's file of events, with a bound: what is appended each minute for months must not fill the disk.

The library's own transport appends to one file for ever. Each event is one write to a file that is opened for it, so
the file can be put aside between any two, by whichever process comes first.
"""

import fcntl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from openlineage.client.transport.file import FileConfig, FileTransport


@dataclass
class BoundedFileConfig(FileConfig):
    """The library's settings, and ``most_bytes``: at this size the file begins anew; the one before it is kept."""

    most_bytes: int = 0

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> Self:
        """From Airflow's ``[openlineage] transport``.

        :raises KeyError: ``most_bytes`` is missing.
        """
        return cls(log_file_path=params["log_file_path"], append=True, most_bytes=params["most_bytes"])


class BoundedFile(FileTransport):
    """Appends each event as one line of JSON."""

    kind = "bounded_file"
    config_class = BoundedFileConfig

    def emit(self, event: Any) -> None:
        """Append the event.

        :raises RuntimeError: the file cannot be written.
        """
        path = Path(self.config.log_file_path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            put_aside(path, self.config.most_bytes)
        except OSError as error:
            raise RuntimeError(f"{path}: {error}") from error
        super().emit(event)


def put_aside(path: Path, most_bytes: int) -> None:
    """Rename ``path`` to ``<name>.1`` when it has grown to ``most_bytes``, in place of the one put aside before it.

    Of several processes that find it full at once only one does it: the others then find a new file.
    """
    if not _full(path, most_bytes):
        return
    with path.with_name(f".{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _full(path, most_bytes):
            path.replace(path.with_name(f"{path.name}.1"))


def _full(path: Path, most_bytes: int) -> bool:
    try:
        return path.stat().st_size >= most_bytes
    except FileNotFoundError:
        return False
