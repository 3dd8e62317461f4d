"""Where else somebody's events may be for a time: what is there now, and until when. Nothing here changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from collector.dead_letter import BYTES, DeadLetterDamaged, DeadLetters
from collector.message import Message, decode
from collector.spool_read import next_record, segments_of
from collector.suppressed import Person
from collector.topic_names import REJECTED
from collector.topics import TopicsError, kept_for
from contracts.registry import Registry
from erasure.settings import EraseSettings
from erasure.targets import names


@dataclass(frozen=True)
class Place:
    """A store outside lake and warehouse; ``messages`` None: it was not looked into."""

    place: str
    messages: int | None
    what: str
    unit: str = "messages"
    """What was counted."""


def places(settings: EraseSettings, registry: Registry, person: Person) -> list[Place]:
    """Every such place, also where nothing is."""
    state = settings.collector_state_dir
    letters = DeadLetters.of(state)
    damaged = [path.name for path in letters.damaged() if _says(path.read_bytes(), person)]
    return [
        Place(
            f"spool ({state / 'spool'})",
            sum(_names(m, person) for m in spooled(state / "spool")),
            "goes to Kafka as soon as that is there, and lands without what points to anybody; other collectors'"
            " machines have spools of their own",
        ),
        Place(
            f"dead letters ({letters.folder})",
            sum(_names(m, person) for m in _letters(letters)),
            "stay until somebody decides: `watershed spool requeue` sends them, and they land as tombstones",
        ),
        Place(
            f"damaged segments of a spool ({letters.folder / f'*{BYTES}'})",
            len(damaged),
            f"are read by nothing and stay until somebody deletes them. With the id: {', '.join(damaged) or '-'}",
            unit="files",
        ),
        Place("Kafka", None, _kafka(settings, registry)),
        Place("Redis", None, "holds no events. What a chart of Superset read of the lake itself is there for an hour"),
        Place("Superset", None, "keeps queries as they were typed in SQL Lab: write no ids into them"),
        Place(
            "warehouse",
            None,
            "has no ids. Keyed hashes leave rollups and marts when what was touched is loaded and published, and what"
            " reprocessings kept for an undo with the erasure",
        ),
        Place(
            "reports and dumps",
            None,
            "have no ids. Parquet dumps of marts hold keyed hashes: write those of the days again"
            " (`watershed report dump --date …`) once they are published",
        ),
        Place(
            "backups",
            None,
            "have no ids but keyed hashes in the warehouse's dump; delete those made before, or let them age",
        ),
    ]


def spooled(folder: Path) -> Iterator[Message]:
    """The messages in the spools below ``folder``, delivered ones of a segment that is not gone yet included."""
    for one in sorted(path for path in folder.glob("*") if path.is_dir()):
        for _, segment in segments_of(one):
            try:
                with segment.open("rb") as file:
                    while (payload := next_record(file)) is not None:
                        yield decode(payload)
            except FileNotFoundError:
                continue  # delivered meanwhile
            except msgspec.DecodeError as error:
                raise OSError(f"{segment}: a record is of another version: {error}") from error


def _letters(letters: DeadLetters) -> Iterator[Message]:
    for path in letters.files():
        try:
            yield letters.read(path)[0]
        except DeadLetterDamaged as error:
            raise OSError(str(error)) from error


def _names(message: Message, person: Person) -> bool:
    return _says(message.value, person) or (message.topic == REJECTED and _refused(message.value, person))


def _refused(value: bytes, person: Person) -> bool:
    """Whether a rejection's body names somebody, which is base64 where it was no plain text."""
    rejection = msgspec.json.decode(value)
    return names(person.id, rejection["body"], rejection["body_encoding"])


def _says(data: bytes, person: Person) -> bool:
    return names(person.id, data.decode("utf-8", "replace"), "utf-8")


def _kafka(settings: EraseSettings, registry: Registry) -> str:
    topics = [c.topic for c in registry if c.subjects] + [REJECTED]
    try:
        kept = kept_for(topics, settings)
    except TopicsError as error:
        return f"cannot be asked how long it keeps events ({error})"
    if not kept:
        return "has no topics with events of people"
    now = datetime.now(UTC)
    endless = sorted(name for name, time in kept.items() if time is None)
    if endless:
        return f"keeps {', '.join(endless)} for ever: set retention.ms, or what arrived stays there"
    until = max(now + time for time in kept.values() if time is not None)
    return f"keeps what arrived until now at most until {until:%Y-%m-%d %H:%M} UTC (retention.ms and segment.ms)"
