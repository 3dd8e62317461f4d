"""What a proposed contract would do to those who send now: recent events of the lake, judged by it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.expressions import BooleanExpression

from collector.land_events import shortest
from collector.land_quality import REJECTS_TOPIC
from contracts.compat import Change, breaking
from contracts.model import Contract
from contracts.registry import Registry
from contracts.validate import EventValidator, Violation
from rejects import predicates
from rejects.read import rejects
from rejects.recipe import Recipe
from rejects.reject import Chosen, Once, Reject
from rejects.restore import Unrestorable, restore
from rejects.scan import batches
from rejects.tally import Progress
from spark_jobs.reject_labels import NONE, Labels

_ENVELOPE = ("event_id", "tenant", "schema_version", "occurred_at", "erased")


@dataclass
class Broken:
    """One sender's events that would be refused for one reason, and the first of them."""

    tenant: str
    reason: str
    field: str
    events: int
    example: dict[str, str]


@dataclass
class Senders:
    """Events of one contract version: how many were judged, and whose would be refused."""

    judged: int = 0
    refused: int = 0
    by_kind: dict[tuple[str, str, str], Broken] = field(default_factory=dict)

    def add(self, event: Mapping[str, Any], tenant: str, violations: Sequence[Violation], labels: Labels) -> None:
        """Count one event."""
        self.judged += 1
        self.refused += bool(violations)
        for kind, violation in {labels.reason(v._asdict()): v for v in reversed(violations)}.items():
            example = {
                "event_id": str(event["event_id"]),
                "occurred_at": str(event["occurred_at"]),
                "message": f"{violation.pointer} {violation.message}".strip(),
            }
            self.by_kind.setdefault((tenant, *kind), Broken(tenant, *kind, 0, example)).events += 1


@dataclass
class Rehearsal:
    """What was found. ``version``: of the events that were judged; ``misfits``: what the tables would not take.

    ``erased``: events without data, or of somebody who was forgotten: nothing can be said about them. ``rejected``:
    events of the type that were rejected, by tenant and write key: how many there were, and how many would pass.
    """

    contract: Contract
    version: int | None
    senders: Senders
    misfits: tuple[Change, ...]
    erased: int = 0
    files_missing: int = 0
    rejected: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    @property
    def breaks(self) -> bool:
        """Whether anybody would have to do something first."""
        return bool(self.senders.refused or self.misfits)

    def as_json(self) -> dict[str, Any]:
        """For the command's last line."""
        by_number = sorted(
            self.senders.by_kind.values(), key=lambda one: (-one.events, one.tenant, one.reason, one.field)
        )
        return {
            "event_type": self.contract.type,
            "version": self.contract.version,
            "judged_version": self.version,
            "judged": self.senders.judged,
            "would_break": self.senders.refused,
            "erased": self.erased,
            "files_missing": self.files_missing,
            "senders": [one.__dict__ for one in by_number],
            "tables": [str(change) for change in self.misfits],
            "rejected": [
                {"tenant": tenant, "key_id": key, "events": n, "would_pass": passing}
                for (tenant, key), (n, passing) in sorted(self.rejected.items())
            ],
        }


def rehearse(
    proposed: Contract,
    registry: Registry,
    catalog: Catalog,
    *,
    since: datetime,
    tenant: str | None = None,
    progress: Progress = lambda _: None,
    missing: Callable[[str], Collection[str]] = lambda _: (),
) -> Rehearsal:
    """Judge what was received from ``since`` on by ``proposed``, instead of its version or as a new one.

    Judged are events that this version accepted, if there are any, else those of the newest version before it: who
    names an older version is not touched by a newer one. ``missing`` gives the files that are missing of a type, or of
    rejected events (``warehouse/held.py``): they are read around, and counted.

    :raises contracts.model.UnknownType: nothing of its type was ever sent.
    """
    versions = {number: registry.get(proposed.type, number) for number in registry.versions(proposed.type)}
    before = max((number for number in versions if number < proposed.version), default=None)
    old = versions.get(proposed.version) or versions.get(before or 0)
    validator = EventValidator(Registry(registry.path, {proposed.type: versions | {proposed.version: proposed}}))
    labels = Labels([*versions.values(), proposed])
    judged = {proposed.version: Senders(), **({} if before is None else {before: Senders()})}
    found = Rehearsal(proposed, None, Senders(), breaking(old, proposed) if old else ())
    newest = versions[max(versions)]
    columns = _columns(catalog, newest)
    gone, gone_rejects = missing(proposed.type), missing(REJECTS_TOPIC)
    found.files_missing = len(gone) + len(gone_rejects)
    recent = _recent(since, tenant, list(judged))
    for batch in batches(catalog, proposed.table, recent, columns, gone) if columns else ():
        for row in batch.to_pylist():
            event = event_of(row, newest, proposed.version)
            if event["data"] and not row.get("erased"):
                judged[row["schema_version"]].add(event, row["tenant"], validator.violations(event), labels)
            else:
                found.erased += 1
        progress(batch.num_rows)
    found.version = next((number for number, senders in judged.items() if senders.judged), None)
    found.senders = judged.get(found.version or 0, Senders())
    chosen = Chosen(event_type=proposed.type, tenant=tenant, since=since)
    found.rejected = _rejected(rejects(catalog, chosen, gone_rejects), validator)
    return found


def event_of(row: Mapping[str, Any], contract: Contract, version: int) -> dict[str, Any]:
    """The client's event that a row of the lake was, under another version: what was absent or null is left out."""
    data = {f.name: _value(row.get(f.name)) for f in contract.fields if row.get(f.name) is not None}
    return {
        "event_type": contract.type,
        "event_id": row["event_id"],
        "schema_version": version,
        "occurred_at": _value(row["occurred_at"]),
        "data": data,
    }


def _value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return shortest(format(value, "f"))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return dict(value) if isinstance(value, list) else value


def _recent(since: datetime, tenant: str | None, versions: Sequence[int]) -> BooleanExpression:
    recent = [predicates.since("received_at", since), predicates.among("schema_version", versions)]
    return predicates.every(recent if tenant is None else [*recent, predicates.equal("tenant", tenant)])


def _columns(catalog: Catalog, contract: Contract) -> list[str]:
    """The columns that the table has of what is needed; none where there is no table yet."""
    try:
        there = catalog.load_table(contract.table).schema().column_names
    except NoSuchTableError:
        return []
    return [name for name in (*_ENVELOPE, *(f.name for f in contract.fields)) if name in there]


def _rejected(those: Iterable[Reject], validator: EventValidator) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    once = Once()
    for reject in those:
        if not once.first(reject):
            continue
        try:
            passes = not validator.violations(restore(reject, Recipe()))
        except Unrestorable:
            passes = False
        sender = (reject.tenant or NONE, reject.key_id or NONE)
        n, passing = found.get(sender, (0, 0))
        found[sender] = (n + 1, passing + passes)
    return found
