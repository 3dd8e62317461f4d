"""Rows of CSV, NDJSON and Parquet become the same events, once, and bad ones are found by their number."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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
from collector.sender import MAX_BODY_BYTES, Away, Sender
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


def test_a_row_without_a_time_or_ahead_of_it_is_no_history(tmp_path: Path) -> None:
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    done = imported(_csv(tmp_path / "h.csv", HEAD, LINE.removeprefix(AT), LINE.replace(AT, ahead)), Collector())
    assert [bad.number for bad in done.first_bad] == [2, 3]
    assert "no column gives the time" in done.first_bad[0].reasons[0]
    assert done.first_bad[1].reasons == ["/occurred_at lies ahead"]


def test_lines_of_json_that_are_no_rows_are_found_by_their_number(tmp_path: Path) -> None:
    collector = Collector()
    row = {"occurred_at": AT, **PURCHASE}
    cheap = {**row, "amount": "cheap"}
    lines = ("", json.dumps(row), "{no json", "[1]", "  ", "7", json.dumps(cheap), json.dumps({**row, "x": None}))
    done = imported(_csv(tmp_path / "h.ndjson", *lines), collector)
    assert (done.rows, done.valid) == (6, 2), "empty lines are no rows, and a null is no value"
    assert [bad.number for bad in done.first_bad] == [3, 4, 6, 7]
    assert [number for number, _ in collector.bad] == ["3", "4", "6", "7"]
    assert [text for _, text in collector.bad[:3]] == [b"{no json", b"[1]", b"7"]


def test_rows_of_parquet_are_found_by_their_number_and_what_json_has_not_is_no_event(tmp_path: Path) -> None:
    collector = Collector()
    at = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)
    row = {"occurred_at": at, **PURCHASE, "amount": 19.9, "quantity": 2.0, "user_id": b"007", "subdivision": None}
    changes: list[dict[str, Any]] = [
        {"quantity": 2.5}, {"amount": float("nan")}, {"amount": float("inf")}, {"user_id": b"\xff"}, {"region": None}
    ]  # fmt: skip
    path = tmp_path / "h.parquet"
    pq.write_table(pa.Table.from_pylist([row, *({**row, **change} for change in changes), row]), path)
    done = imported(path, collector)
    assert (done.rows, done.valid) == (7, 2)
    assert [bad.number for bad in done.first_bad] == [2, 3, 4, 5, 6]
    for bad, name in zip(done.first_bad, ("quantity", "amount", "amount", "user_id", "region"), strict=True):
        assert name in str(bad.reasons)
    assert json.loads(collector.bad[1][1])["data"]["amount"] == "nan"
    assert [event["data"] for event in collector.events.values()] == [{**PURCHASE, "amount": "19.9"}] * 2


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    collector = Collector()
    file = _csv(tmp_path / "h.csv", f"\ufeff{HEAD},subdivision", f"{LINE},", "", f"{LINE},")
    done = imported(file, collector)
    assert (done.rows, done.valid) == (2, 2), done.first_bad
    assert all(event["data"] == PURCHASE for event in collector.events.values()), "an empty cell is no value"


def test_numbers_and_times_that_are_none_are_bad_rows_and_end_nothing(tmp_path: Path) -> None:
    lines = [LINE.replace(",2,", f",{quantity},") for quantity in ("many", "2.5", "1e30", "")]
    lines += [LINE.replace(AT, at) for at in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00")]
    done = imported(_csv(tmp_path / "h.csv", HEAD, *lines, LINE), Collector())
    assert (done.rows, done.valid, done.bad) == (7, 1, 6)
    epoch = [LINE.replace(AT, at) for at in ("soon", "nan", "1e400", "9" * 40)]
    done = imported(_csv(tmp_path / "h.csv", HEAD, *epoch, LINE.replace(AT, "1e9")), None, time_format="epoch")
    assert (done.rows, done.bad) == (5, 5), "the last is of 2001"
    assert [bad.reasons[0].split()[0] for bad in done.first_bad] == ["/occurred_at"] * 5


def test_an_offset_in_the_file_goes_before_the_zone_of_those_without(tmp_path: Path) -> None:
    collector = Collector()
    lines = [LINE.replace(AT, at) for at in ("2026-11-01T12:30:00Z", "2026-11-01T07:30-05:00", "2026-11-01T13:30")]
    imported(_csv(tmp_path / "h.csv", HEAD, *lines), collector, zone=ZoneInfo("Europe/Vienna"))
    assert [event["occurred_at"] for event in collector.events.values()] == [AT] * 3


def test_two_columns_of_one_field_make_a_bad_row_and_a_constant_gives_way(tmp_path: Path) -> None:
    collector = Collector()
    file = _csv(tmp_path / "h.csv", f"{HEAD},net", f"{LINE},15.00", f"{LINE},", f"{LINE.removesuffix('DE')},")
    done = imported(file, collector, columns={"net": "amount"}, constants={"region": "AT"})
    assert [(bad.number, bad.reasons) for bad in done.first_bad] == [
        (2, ["amount is given by columns amount and net: --ignore one"])
    ]
    assert json.loads(collector.bad[0][1])["net"] == "15.00", "the row as it stands there"
    assert [event["data"]["region"] for event in collector.events.values()] == ["DE", "AT"]
    assert imported(file, None, columns={"net": "amount"}, ignored=frozenset({"net"})).first_bad[0].number == 4


def test_of_many_bad_rows_the_first_are_shown_and_all_are_counted_and_handed_over(tmp_path: Path) -> None:
    collector = Collector()
    done = imported(_csv(tmp_path / "h.csv", HEAD, *["too,few"] * 50, LINE), collector)
    assert (done.bad, len(done.first_bad), done.valid) == (50, 10, 1)
    assert done.reasons == {"has 2 cells, not 8": 50}
    assert [number for number, _ in collector.bad] == [str(number) for number in range(2, 52)]


def test_a_bad_row_of_any_size_ends_nothing(tmp_path: Path) -> None:
    collector = Collector()
    lines = ("x" * 2_000_000, json.dumps({"occurred_at": AT, **PURCHASE}))
    done = imported(_csv(tmp_path / "h.ndjson", *lines), collector)
    assert (done.valid, done.bad) == (1, 1)
    assert len(collector.bad[0][1]) == MAX_BODY_BYTES, "what the collector takes of it"
    done = imported(_csv(tmp_path / "h.csv", HEAD, '""', LINE), collector)
    assert (done.valid, done.bad) == (1, 1)
    assert collector.bad[1] == ("2", b"-"), "a request needs a body"


def test_an_import_that_was_broken_off_is_done_again_and_counts_once(tmp_path: Path) -> None:
    file = _csv(tmp_path / "h.csv", HEAD, *[LINE.replace("p-1", f"p-{n // 2}") for n in range(1000)])

    class Leaving(Collector):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if self.sent >= 600:
                raise httpx.ConnectError("away")
            return super().__call__(request)

    collector = Leaving()
    layout, found = Layout(REGISTRY.newest("purchase")), survey(rows(file, "csv"), "purchase")
    with (
        Sender("http://c", "key", 300, patience=0.0, transport=httpx.MockTransport(collector)) as sender,
        pytest.raises(Away),
    ):
        FileImporter(layout, REGISTRY, found, sender).run(rows(file, "csv"))
    whole = Collector()
    whole.events = dict(collector.events)
    assert len(whole.events) == 600
    imported(file, whole)
    assert len(whole.events) == 1000, "the identical rows of a pair are two, in both runs the same two"


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
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(RowsError, match="name the columns"):
        list(rows(tmp_path / "empty.csv", "csv"))
    unclosed = _csv(tmp_path / "unclosed.csv", HEAD, LINE, LINE.replace("a-1", '"a-1'), *[LINE] * 5000)
    with pytest.raises(RowsError, match="line 3: field larger than field limit"):
        list(rows(unclosed, "csv"))
    with pytest.raises(RowsError, match="what format"):
        format_of(tmp_path / "history.dat")


def test_rows_are_read_as_they_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.parquet"
    at = datetime(2026, 11, 1, tzinfo=UTC)
    pq.write_table(pa.Table.from_pylist([{"occurred_at": at, "page_name": f"/{n}"} for n in range(3000)]), path)
    monkeypatch.setattr("collector.import_rows.ROWS_AT_ONCE", 100)
    read, ahead = 0, []
    whole = pq.ParquetFile.iter_batches

    def counted(*words: Any, **more: Any) -> Iterator[pa.RecordBatch]:
        nonlocal read
        for batch in whole(*words, **more):
            read += batch.num_rows
            yield batch

    class Watching(Collector):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            answer = super().__call__(request)
            ahead.append(read - self.sent)
            return answer

    layout = Layout(REGISTRY.newest("page_view"), constants={"region": "DE"})
    found = survey(rows(path, "parquet"), "page_view")
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    with Sender("http://collector", "key", 500, transport=httpx.MockTransport(Watching())) as sender:
        done = FileImporter(layout, REGISTRY, found, sender).run(rows(path, "parquet"))
    assert done.accepted == found.rows == 3000
    assert max(ahead) <= 200, "rows are in memory before they are needed"
