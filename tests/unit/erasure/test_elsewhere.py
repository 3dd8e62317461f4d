"""Where else somebody is: what lies on the collector's disk, written by the collector's own hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from collector.dead_letter import DeadLetters
from collector.flight import text_or_base64
from collector.message import Message, encode
from collector.requeue import requeue
from collector.spool_read import SEGMENT
from collector.suppressed import Person
from collector.topic_names import REJECTED
from collector.topics import TopicsError
from contracts.registry import Registry
from erasure import elsewhere
from erasure.elsewhere import Place
from erasure.settings import EraseSettings

ANNA = Person("acme", "visitor", "anna-4711")
SHORT = Person("acme", "visitor", "a1")
"""An id that may be part of other words."""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def nobody_answers(*_: object) -> None:
        raise TopicsError("no broker")

    monkeypatch.setattr(elsewhere, "kept_for", nobody_answers)
    return tmp_path


def letters_of(state: Path) -> DeadLetters:
    """In the folder that docs/collector.md names."""
    return DeadLetters(state / "dead-letter")


def view(sequence: int, visitor: str) -> Message:
    value = json.dumps({"tenant": "acme", "data": {"visitor_id": visitor, "region": "a1b"}}).encode()
    return Message("events.page_view", b"acme", value, 1_764_000_000_000_000 + sequence, "c0ffee", sequence)


def rejection(sequence: int, body: bytes) -> Message:
    text, encoding = text_or_base64(body)
    value = json.dumps({"tenant": "acme", "body": text, "body_encoding": encoding}).encode()
    return Message(REJECTED, None, value, 1_764_000_000_000_000 + sequence, "c0ffee", sequence)


def spool(state: Path, *messages: Message) -> None:
    folder = state / "spool" / "1-c0ffee"
    folder.mkdir(parents=True)
    (folder / f"{0:020d}{SEGMENT}").write_bytes(b"".join(map(encode, messages)))


def place(state: Path, name: str, person: Person = ANNA) -> Place:
    settings: Any = EraseSettings.model_construct(collector_state_dir=state)
    (found,) = (one for one in elsewhere.places(settings, Registry.load(), person) if one.place.startswith(name))
    return found


def test_of_a_disk_with_nothing_on_it_nothing_is_told(state: Path) -> None:
    named = ("spool", "dead letters", "damaged segments")
    assert [(place(state, name).messages, place(state, name).unit) for name in named] == [
        (0, "messages"), (0, "messages"), (0, "files")
    ]  # fmt: skip
    assert place(state, "Kafka").what == "cannot be asked how long it keeps events (no broker)"


@pytest.mark.parametrize(("person", "theirs"), [(ANNA, "anna-4711"), (SHORT, "a1")], ids=["long", "short"])
def test_messages_in_a_spool_that_name_them_are_counted(state: Path, person: Person, theirs: str) -> None:
    spool(state, view(1, theirs), view(2, "ben"), view(3, theirs))
    assert place(state, "spool", person).messages == 2


def test_dead_letters_that_name_them_are_counted_until_they_are_sent_after_all(state: Path) -> None:
    letters = letters_of(state)
    for message in (view(1, "anna-4711"), view(2, "ben")):
        letters.put(message, "too large", 1_764_000_000)
    found = place(state, "dead letters")
    assert found.messages == 1
    assert str(letters.folder) in found.place
    requeue(state, letters, letters.files(), 1_764_000_000_000_000)
    assert (place(state, "dead letters").messages, place(state, "spool").messages) == (0, 1)


@pytest.mark.parametrize("body", [b'{"visitor_id": "anna-4711"', b'\xff{"visitor_id": "anna-4711"}'])
def test_a_rejected_body_is_looked_into_however_it_is_written(state: Path, body: bytes) -> None:
    letters_of(state).put(rejection(1, body), "too large", 1_764_000_000)
    assert place(state, "dead letters").messages == 1


def test_damaged_segments_that_name_them_are_named(state: Path) -> None:
    letters = letters_of(state)
    letters.keep_bytes("1-c0ffee-0-17", b"\0\0" + encode(view(1, "anna-4711")))
    letters.keep_bytes("1-c0ffee-0-99", b"\0\0" + encode(view(1, "ben")))
    found = place(state, "damaged segments")
    assert (found.messages, found.unit) == (1, "files")
    assert "1-c0ffee-0-17.bin" in found.what
    assert "1-c0ffee-0-99.bin" not in found.what
