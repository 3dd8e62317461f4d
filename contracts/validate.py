"""The verdict on a client's event, envelope and data in one pass: every violation, or none.

What a contract cannot say is not judged here: how far ``occurred_at`` may lie in the future or the past, and what
the write key may send, is the collector's.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import jsonschema_rs

from contracts.model import Contract
from contracts.registry import Registry

MOST_REASONS = 100
"""Violations given of one event. An event of 32 KiB can have 5,000, which would be an answer twelve times its size."""
NAME_SHOWN = 80
"""Characters of an unknown field's name that a message repeats; the pointer has all of it."""
PATTERN_SHOWN = 60
"""Characters of a pattern that a message repeats; of a longer one it gives the field's description only."""
# The format checks the calendar; the pattern leaves out what Python and Postgres do not parse alike (lower-case t and
# z, leap seconds, more than nine digits of a second) and years in which an offset could overflow a datetime.
_INSTANT = (
    "^(19[7-9][0-9]|2[0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9]"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
)
_TIME = "is not a time by RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"
_ALONE = "event_id needs occurred_at beside it: a resent event must fall into the same minute"


class Violation(NamedTuple):
    """What is wrong: where (a JSON pointer that resolves in the event), the schema's keyword, and words for people.

    Messages never repeat a value that was sent: they end up in logs and answers, and values may be personal.
    """

    pointer: str
    keyword: str
    message: str


def envelope_schema(contract: Contract | None = None) -> dict[str, Any]:
    """The JSON Schema of a whole client event: of one contract, or of any (data is then only an object)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": ["event_type", "data"],
        "dependentRequired": {"event_id": ["occurred_at"]},
        "properties": {
            "event_id": {"type": "string", "format": "uuid"},
            "event_type": {"const": contract.type} if contract else {"type": "string"},
            "schema_version": {"type": "integer", "const": contract.version} if contract else {"type": "integer"},
            "occurred_at": {"type": "string", "format": "date-time", "pattern": _INSTANT},
            "data": _with_instants(contract.schema) if contract else {"type": "object"},
        },
    }


def _with_instants(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema``, its times held to what everybody behind the collector can read too."""
    properties = {
        name: {**value, "pattern": _INSTANT} if value.get("format") == "date-time" else value
        for name, value in schema["properties"].items()
    }
    return {**schema, "properties": properties}


class _Judge:
    """The compiled validators of one contract, or (without one) of the envelope alone."""

    def __init__(self, contract: Contract | None) -> None:
        self.contract = contract
        schema = envelope_schema(contract)
        self.whole = _compiled(schema)
        # The library gives a copy of the whole map with each bad name, which takes the square of the time for a hostile
        # event. So names of maps are left to the verdict yes or no, and listed here one by one.
        self.names: dict[str, jsonschema_rs.Draft202012Validator] = {}
        if contract is None:
            self.listing = self.whole
            return
        data = schema["properties"]["data"]
        properties = dict(data["properties"])
        for name, value in properties.items():
            if "propertyNames" in value:
                self.names[name] = _compiled(value["propertyNames"])
                properties[name] = {k: v for k, v in value.items() if k != "propertyNames"}
        schema["properties"]["data"] = {**data, "properties": properties}
        self.listing = _compiled(schema)


class EventValidator:
    """Validators of every version of every type, compiled once; thread-safe, about 1 µs for a valid event."""

    def __init__(self, registry: Registry) -> None:
        self._any = _Judge(None)
        self._of: dict[str, dict[int | None, _Judge]] = {}
        for type_ in registry.types():
            versions: dict[int | None, _Judge] = {}
            for version in registry.versions(type_):
                versions[version] = _Judge(registry.get(type_, version))
                versions[None] = versions[version]  # versions ascend: the newest stays
            self._of[type_] = versions

    def contract_of(self, event: dict[str, Any]) -> Contract:
        """The contract that a valid event was accepted by; event_id is to be compared in lower case.

        :raises KeyError: the event is not valid.
        """
        contract = self._of[event["event_type"]][event.get("schema_version")].contract
        assert contract is not None  # noqa: S101 - only the judge of the bare envelope has none
        return contract

    def violations(self, event: object) -> tuple[Violation, ...]:
        """What is wrong with ``event`` (parsed JSON), as :func:`bounded` gives it; empty when it is valid."""
        if not isinstance(event, dict):
            return (Violation("", "type", "an event is a JSON object"),)
        type_, version = event.get("event_type"), event.get("schema_version")
        versions = self._of.get(type_) if isinstance(type_, str) else None
        found = versions.get(version) if versions and (version is None or type(version) is int) else None
        if found is None or (version is None and "schema_version" in event):
            return bounded([*self._unknown(event, versions), *_violations(self._any, event)])
        try:
            if found.whole.is_valid(event):
                return ()
        except ValueError as error:
            return (_unreadable(error),)
        return bounded(_violations(found, event))

    def _unknown(self, event: dict[str, Any], versions: dict[int | None, Any] | None) -> Iterator[Violation]:
        if versions is None and isinstance(event.get("event_type"), str):
            yield Violation("/event_type", "enum", f"is no event type; known are {', '.join(self._of)}")
        if "schema_version" not in event:
            return
        if type(event["schema_version"]) is not int:  # JSON Schema would let 1.0 pass, and Python takes true for 1
            yield Violation("/schema_version", "type", 'is not of type "integer"')
        elif versions is not None:
            known = ", ".join(str(v) for v in versions if v is not None)
            yield Violation("/schema_version", "enum", f"is no version of {event['event_type']}; known are {known}")


