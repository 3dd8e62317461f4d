"""The OpenAPI document of the collector, made from the contracts and limits in force."""

from typing import Any

from collector.page_view import NAMES, REQUIRED, TYPE
from collector.parse import Limits
from contracts.registry import Registry
from contracts.validate import envelope_schema

VERSION = "1.0.0"
_JSON = "application/json"


def document(registry: Registry, limits: Limits) -> dict[str, Any]:
    """OpenAPI 3.1 of every route."""
    schemas = _schemas(registry)
    bounds = (
        f"Bounds: {limits.event_bytes} bytes an event, {limits.events} events and {limits.body_bytes} bytes "
        "(decompressed) a request. Bodies may be gzip (`Content-Encoding: gzip`)."
    )
    one, many = {"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Events"}
    short = {"$ref": "#/components/schemas/ShortPageView"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Watershed collector",
            "version": VERSION,
            "description": "Takes events, judges each by its type's contract, and answers once they are durable.",
        },
        "paths": {
            "/events": {
                "post": _sending(
                    "sendEvents",
                    "Send events",
                    f"One event, an array, or one a line. {bounds}",
                    {
                        _JSON: {"schema": {"oneOf": [one, many]}},
                        "application/x-ndjson": {"schema": {"type": "string", "description": "One event a line"}},
                        "text/plain": {"schema": {"type": "string", "description": "JSON or lines, by sendBeacon"}},
                    },
                )
            },
            "/page-view": {
                "post": _sending(
                    "sendPageView",
                    "Send a page view in short",
                    f"The same event as a `page_view` on /events, under other names. {bounds}",
                    {_JSON: {"schema": {"oneOf": [short, {"type": "array", "items": short, "minItems": 1}]}}},
                )
            },
            "/contracts": {"get": _reading("contracts", "The event types and their schemas", _JSON)},
            "/health/live": {"get": _reading("live", "The process runs", _JSON)},
            "/health/ready": {
                "get": {
                    **_reading("ready", "Whether events are taken now", _JSON),
                    "responses": {
                        "200": {"description": "They are", "content": {_JSON: {"schema": _ref("Readiness")}}},
                        "503": {"description": "They are not: why", "content": {_JSON: {"schema": _ref("Readiness")}}},
                    },
                }
            },
            "/metrics": {"get": _reading("metrics", "Metrics in Prometheus' text form", "text/plain")},
            "/tracker.js": {"get": _reading("tracker", "The tracker for browsers", "text/javascript")},
            "/openapi.json": {"get": _reading("openapi", "This document", _JSON)},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A write key"},
                "query": {"type": "apiKey", "in": "query", "name": "key", "description": "A write key, for beacons"},
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _sending(operation: str, summary: str, description: str, content: dict[str, Any]) -> dict[str, Any]:
    def verdicts(words: str) -> dict[str, Any]:
        return {"description": words, "content": {_JSON: {"schema": _ref("Verdicts")}}}

    def problem(words: str, *, later: bool = False) -> dict[str, Any]:
        answer: dict[str, Any] = {"description": words, "content": {_JSON: {"schema": _ref("Problem")}}}
        if later:
            answer["headers"] = {
                "Retry-After": {"description": "Seconds to wait", "required": True, "schema": {"type": "integer"}}
            }
        return answer

    return {
        "operationId": operation,
        "summary": summary,
        "description": description,
        "security": [{"bearer": []}, {"query": []}],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "With events that have occurred_at and no event_id: their ids come from this key and "
                "their place in the request, so that the request can be sent again and counts once.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            },
            {
                "name": "Watershed-Line",
                "in": "header",
                "description": "The line of the file that a request of one event came from, in up to 18 digits; kept "
                "with a rejection. Anything else is no line, and is not looked at.",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": verdicts("Every event accepted, durably"),
            "207": verdicts("Some accepted, some rejected, all kept durably"),
            "400": {
                "description": "No event acceptable (verdicts; the rejected are kept), or the request unreadable",
                "content": {_JSON: {"schema": {"oneOf": [_ref("Verdicts"), _ref("Problem")]}}},
            },
            "401": problem("No write key, or one that is unknown, expired or revoked"),
            "408": problem("The body took too long; nothing was kept"),
            "413": problem("Too many bytes or events; nothing was kept"),
            "415": problem("A media type, character set or encoding that is not read; nothing was kept"),
            "429": problem("A limit of the key or the address is reached; nothing was kept", later=True),
            "503": problem("Nothing durable took the request; send all of it again", later=True),
        },
    }


def _reading(operation: str, summary: str, media_type: str) -> dict[str, Any]:
    schema = {"type": "object"} if media_type == _JSON else {"type": "string"}
    if operation == "contracts":
        schema = _ref("Contracts")
    return {
        "operationId": operation,
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "As named", "content": {media_type: {"schema": schema}}}},
    }


