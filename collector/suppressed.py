"""Who was forgotten, by keyed hash: the list that a lander goes by before it commits anything (docs/adr/0038).

It is a table of the lake, so that it is wherever the events are, also when Postgres was made anew. A table's property
``watershed.suppressed`` says how much of the list its landers must know: it is raised after the list has grown, and is
a part of the state that a lander's commit asserts. What was decoded by a shorter list cannot be committed any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError

from collector.lake import TableSpec, arrow_schema_of, ensure_table
from collector.land_commit import SUPPRESSED, State
from contracts.columns import LakeColumn
from contracts.model import SUBJECTS

LIST = TableSpec(
    "quality.suppressed",
    (
        LakeColumn("version", "long", True, "How long the list is with this entry, from 1."),
        LakeColumn("tenant", "string", True, "Whose event it would be."),
        LakeColumn("subject", "string", True, "user or visitor."),
        LakeColumn("subject_hash", "string", True, "Keyed blake2b, 16 bytes, of the one who was forgotten."),
        LakeColumn("suppressed_at", "timestamp", True, "When it was asked for, UTC."),
    ),
    "suppressed_at",
    "Who was forgotten, by keyed hash: what arrives of them lands without what points to them.",
)
_ATTEMPTS = 20


class ListTooShort(Exception):
    """The list is shorter than a table's landers must know: part of it was lost."""


@dataclass(frozen=True)
class Person:
    """Somebody, by the id that a tenant's events have of them; ``subject`` is one of SUBJECTS."""

    tenant: str
    subject: str
    id: str


@dataclass(frozen=True)
class Suppressed:
    """The list: ``version`` entries, all of the key ``key``."""

    version: int = 0
    hashes: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    key: bytes = b""

    def holds(self, tenant: str, subject: str, value: str) -> bool:
        """Whether this user or visitor of a tenant was forgotten."""
        return tenant in self.tenants and subject_hash(self.key, tenant, subject, value) in self.hashes

    def names(self, tenant: str | None, values: Iterable[str]) -> bool:
        """Whether one of ``values`` is somebody of ``tenant`` (None: of any) who was forgotten."""
        tenants = sorted(self.tenants) if tenant is None else [tenant] if tenant in self.tenants else []
        return bool(tenants) and any(
            subject_hash(self.key, one, subject, value) in self.hashes
            for value in values
            for one in tenants
            for subject in SUBJECTS
        )


def subject_hash(key: bytes, tenant: str, subject: str, value: str) -> str:
    """What stands for somebody in the list: 32 hexadecimal digits, of another domain than the hashes in the lake."""
    text = "\x1f".join(("forget", tenant, subject, value)).encode()
    return blake2b(text, digest_size=16, key=key).hexdigest()


def read(catalog: SqlCatalog, key: bytes, least: int) -> Suppressed:
    """The list as it is now.

    :raises ListTooShort: it has fewer than ``least`` entries.
    """
    columns = ("version", "tenant", "subject_hash")
    try:
        entries = catalog.load_table(LIST.identifier).scan(selected_fields=columns).to_arrow().to_pylist()
    except NoSuchTableError:
        entries = []
    version = max((entry["version"] for entry in entries), default=0)
    if version < least:
        raise ListTooShort(
            f"{LIST.identifier} has {version} entries of {least}: restore it, or people who were forgotten come back"
        )
    hashes, tenants = (frozenset(entry[name] for entry in entries) for name in ("subject_hash", "tenant"))
    return Suppressed(version, hashes, tenants, key)


def add(catalog: SqlCatalog, known: Suppressed, person: Person, at: datetime) -> int:
    """Put somebody on the list, unless they are on it; gives the length that all landers must know from then on.

    To be called by one process at a time.
    """
    if known.holds(person.tenant, person.subject, person.id):
        return known.version
    row = {
        "version": known.version + 1,
        "tenant": person.tenant,
        "subject": person.subject,
        "subject_hash": subject_hash(known.key, person.tenant, person.subject, person.id),
        "suppressed_at": at,
    }
    ensure_table(catalog, LIST).append(pa.Table.from_pylist([row], schema=arrow_schema_of(LIST.columns)))
    return known.version + 1


def require(catalog: SqlCatalog, identifier: str, version: int) -> None:
    """From here on nothing lands in the table that was decoded without the first ``version`` entries of the list.

    A lander whose batch was is fenced off, and starts again from the table, by the longer list.

    :raises CommitFailedException: others kept changing the table.
    """
    for _ in range(_ATTEMPTS):
        table = catalog.load_table(identifier)
        if State.of(table.properties).suppressed >= version:
            return
        try:
            with table.transaction() as transaction:
                transaction.set_properties({SUPPRESSED: str(version)})
        except CommitFailedException:
            continue
    raise CommitFailedException(f"{identifier}: others kept changing the table; ask again")
