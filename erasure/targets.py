"""What is somebody's in a table of the lake, and what is left of it: pure functions of Arrow rows, one class a kind."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.expressions import BooleanExpression

from collector.land_events import EventDecoder
from collector.land_quality import REJECTED_EVENTS
from collector.redact import is_redacted, redacted, words
from collector.suppressed import Person
from contracts.model import Contract
from rejects import predicates

_STAMP = pa.timestamp("us", tz="UTC")
_CLEAR_ENOUGH = 8
"""From so many characters on a text that contains an id is about that id, wherever in the text it stands."""


class Target(ABC):
    """A table and one person in it."""

    identifier: str
    row_filter: BooleanExpression
    """At least all rows that are theirs."""
    columns: tuple[str, ...]
    """What :meth:`theirs` looks at."""

    @abstractmethod
    def theirs(self, rows: pa.Table) -> "pa.Array[Any]":
        """Which rows are theirs, as booleans."""

    @abstractmethod
    def without(self, rows: pa.Table, theirs: "pa.Array[Any]") -> pa.Table:
        """The same rows, of theirs only what may stay."""

    @abstractmethod
    def touched(self, rows: pa.Table) -> set[tuple[str, datetime]]:
        """What has to be counted anew for these rows: tenants' minutes of occurrence, or hours of receipt."""


@dataclass(frozen=True)
class Events(Target):
    """The events of a type: the envelope stays and so does what is nobody's in particular."""

    contract: Contract
    person: Person
    key: bytes

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that hold the person's id."""
        return self.contract.subjects.get(self.person.subject, ())

    @property
    def identifier(self) -> str:  # type: ignore[override]
        """See :class:`Target`."""
        return self.contract.table

    @property
    def columns(self) -> tuple[str, ...]:  # type: ignore[override]
        """See :class:`Target`."""
        return ("tenant", "occurred_at", *self.fields)

    @property
    def row_filter(self) -> BooleanExpression:  # type: ignore[override]
        """See :class:`Target`."""
        named = predicates.either([predicates.equal(name, self.person.id) for name in self.fields])
        return predicates.every([predicates.equal("tenant", self.person.tenant), named])

    def theirs(self, rows: pa.Table) -> "pa.Array[Any]":
        """See :class:`Target`."""
        found = _equal(rows["tenant"], self.person.tenant)
        named = np.zeros(len(found), dtype=bool)
        for name in self.fields:
            named |= _equal(rows[name], self.person.id)
        return pa.array(found & named)

    def without(self, rows: pa.Table, theirs: "pa.Array[Any]") -> pa.Table:
        """See :class:`Target`. A tombstone of the lake is the one that a lander would have made on arrival."""
        gone = {*self.contract.pii, *(f"{n}_hash" for n in self.contract.hashed_fields if n in self.contract.pii)}
        for name in sorted(gone & set(rows.column_names)):
            rows = _put(rows, name, pc.if_else(theirs, pa.scalar(None, rows[name].type), rows[name]))
        rows = _put(rows, "erased", pc.if_else(theirs, pa.scalar(True), rows["erased"]))
        decoder = EventDecoder(self.contract, self.key)
        hashes = [decoder.content_hash(row["occurred_at"], row) for row in rows.filter(theirs).to_pylist()]
        given = rows["content_hash"].combine_chunks()
        return _put(rows, "content_hash", pc.replace_with_mask(given, theirs, pa.array(hashes, pa.int64())))

    def touched(self, rows: pa.Table) -> set[tuple[str, datetime]]:
        """See :class:`Target`."""
        minutes = pc.floor_temporal(rows["occurred_at"].cast(_STAMP), unit="minute")  # type: ignore[call-overload]
        tenants: list[Any] = rows["tenant"].to_pylist()
        return set(zip(tenants, minutes.to_pylist(), strict=True))


@dataclass(frozen=True)
class Rejects(Target):
    """Rejected events whose body names the person: what was sent goes, that and why it was refused stays."""

    person: Person
    identifier: str = REJECTED_EVENTS.identifier
    columns: tuple[str, ...] = ("tenant", "received_at", "reasons", "body", "body_encoding")

    @property
    def row_filter(self) -> BooleanExpression:  # type: ignore[override]
        """See :class:`Target`. Of a body without a tenant nobody knows whose it is."""
        return predicates.either([predicates.equal("tenant", self.person.tenant), predicates.absent("tenant")])

    def theirs(self, rows: pa.Table) -> "pa.Array[Any]":
        """See :class:`Target`."""
        found = [
            row["tenant"] in {None, self.person.tenant}
            and (
                names(self.person.id, row["body"], row["body_encoding"])
                or names(self.person.id, row["reasons"], "utf-8")
            )
            for row in rows.select(["tenant", "reasons", "body", "body_encoding"]).to_pylist()
        ]
        return pa.array(found, pa.bool_())

    def without(self, rows: pa.Table, theirs: "pa.Array[Any]") -> pa.Table:
        """See :class:`Target`."""
        is_theirs: Callable[[str], bool] = lambda word: word == self.person.id  # noqa: E731
        kept = [redacted(row, is_theirs) for row in rows.filter(theirs).to_pylist()]
        for name in ("body", "body_encoding", "reasons", "event_type"):
            column = rows[name].combine_chunks()
            rows = _put(
                rows, name, pc.replace_with_mask(column, theirs, pa.array([k[name] for k in kept], column.type))
            )
        return rows

    def touched(self, rows: pa.Table) -> set[tuple[str, datetime]]:
        """See :class:`Target`: hours of receipt."""
        hours = pc.floor_temporal(rows["received_at"].cast(_STAMP), unit="hour")  # type: ignore[call-overload]
        return {("", hour) for hour in hours.to_pylist()}


def names(id_: str, body: str, encoding: str) -> bool:
    """Whether a rejected body names somebody: as a word of it, or, where the id is long enough to tell, anywhere."""
    if is_redacted(body):
        return False
    return any(word == id_ or (len(id_) >= _CLEAR_ENOUGH and id_ in word) for word in words(body, encoding)) or (
        len(id_) >= _CLEAR_ENOUGH and id_ in body
    )


def _equal(column: "pa.ChunkedArray[Any]", value: str) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Where the column is the value; null is not."""
    same: Any = pc.fill_null(pc.equal(column.cast(pa.string()), pa.scalar(value)), pa.scalar(False))
    found: np.ndarray[Any, np.dtype[np.bool_]] = same.to_numpy()
    return found


def _put(rows: pa.Table, name: str, column: Any) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.set_column(at, rows.schema.field(at), column.cast(rows.schema.field(at).type))
