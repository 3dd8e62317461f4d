"""Forget old snapshots, and the metadata files that only they needed, so that a table's metadata stays bounded.

Data files are left alone: an append never makes one superfluous. Those that a rewrite by maintenance replaced are
maintenance's own to remove.
"""

import contextlib
from datetime import datetime
from itertools import pairwise

from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from runtime import log

_log = log.get(__name__)


def expire(table: Table, keep_from: datetime) -> int:
    """Expire the snapshots that others had replaced before ``keep_from``; gives how many went.

    A reader pins the newest snapshot there is, however old: it is done with it some time after the next one came.

    To be called by the table's lander, between two appends: the table must be freshly loaded, and is changed by it.

    :raises pyiceberg.exceptions.CommitFailedException: somebody changed the table meanwhile; the next time will do.
    :raises OSError: S3 is away.
    """
    heads = {ref.snapshot_id for ref in table.metadata.refs.values()}
    before = keep_from.timestamp() * 1000
    replaced_at = {s.parent_snapshot_id: s.timestamp_ms for s in table.metadata.snapshots}
    old = [
        s
        for s in table.metadata.snapshots
        if s.snapshot_id not in heads and replaced_at.get(s.snapshot_id, s.timestamp_ms) < before
    ]
    if not old:
        return 0
    gone = {s.snapshot_id for s in old}
    kept = sorted(
        (s for s in table.metadata.snapshots if s.snapshot_id not in gone), key=lambda s: s.sequence_number or 0
    )
    files = {s.manifest_list for s in old}
    if _is_one_line(kept, heads):
        # What the oldest kept snapshot no longer names, none after it does: a manifest that was merged away or
        # rewritten never comes back, unless somebody rolled back or branched, which is what was just looked for.
        files |= {m for s in old for m in _manifests(table, s)} - _manifests(table, kept[0])
    table.maintenance.expire_snapshots().by_ids(sorted(gone)).commit()
    for file in files:
        with contextlib.suppress(OSError):  # superfluous files do no harm; maintenance finds them
            table.io.delete(file)
    _log.info("expired", table=".".join(table.name()), snapshots=len(gone), files=len(files), left=len(kept))
    return len(gone)


def _is_one_line(kept: list[Snapshot], heads: set[int]) -> bool:
    """Whether each kept snapshot is the child of the one before, and nothing but the last has a name."""
    chained = all(b.parent_snapshot_id == a.snapshot_id for a, b in pairwise(kept))
    return chained and heads == {kept[-1].snapshot_id}


def _manifests(table: Table, snapshot: Snapshot) -> set[str]:
    return {manifest.manifest_path for manifest in snapshot.manifests(table.io)}
