"""What a change of a contract would break: for those who send by it, and for the tables made from it.

Within one version everything that was accepted must stay so. Between versions senders choose, but both fill the same
tables: a column may be added, never vanish, change its type or its meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from contracts.model import Contract, FieldSpec


@dataclass(frozen=True)
class Change:
    """One difference, and whether those who have the old contract can live with it."""

    kind: Literal["additive", "breaking"]
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


def changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every change from ``old`` to ``new`` that matters; of two versions of a type, or of one version edited."""
    found = list(_fields(old, new, same_version=old.version == new.version))
    found += _handling(old, new)
    found += _dimensions(old, new)
    found += _measures(old, new)
    return tuple(found)


def breaking(old: Contract, new: Contract) -> tuple[Change, ...]:
    """The changes that are refused."""
    return tuple(change for change in changes(old, new) if change.kind == "breaking")


def _breaks(where: str, message: str) -> Change:
    return Change("breaking", where, message)


def _adds(where: str, message: str) -> Change:
    return Change("additive", where, message)


def _fields(old: Contract, new: Contract, *, same_version: bool) -> Iterator[Change]:
    before, after = {f.name: f for f in old.fields}, {f.name: f for f in new.fields}
    for name, spec in before.items():
        where = f"field {name}"
        if name not in after:
            yield _breaks(where, "is gone; keep it, optional, and describe it as no longer used")
            continue
        yield from _column(where, spec, after[name])
        if spec.default != after[name].default:
            yield _breaks(where, f"an absent one counted as {spec.default!r}, now as {after[name].default!r}")
        if same_version:
            yield from _accepts(
                where, spec, after[name], old.schema["properties"][name], new.schema["properties"][name]
            )
    for name, spec in after.items():
        if name in before:
            continue
        if spec.required and same_version:
            yield _breaks(f"field {name}", "is new and required: who sends by this version would be rejected")
        else:
            yield _adds(f"field {name}", f"is new ({spec.kind})")


def _column(where: str, old: FieldSpec, new: FieldSpec) -> Iterator[Change]:
    if old.kind != new.kind:
        yield _breaks(where, f"was {old.kind} and would be {new.kind}; the column cannot change")
    elif old.precision is not None and new.precision is not None:
        if old.scale != new.scale:
            yield _breaks(where, f"its scale was {old.scale} and would be {new.scale}; the column cannot change")
        elif new.precision < old.precision:
            yield _breaks(
                where, f"its precision was {old.precision} and would be {new.precision}; the column only widens"
            )
        elif new.precision > old.precision:
            yield _adds(where, f"widens from {old.precision} to {new.precision} digits")


def _accepts(
    where: str, old: FieldSpec, new: FieldSpec, before: dict[str, Any], after: dict[str, Any]
) -> Iterator[Change]:
    """What an event accepted so far could now be rejected for."""
    if new.required and not old.required:
        yield _breaks(where, "was optional and would be required")
    elif old.required and not new.required:
        yield _adds(where, "becomes optional")
    if old.kind != new.kind:
        return
    gone = [value for value in before.get("enum", ()) if value not in after.get("enum", before["enum"])]
    if gone:
        yield _breaks(where, f"no longer takes {', '.join(gone)}")
    added = [value for value in after.get("enum", ()) if value not in before.get("enum", after["enum"])]
    if added:
        yield _adds(where, f"also takes {', '.join(added)}")
    if "enum" in after and "enum" not in before:
        yield _breaks(where, "took any text and would take only some")
    if old.kind != "decimal":  # a decimal's pattern follows from its precision, its scale, and its sign
        yield from _pattern(where, before, after)
    elif before["pattern"].startswith("^-?") and not after["pattern"].startswith("^-?"):
        yield _breaks(where, "could be negative and no longer may")
    for keyword, tighter in (
        ("minLength", 1),
        ("minimum", 1),
        ("maxLength", -1),
        ("maximum", -1),
        ("maxProperties", -1),
    ):
        yield from _bound(where, keyword, before.get(keyword), after.get(keyword), tighter)
    if old.kind == "map":
        for part in ("propertyNames", "additionalProperties"):
            yield from _pattern(f"{where}, {part}", before[part], after[part])
            lengths = before[part]["maxLength"], after[part]["maxLength"]
            yield from _bound(f"{where}, {part}", "maxLength", *lengths, -1)


def _pattern(where: str, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for keyword in ("pattern", "format"):
        if before.get(keyword) == after.get(keyword):
            continue
        if after.get(keyword) is None:
            yield _adds(where, f"loses its {keyword}")
        else:
            yield _breaks(where, f"its {keyword} changes; whether it still takes all it took cannot be told")


def _bound(where: str, keyword: str, old: int | None, new: int | None, tighter: int) -> Iterator[Change]:
    if old == new:
        return
    if new is not None and (old is None or (new - old) * tighter > 0):
        yield _breaks(where, f"{keyword} tightens from {'none' if old is None else old} to {new}")
    else:
        yield _adds(where, f"{keyword} widens from {old} to {'none' if new is None else new}")


def _handling(old: Contract, new: Contract) -> Iterator[Change]:
    if new.partition_key != old.partition_key:
        message = f"was {old.partition_key} and would be {new.partition_key}: events of one key would change order"
        yield _breaks("partition_key", message)
    if new.partitions < old.partitions:
        yield _breaks("partitions", f"Kafka cannot shrink a topic from {old.partitions} to {new.partitions}")
    elif new.partitions > old.partitions:
        yield _adds("partitions", f"grow from {old.partitions} to {new.partitions}; keys move once")
    for name in old.pii:
        if name not in new.pii:
            yield _breaks("pii", f"{name} would no longer be treated as personal")
    if old.browser and not new.browser:
        yield _breaks("browser", "browser keys could send it and no longer may")


def _dimensions(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = ({d.name: d for d in c.rollup.dimensions} for c in (old, new))
    for name, dimension in before.items():
        if name not in after:
            yield _breaks(f"dimension {name}", "is gone; readers of the rollup group by it")
        elif after[name].field != dimension.field:
            yield _breaks(f"dimension {name}", f"was of {dimension.field} and would be of {after[name].field}")
    for name in after:
        if name not in before:
            yield _adds(f"dimension {name}", "is new; older minutes show it as absent until they are reprocessed")


def _measures(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = ({m.name: m for m in c.rollup.measures} for c in (old, new))
    for name, measure in before.items():
        where = f"measure {name}"
        if name not in after:
            yield _breaks(where, "is gone")
            continue
        for part in ("kind", "field", "where"):
            was, is_ = getattr(measure, part), getattr(after[name], part)
            if was != is_:
                yield _breaks(where, f"its {part} was {was!r} and would be {is_!r}; add another measure instead")
    for name in after:
        if name not in before:
            yield _adds(f"measure {name}", "is new; older minutes lack it until they are reprocessed")
