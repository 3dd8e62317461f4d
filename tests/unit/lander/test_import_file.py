"""Rows of CSV, NDJSON and Parquet become the same events, once, and bad ones are found by their number."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.import_file import FileImporter, Imported, survey
from collector.import_map import Layout, MappingError
from collector.import_rows import RowsError, format_of, rows
from collector.sender import Sender
from contracts.parse import HERE
from contracts.registry import Registry
from contracts.validate import EventValidator

REGISTRY = Registry.load(HERE)
PURCHASE = {
    "purchase_id": "p-1", "app_id": "a-1", "user_id": "007", "amount": "19.90", "currency": "EUR", "quantity": 2,
    "region": "DE",
}  # fmt: skip
AT = "2026-11-01T12:30:00Z"


class Collector:
    """Takes what the contract allows; remembers ids with their content, and refused lines with their number."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.sent = 0
        self.bad: list[tuple[str, Any]] = []
        self._validator = EventValidator(REGISTRY)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = gzip.decompress(request.content)
        if "Watershed-Line" in request.headers:
            self.bad.append((request.headers["Watershed-Line"], body))
            return httpx.Response(400, json={"results": [{"status": "rejected", "reasons": [{"keyword": "x"}]}]})
        for event in json.loads(body):
            assert self._validator.violations(event) == ()
            assert self.events.setdefault(event["event_id"], event) == event
            self.sent += 1
        return httpx.Response(200, json={"results": [{"status": "accepted"}] * len(json.loads(body))})


def imported(path: Path, collector: Collector | None, type_: str = "purchase", **layout: Any) -> Imported:
    made = Layout(REGISTRY.newest(type_), **layout)
    read_as = format_of(path)
    found = survey(rows(path, read_as), type_)
    if collector is None:
        return FileImporter(made, REGISTRY, found, None).run(rows(path, read_as))
    with Sender("http://collector", "key", transport=httpx.MockTransport(collector)) as sender:
        return FileImporter(made, REGISTRY, found, sender).run(rows(path, read_as))


def _csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


HEAD = "occurred_at,purchase_id,app_id,user_id,amount,currency,quantity,region"
LINE = f"{AT},p-1,a-1,007,19.90,EUR,2,DE"


def _written(tmp_path: Path, form: str) -> Path:
    row = {"occurred_at": AT, **PURCHASE}
    if form.startswith("csv"):
        path = _csv(tmp_path / "h.csv", HEAD, LINE)
    elif form.startswith("ndjson"):
        path = _csv(tmp_path / "h.ndjson", json.dumps(row))
    else:
        typed = {**row, "amount": Decimal("19.90"), "occurred_at": datetime(2026, 11, 1, 12, 30, tzinfo=UTC)}
        path = tmp_path / "h.parquet"
        pq.write_table(pa.Table.from_pylist([typed]), path)
    if form.endswith("gz"):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        return packed
    return path


@pytest.mark.parametrize("form", ["csv", "csv.gz", "ndjson", "ndjson.gz", "parquet"])
def test_a_row_is_the_same_event_in_every_format(tmp_path: Path, form: str) -> None:
    collector = Collector()
    done = imported(_written(tmp_path, form), collector)
    assert (done.rows, done.valid, done.bad, done.accepted) == (1, 1, 0, 1)
    (event,) = collector.events.values()
    assert event["data"] == PURCHASE
    assert event["occurred_at"] == AT
    assert UUID(event["event_id"]).version == 8


def test_a_file_imported_twice_counts_once_and_identical_rows_each_count(tmp_path: Path) -> None:
    collector = Collector()
    file = _csv(tmp_path / "h.csv", HEAD, LINE, LINE, LINE.replace("p-1", "p-2"), LINE)
    imported(file, collector)
    once = dict(collector.events)
    assert len(once) == 4
    imported(file, collector)
    assert collector.events == once
    assert collector.sent == 8


def test_a_better_mapping_makes_no_other_events_of_the_same_rows(tmp_path: Path) -> None:
    one, other = Collector(), Collector()
    file = _csv(tmp_path / "h.csv", HEAD.replace(",region", ""), LINE.removesuffix(",DE"))
    imported(file, one, constants={"region": "DE"})
    imported(file, other, constants={"region": "AT"})
    assert one.events.keys() == other.events.keys()


def test_an_id_in_the_file_is_the_events(tmp_path: Path) -> None:
    collector = Collector()
    own = "7f1c2d3e-0000-4000-8000-000000000001"
    imported(_csv(tmp_path / "h.csv", f"uuid,{HEAD}", f"{own},{LINE}"), collector, columns={"uuid": "event_id"})
    assert list(collector.events) == [own]


def test_columns_are_mapped_and_ignored_and_constants_set(tmp_path: Path) -> None:
    collector = Collector()
    file = _csv(tmp_path / "h.csv", "when;country;page;note", "x", "")
    file = _csv(tmp_path / "h.csv", "when,page,note", "2026-11-01 13:30,/home,hello")
    columns = {"when": "occurred_at", "page": "page_name"}
    done = imported(
        file,
        collector,
        "page_view",
        columns=columns,
        constants={"region": "AT", "is_bot": "false"},
        ignored=frozenset({"note"}),
        time_format="%Y-%m-%d %H:%M",
        zone=ZoneInfo("Europe/Vienna"),
    )
    assert done.bad == 0, done.first_bad
    (event,) = collector.events.values()
    assert event["data"] == {"page_name": "/home", "region": "AT", "is_bot": False}
    assert event["occurred_at"] == AT


