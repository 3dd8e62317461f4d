"""The written documents are true: OpenAPI, the table of codes and settings, the tracker's promises."""

import gzip
import re
from pathlib import Path

from openapi_spec_validator import validate

from collector import openapi
from collector.documents import TRACKER, contracts
from collector.parse import Limits
from collector.settings import CollectorSettings
from contracts.registry import Registry

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "collector.md").read_text()
DOCUMENT = openapi.document(Registry.load(), Limits(32768, 1000, 1_000_000))
ROUTES = {
    ("/events", "post"), ("/page-view", "post"), ("/contracts", "get"), ("/health/live", "get"),
    ("/health/ready", "get"), ("/metrics", "get"), ("/tracker.js", "get"), ("/openapi.json", "get"),
}  # fmt: skip


def test_the_openapi_document_is_valid_and_names_every_route() -> None:
    validate(DOCUMENT)
    assert {(path, method) for path, item in DOCUMENT["paths"].items() for method in item} == ROUTES


def test_every_contract_is_in_the_openapi_document() -> None:
    for type_ in Registry.load().types():
        assert f"Event_{type_}" in DOCUMENT["components"]["schemas"]
    assert {c["event_type"] for c in contracts(Registry.load())} == set(Registry.load().types())


def test_the_page_lists_exactly_the_codes_of_the_openapi_document() -> None:
    table = PAGE.split("## Answers", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| (\d{3}) \|", table, re.MULTILINE)) == {
        *DOCUMENT["paths"]["/events"]["post"]["responses"]
    }


def test_the_page_lists_every_setting_with_its_default_and_words() -> None:
    table = PAGE.split("## Settings", 1)[1]
    for name, field in CollectorSettings.model_fields.items():
        default = "required" if field.is_required() else f"`{field.default}`"
        assert f"| `{name.upper()}` | {default} | {field.description} |" in table, f"docs/collector.md: {name}"
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    assert listed == {name.upper() for name in CollectorSettings.model_fields}


def test_the_tracker_is_small_and_follows_the_contract() -> None:
    assert len(gzip.compress(TRACKER.read_bytes())) <= 3 * 1024
    source = TRACKER.with_name("tracker.js").read_text()
    view = source.split('track("page_view", {', 1)[1].split("});", 1)[0]
    fields = set(re.findall(r"^  (\w+)[:,]", view, re.MULTILINE)) | set(re.findall(r"(\w+): kept\(", source))
    contract = Registry.load().newest("page_view")
    assert {"visitor_id", "session_id", "device", "referrer"} <= fields <= {field.name for field in contract.fields}
    assert {field.name for field in contract.fields if field.required} <= fields


def test_the_page_of_the_tracker_lists_every_option() -> None:
    options = set(re.findall(r"options\.(\w+)", TRACKER.with_name("tracker.js").read_text()))
    page = (Path(__file__).resolve().parents[3] / "docs" / "tracker.md").read_text()
    assert set(re.findall(r"^\| `data-(\w+)` \|", page, re.MULTILINE)) == options
