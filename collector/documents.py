"""What the collector answers to GET: contracts, OpenAPI, tracker, health, metrics."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from collector import openapi
from collector.app import App, Document
from collector.keys import KeyRing
from collector.metrics import Metrics
from collector.parse import Limits
from collector.publish import Publisher
from contracts.registry import Registry

TRACKER = Path(__file__).with_name("tracker.min.js")
"""Made of tracker.js by ``make generate``."""
_JSON = "application/json"
_encode = msgspec.json.encode


def documents(
    *, registry: Registry, limits: Limits, metrics: Metrics, app: App, keys: KeyRing, publisher: Publisher
) -> dict[str, Document]:
    """Every path that is read, and how its answer is made."""

    def fixed(content_type: str, body: bytes, cache: str = "no-cache") -> Document:
        return Document(content_type, lambda: (200, body), cache)

    tracker = TRACKER.read_bytes()

    def ready() -> tuple[int, bytes]:
        reasons = not_ready(app, keys, publisher)
        state = {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "mode": "direct" if publisher.direct else "spool",
        }
        return (503 if reasons else 200), _encode(state)

    return {
        "/contracts": fixed(_JSON, _encode({"contracts": contracts(registry)})),
        "/openapi.json": fixed(_JSON, _encode(openapi.document(registry, limits))),
        "/tracker.js": Document(
            "text/javascript; charset=utf-8",
            lambda: (200, tracker),
            "public, max-age=3600",
            gzip.compress(tracker, mtime=0),
        ),
        "/health/live": fixed(_JSON, b'{"status":"live"}', "no-store"),
        "/health/ready": Document(_JSON, ready),
        "/metrics": Document(CONTENT_TYPE_LATEST, lambda: (200, generate_latest(metrics.registry))),
    }


def contracts(registry: Registry) -> list[dict[str, Any]]:
    """Every version of every type, with the JSON Schema of its ``data``."""
    return [
        {
            "event_type": contract.type,
            "schema_version": contract.version,
            "description": contract.description,
            "browser": contract.browser,
            "schema": contract.schema,
        }
        for type_ in registry.types()
        for contract in (registry.get(type_, version) for version in registry.versions(type_))
    ]


def not_ready(app: App, keys: KeyRing, publisher: Publisher) -> dict[str, str]:
    """Why events are refused now, by part. Kafka's absence is none while the spool has room."""
    reasons = {}
    if app.refusing:
        reasons["collector"] = app.refusing
    if not publisher.room():
        reasons["spool"] = "Kafka is away and the spool is full"
    if app.missing_topics:
        reasons["topics"] = f"Kafka has no {', '.join(sorted(app.missing_topics))} (`watershed topics ensure`)"
    if keys.trouble:
        reasons["keys"] = keys.trouble
    return reasons
