"""The end of erasures: older snapshots, the files that only they knew, and files that no snapshot ever knew.

A file that somebody forgotten is in and that no snapshot names can be deleted at any age. It was replaced; or it is of
a lander that did not know of the erasure, whose commit the table refuses for ever; and no compaction is at work,
because the lock of the lake's maintenance is held here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileType
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from collector import suppressed
from collector.lake import open_catalog
from collector.land_expire import expire
from collector.land_quality import REJECTED_EVENTS
from collector.redact import is_redacted, words
from collector.suppressed import Suppressed
from contracts.model import Contract
from contracts.registry import Registry
from erasure.rewrite import KeepsChanging
from erasure.settings import EraseSettings
from warehouse import erasures
from warehouse.load_state import SESSION

_ATTEMPTS = 10
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass
class Swept:
    """``oldest``: when the first of the snapshots that are left, of any table, was replaced."""

    snapshots: int = 0
    files: int = 0
    oldest: datetime = _NEVER


@dataclass
class Finished:
    """``files``: objects deleted that had somebody in them. ``left``: erasures that older snapshots still wait for."""

    snapshots: int = 0
    files: int = 0
    gone: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    again_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        return {**vars(self), "again_at": self.again_at.isoformat() if self.again_at else None}


def finish(settings: EraseSettings, registry: Registry, keep: timedelta | None = None) -> Finished:
    """Expire what readers no longer need (replaced longer than ``keep`` ago), and delete what only that needed.

    :raises ErasureAtWork: another erasure or a maintenance of the lake is at work.
    :raises KeepsChanging: others kept changing a table; ask again.
    """
    catalog = open_catalog(settings)
    kept = timedelta(hours=settings.land_keep_hours) if keep is None else keep
    with (
        psycopg.connect(settings.eraser_dsn, autocommit=True, options=SESSION) as connection,
        erasures.alone(connection),
    ):
        swept = sweep(catalog, registry, suppressed.read(catalog, settings.key, 0), datetime.now(UTC) - kept)
        gone = [str(one.erasure_id) for one in erasures.gone(connection, swept.oldest)]
        left = [str(one.erasure_id) for one in erasures.erasures(connection, unfinished=True)]
    again_at = swept.oldest + kept if left and _EVER < swept.oldest < _NEVER else None
    return Finished(swept.snapshots, swept.files, gone, left, again_at)


def sweep(catalog: SqlCatalog, registry: Iterable[Contract], who: Suppressed, keep_from: datetime) -> Swept:
    """The same for the tables of the lake: of snapshots, those that others had replaced before ``keep_from``.

    :raises KeepsChanging: see :func:`finish`.
    """
    done = Swept()
    tables: dict[str, Contract | None] = {c.table: c for c in registry if c.subjects}
    for identifier, contract in {**tables, REJECTED_EVENTS.identifier: None}.items():
        try:
            expired, table = _expired(catalog, identifier, keep_from)
        except NoSuchTableError:
            continue
        done.snapshots += expired
        done.files += _sweep(catalog, table, contract, who)
        done.oldest = min(done.oldest, _oldest_replacement(catalog.load_table(identifier)))
    return done


def _expired(catalog: SqlCatalog, identifier: str, keep_from: datetime) -> tuple[int, Table]:
    for _ in range(_ATTEMPTS):
        try:
            expired = expire(catalog.load_table(identifier), keep_from)
        except CommitFailedException:
            continue
        return expired, catalog.load_table(identifier)
    raise KeepsChanging(f"{identifier}: others kept changing the table; ask again")


def _oldest_replacement(table: Table) -> datetime:
    """When the first of the snapshots that are left was replaced by its child; never: there is but the newest."""
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()} - {table.metadata.current_snapshot_id}
    if heads:  # somebody gave an old snapshot a name: it will not go
        return _EVER
    snapshots = table.metadata.snapshots
    replaced = [s.timestamp_ms for s in snapshots if any(o.snapshot_id == s.parent_snapshot_id for o in snapshots)]
    return datetime.fromtimestamp(min(replaced) / 1000, UTC) if replaced else _NEVER


def _sweep(catalog: SqlCatalog, table: Table, contract: Contract | None, who: Suppressed) -> int:
    """Delete the objects of the table that no snapshot names and somebody who was forgotten is in; gives how many."""
    io = table.io
    if not isinstance(io, PyArrowFileIO):
        raise TypeError(f"{table.name()}: no file system to list it by")
    folder = f"{table.location()}/data"
    scheme, netloc, place = io.parse_location(folder)
    prefix = folder.removesuffix(place)
    system = io.fs_by_scheme(scheme, netloc)
    listed = system.get_file_info(FileSelector(place, allow_not_found=True, recursive=True))
    there = {info.path for info in listed if info.type == FileType.File and info.path.endswith(".parquet")}
    # Listed first: what is committed in between is named by then.
    named = {path.removeprefix(prefix) for path in _named(catalog.load_table(table.name()))}
    deleted = 0
    for path in sorted(there - named):
        with system.open_input_file(path) as source:
            found = _is_in(pq.ParquetFile(source), contract, who)
        if found:
            system.delete_file(path)
            deleted += 1
    return deleted


def _named(table: Table) -> set[str]:
    """The data files of every snapshot there is."""
    manifests = {m.manifest_path: m for s in table.metadata.snapshots for m in s.manifests(table.io)}
    return {
        entry.data_file.file_path
        for manifest in manifests.values()
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    }


def _is_in(file: pq.ParquetFile, contract: Contract | None, who: Suppressed) -> bool:
    have = set(file.schema_arrow.names)
    if contract is None:
        columns = ("tenant", "reasons", "body", "body_encoding")
        return any(_rejects_name(batch.to_pylist(), who) for batch in file.iter_batches(columns=list(columns)))
    for subject, fields in contract.subjects.items():
        for name in have & set(fields):
            seen: set[tuple[str, str]] = set()
            for batch in file.iter_batches(columns=["tenant", name]):
                seen |= {(r["tenant"], r[name]) for r in batch.to_pylist() if r[name] is not None}
            if any(who.holds(tenant, subject, value) for tenant, value in seen):
                return True
    return False


def _rejects_name(rows: Iterable[dict[str, Any]], who: Suppressed) -> bool:
    return any(
        who.names(row["tenant"], {*words(row["body"], row["body_encoding"]), *words(row["reasons"], "utf-8")})
        for row in rows
        if not is_redacted(row["body"])
    )