def _schemas(registry: Registry) -> dict[str, Any]:
    events = {f"Event_{contract.type}": _without_dialect(envelope_schema(contract)) for contract in registry}
    problem = {
        "type": "object",
        "required": ["error", "message"],
        "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
    }
    reason = {
        "type": "object",
        "required": ["pointer", "keyword", "message"],
        "properties": {
            "pointer": {"type": "string", "description": "JSON pointer into the event"},
            "keyword": {"type": "string", "description": "The schema's keyword, or one of the collector's own"},
            "message": {"type": "string"},
        },
    }
    accepted = {
        "type": "object",
        "additionalProperties": False,
        "required": ["index", "status", "event_id"],
        "properties": {
            "index": {"type": "integer", "minimum": 0, "description": "The event's place in the request"},
            "status": {"const": "accepted"},
            "event_id": {"type": "string", "format": "uuid"},
        },
    }
    rejected = {
        "type": "object",
        "additionalProperties": False,
        "required": ["index", "status", "reasons"],
        "properties": {
            "index": {"type": "integer", "minimum": 0},
            "status": {"const": "rejected"},
            "reasons": {"type": "array", "minItems": 1, "items": reason},
        },
    }
    return {
        **events,
        "Event": {"oneOf": [_ref(name) for name in events]},
        "Events": {"type": "array", "items": _ref("Event"), "minItems": 1},
        "ShortPageView": {
            "type": "object",
            "additionalProperties": False,
            "required": list(REQUIRED),
            "properties": _short_fields(registry),
        },
        "Verdicts": {
            "type": "object",
            "additionalProperties": False,
            "required": ["accepted", "rejected", "results"],
            "properties": {
                "accepted": {"type": "integer", "minimum": 0},
                "rejected": {"type": "integer", "minimum": 0},
                "results": {"type": "array", "items": {"oneOf": [accepted, rejected]}},
            },
        },
        "Problem": problem,
        "Readiness": {
            "type": "object",
            "required": ["status", "reasons"],
            "properties": {
                "status": {"enum": ["ready", "not ready"]},
                "reasons": {"type": "object", "additionalProperties": {"type": "string"}},
                "mode": {"enum": ["direct", "spool"], "description": "Where events go now"},
            },
        },
        "Contracts": {
            "type": "object",
            "required": ["contracts"],
            "properties": {
                "contracts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["event_type", "schema_version", "description", "browser", "schema"],
                    },
                }
            },
        },
    }


def _short_fields(registry: Registry) -> dict[str, Any]:
    """The fields of the short form, as the page view's contract has them under their own names; else just text."""
    if TYPE not in registry.types():
        return {name: {"type": "string"} for name in NAMES}
    event = envelope_schema(registry.newest(TYPE))
    return {name: _at(event, pointer) for name, pointer in NAMES.items()}


def _at(schema: dict[str, Any], pointer: str) -> dict[str, Any]:
    """The schema of the property that a JSON pointer into an event names."""
    for name in pointer[1:].split("/"):
        schema = schema["properties"][name]
    return schema


def _without_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$schema"}