def bounded(violations: Iterable[Violation]) -> tuple[Violation, ...]:
    """By pointer, and not over :data:`MOST_REASONS`; what two keywords say of one place in the same words is said once.

    Of more, the last given has the keyword ``more``; which ones are left out is not promised.
    """
    found = list(islice(violations, MOST_REASONS + 1))
    if len(found) > MOST_REASONS:
        found[MOST_REASONS - 1 :] = [Violation("", "more", f"has more to be mended than these {MOST_REASONS - 1}")]
    said = {(v.pointer, v.message): v for v in sorted(found, reverse=True)}
    return tuple(sorted(said.values()))


def _compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, mask="the value")


def _unreadable(error: ValueError) -> Violation:
    reason = "half of a surrogate pair in its text" if isinstance(error, UnicodeError) else "nested too deeply"
    return Violation("", "type", f"cannot be judged: {reason}")


def _violations(judge: _Judge, event: dict[str, Any]) -> Iterator[Violation]:
    contract = judge.contract
    try:
        errors = list(judge.listing.iter_errors(event))
    except ValueError as unreadable:
        yield _unreadable(unreadable)
        return
    for error in errors:
        pointer = _pointer(error.instance_path)
        keyword = _keyword(error.schema_path)
        if keyword == "additionalProperties" and isinstance(
            error.kind, jsonschema_rs.ValidationErrorKind.AdditionalProperties
        ):
            where = "the envelope" if not pointer else f"{contract.type} v{contract.version}" if contract else "data"
            for name in error.kind.unexpected:
                message = f"{name[:NAME_SHOWN]!r} is not a field of {where}"
                yield Violation(f"{pointer}/{_escaped(name)}", keyword, message)
        else:
            yield Violation(pointer, keyword, _message(error, keyword, contract))
    yield from _bad_names(judge, event.get("data"))


def _message(error: jsonschema_rs.ValidationError, keyword: str, contract: Contract | None) -> str:
    path = error.instance_path
    if keyword == "dependentRequired":
        return _ALONE
    if path == ["event_id"] and keyword == "format":
        return "is not a UUID"
    if path == ["occurred_at"] and keyword in ("format", "pattern"):
        return _TIME
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Enum):
        return f"is not one of {', '.join(map(str, error.kind.options))}"
    if contract and keyword in ("format", "pattern") and len(path) == 2 and path[0] == "data":
        return _as_described(contract, str(path[1]))
    return error.message.removeprefix("the value ")


def _as_described(contract: Contract, field: str) -> str:
    spec = contract.field_named(field)
    if spec.kind == "timestamp":
        return _TIME
    pattern = contract.schema["properties"][field].get("pattern", "")
    shown = f" ({pattern})" if 0 < len(pattern) <= PATTERN_SHOWN else ""
    return f"is not as described: {spec.description}{shown}"


def _bad_names(judge: _Judge, data: object) -> Iterator[Violation]:
    for field, names in judge.names.items():
        found = data.get(field) if isinstance(data, dict) else None
        for name in found if isinstance(found, dict) else ():
            if not names.is_valid(name):
                message = f"{name[:NAME_SHOWN]!r} may not be a name in {field}"
                yield Violation(f"/data/{field}/{_escaped(name)}", "propertyNames", message)


def _keyword(schema_path: list[str | int]) -> str:
    """The keyword that failed: the last part of its path that is no position in a list."""
    return next(str(part) for part in reversed(schema_path) if isinstance(part, str))


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{_escaped(str(part))}" for part in path)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
