"""Events made up from the contracts: every valid one is accepted, and no mutation of one is beyond a verdict."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.keys import KeyKind
from collector.verdict import Accepted, Rejected
from contracts.model import Contract
from tests.unit.collector.judging_kit import NOW, REGISTRY, source, verdicts

EVERY = [REGISTRY.get(type_, version) for type_ in REGISTRY.types() for version in REGISTRY.versions(type_)]
EACH_CONTRACT = pytest.mark.parametrize("contract", EVERY, ids=lambda c: f"{c.type}-v{c.version}")
# The same examples on every machine, and none kept from one run to the next.
BOUNDED = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(
        ["", "\0", "\ud800", "=1+1", "../x", "2026-01-01T00:00:00Z", 2**63, -(2**63) - 1, 10**400, 1e308]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.text(max_size=8) | st.sampled_from(["data", "event_id", "tenant", "a/b~c", "\ud800", "timestamp", "region"])
PIECES = [b'"', b"{", b"[", b",", b"\\", b"\\ud800", b"NaN", b"1e999", b"\xff", b"\0", b"\xef\xbb\xbf", b"\n"]
SECRET = "Jane.Doe@example.org"


def texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Strings of a contract's field, by its pattern in ECMA's sense: ``$`` is the end, and not before a line end."""
    least, most = schema.get("minLength", 0), schema["maxLength"]
    found = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z", alphabet=st.characters(codec="utf-8"))
    return found.filter(lambda value: least <= len(value) <= most)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Valid values of one field; only what the metaschema lets a contract say is read."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema["type"] == "integer":
        whole = st.integers(schema["minimum"], schema["maximum"])
        return whole | whole.map(float).filter(lambda n: schema["minimum"] <= n <= schema["maximum"])
    if schema["type"] == "boolean":
        return st.booleans()
    if schema["type"] == "object":
        names, most = schema["propertyNames"], schema["maxProperties"]
        return st.dictionaries(texts(names), texts(schema["additionalProperties"]), max_size=min(most, 4))
    if schema.get("format") == "date-time":
        return st.datetimes(datetime(1970, 1, 2), datetime(2999, 12, 30)).map(lambda t: t.isoformat() + "Z")  # noqa: DTZ001
    return texts(schema)


def instants() -> st.SearchStrategy[str]:
    """As far ahead and back as every key may, at any offset."""
    offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    back = st.timedeltas(timedelta(minutes=-5), timedelta(hours=48))
    return st.builds(lambda ago, offset: (NOW - ago).astimezone(offset).isoformat(), back, offsets)


def _data(contract: Contract) -> st.SearchStrategy[dict[str, Any]]:
    fields = {name: values(schema) for name, schema in contract.schema["properties"].items()}
    required = {name: fields[name] for name in contract.schema["required"]}
    return st.fixed_dictionaries(required, optional={name: f for name, f in fields.items() if name not in required})


DATA = {(contract.type, contract.version): _data(contract) for contract in EVERY}
IDS, INSTANTS = st.uuids().map(str), instants()


@st.composite
def events(draw: st.DrawFn, contract: Contract) -> dict[str, Any]:
    """A valid event of a contract, any of its optional parts left out."""
    data = draw(DATA[contract.type, contract.version])
    event: dict[str, Any] = {"event_type": contract.type, "data": data, "schema_version": contract.version}
    if draw(st.booleans()):
        event["occurred_at"] = draw(INSTANTS)
        if draw(st.booleans()):
            event["event_id"] = draw(IDS)
    return event


@st.composite
def mutated(draw: st.DrawFn, contract: Contract) -> Any:
    """An event of a contract after one to three changes: a part replaced, removed, renamed or put beside another."""
    event: Any = draw(events(contract))
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = event
        while (
            isinstance(holder, dict) and any(isinstance(v, dict) and v for v in holder.values()) and draw(st.booleans())
        ):
            holder = next(v for v in holder.values() if isinstance(v, dict) and v)
        if not isinstance(holder, dict) or not holder:
            return draw(ANY)
        name = draw(st.sampled_from(sorted(holder)))
        change = draw(st.sampled_from(["replace", "remove", "rename", "add"]))
        if change == "replace":
            holder[name] = draw(ANY)
        elif change == "add":
            holder[draw(NAMES)] = draw(ANY)
        else:
            value = holder.pop(name)
            if change == "rename":
                holder[draw(NAMES)] = value
    return event


@st.composite
def damaged(draw: st.DrawFn, contract: Contract) -> bytes:
    """The text of an event, or of a batch of two, with some of its bytes changed, removed or added."""
    text = bytearray(json.dumps(draw(events(contract) | st.lists(events(contract), min_size=2, max_size=2))).encode())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3) | st.sampled_from(PIECES))
    return bytes(text)


@EACH_CONTRACT
def test_a_valid_event_is_accepted_and_can_land(contract: Contract) -> None:
    @BOUNDED
    @given(events(contract), st.sampled_from([KeyKind.SERVER, KeyKind.IMPORT]))
    def check(event: dict[str, Any], kind: KeyKind) -> None:
        (verdict,) = verdicts(json.dumps(event).encode(), "application/json", source(kind))
        assert isinstance(verdict, Accepted), verdict
        assert (verdict.contract.type, verdict.contract.version) == (contract.type, contract.version)
        assert json.loads(verdict.data) == event["data"]

    check()


@EACH_CONTRACT
def test_a_mutated_event_is_accepted_or_rejected_with_a_place(contract: Contract) -> None:
    @BOUNDED
    @given(mutated(contract), st.sampled_from(list(KeyKind)), st.booleans())
    def check(event: Any, kind: KeyKind, short_form: bool) -> None:
        text = json.dumps(event).encode()
        assert (
            verdicts(text, "application/json", source(kind, short_form=short_form)) or not text.strip() or event == []
        )

    check()


@EACH_CONTRACT
def test_a_damaged_text_is_judged_too(contract: Contract) -> None:
    @BOUNDED
    @given(damaged(contract), st.sampled_from(["application/json", "application/x-ndjson", "text/plain"]))
    def check(text: bytes, type_: str) -> None:
        verdicts(text, type_, source())

    check()


def test_what_is_sent_is_in_no_message() -> None:
    """Messages end up in logs and answers; what was sent may be personal."""

    @BOUNDED
    @given(st.sampled_from(EVERY).flatmap(events), st.data())
    def check(event: dict[str, Any], data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(event["data"])))
        event["data"][name] = data.draw(st.sampled_from([SECRET, [SECRET], {SECRET.lower(): SECRET}, SECRET * 300]))
        for verdict in verdicts(json.dumps(event).encode(), "application/json", source()):
            if isinstance(verdict, Rejected):
                assert not any(SECRET in reason.message for reason in verdict.reasons)

    check()


@pytest.mark.parametrize(
    "when",
    [
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01t12:00:00z",
    ],
)
def test_a_time_that_the_lander_cannot_read_is_rejected_wherever_it_stands(when: str) -> None:
    event = {"event_type": "every_kind", "data": {"text": "x", "happened": when}}
    (verdict,) = verdicts(json.dumps(event).encode(), "application/json", source())
    assert isinstance(verdict, Rejected)
    assert {(reason.keyword, reason.pointer) for reason in verdict.reasons} == {("pattern", "/data/happened")}