@pytest.mark.parametrize(("format_", "text"), [("epoch", "1793536200"), ("epoch_ms", "1793536200000")])
def test_times_may_be_numbers(tmp_path: Path, format_: str, text: str) -> None:
    collector = Collector()
    imported(_csv(tmp_path / "h.csv", HEAD, LINE.replace(AT, text)), collector, time_format=format_)
    assert [e["occurred_at"] for e in collector.events.values()] == [AT]


def test_bad_rows_are_counted_shown_and_handed_over_with_their_number(tmp_path: Path) -> None:
    collector = Collector()
    quoted = LINE.replace("a-1", '"a\nb"')  # goes over two lines, and no app is called so
    lines = (HEAD, LINE, LINE.replace("19.90", "dear"), quoted, "too,few", LINE.replace(AT, "yesterday"), LINE)
    done = imported(_csv(tmp_path / "h.csv", *lines), collector)
    assert (done.rows, done.valid, done.bad) == (6, 2, 4)
    assert [bad.number for bad in done.first_bad] == [3, 4, 6, 7]
    assert "/data/amount" in done.first_bad[0].reasons[0]
    assert "has 2 cells, not 8" in done.first_bad[2].reasons[0]
    assert "/occurred_at" in done.first_bad[3].reasons[0]
    assert [number for number, _ in collector.bad] == ["3", "4", "6", "7"]
    assert json.loads(collector.bad[0][1])["data"]["amount"] == "dear"
    assert len(collector.events) == 2


def test_a_dry_run_finds_the_same_bad_rows(tmp_path: Path) -> None:
    file = _csv(tmp_path / "h.csv", HEAD, LINE, LINE.replace("EUR", "euro"), LINE.replace("2026-11-01", "1999-11-01"))
    dry = imported(file, None)
    assert (dry.valid, dry.bad, dry.accepted) == (1, 2, 0)
    assert [bad.number for bad in dry.first_bad] == [3, 4]
    assert imported(file, Collector()).first_bad == dry.first_bad


def test_a_row_without_a_time_is_no_history(tmp_path: Path) -> None:
    done = imported(_csv(tmp_path / "h.csv", HEAD, LINE.removeprefix(AT)), Collector())
    assert done.bad == 1


def test_bytes_that_are_no_text_spoil_their_row_only(tmp_path: Path) -> None:
    collector = Collector()
    file = tmp_path / "h.csv"
    file.write_bytes(f"{HEAD}\n{LINE}\n".encode() + LINE.encode().replace(b"007", b"\xff") + b"\n")
    done = imported(file, collector)
    assert (done.valid, done.bad, done.first_bad[0].reasons) == (1, 1, ["is not UTF-8"])
    assert b"\xff" in collector.bad[0][1]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ({"columns": {"x": "price"}}, "purchase has no field 'price'; it has amount"),
        ({"columns": {"x": "amount", "y": "amount"}}, "one column or one constant"),
        ({"columns": {"x": "region"}, "constants": {"region": "DE"}}, "one column or one constant"),
    ],
)
def test_a_mapping_to_nowhere_is_refused_before_anything_is_read(layout: dict[str, Any], said: str) -> None:
    with pytest.raises(MappingError, match=said):
        Layout(REGISTRY.newest("purchase"), **layout)


def test_what_is_damaged_or_of_another_format_is_said(tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(f"{HEAD}\n{LINE}\n".encode())[:-9])
    (tmp_path / "none.parquet").write_bytes(b"PAR0")
    for path in (cut, tmp_path / "none.parquet", _csv(tmp_path / "twice.csv", "a,a", "1,2")):
        with pytest.raises(RowsError):
            list(rows(path, format_of(path)))
    with pytest.raises(RowsError, match="what format"):
        format_of(tmp_path / "history.dat")


def test_rows_are_read_as_they_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.parquet"
    at = datetime(2026, 11, 1, tzinfo=UTC)
    pq.write_table(pa.Table.from_pylist([{"occurred_at": at, "page_name": f"/{n}"} for n in range(3000)]), path)
    monkeypatch.setattr("collector.import_rows.ROWS_AT_ONCE", 100)
    batches, ahead = 0, []
    whole = pq.ParquetFile.iter_batches

    def counted(*words: Any, **more: Any) -> Iterator[pa.RecordBatch]:
        nonlocal batches
        for batch in whole(*words, **more):
            batches += 1
            yield batch

    class Watching(Collector):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = super().__call__(request)
            ahead.append(batches * 100 - self.sent)
            return answer

    layout = Layout(REGISTRY.newest("page_view"), constants={"region": "DE"})
    found = survey(rows(path, "parquet"), "page_view")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    with Sender("http://collector", "key", 500, transport=httpx.MockTransport(Watching())) as sender:
        done = FileImporter(layout, REGISTRY, found, sender).run(rows(path, "parquet"))
    assert done.accepted == found.rows == 3000
    assert max(ahead) <= 200, "rows are in memory before they are needed"
