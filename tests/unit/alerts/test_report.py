"""The daily report as a mail, and its rows as CSV."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from alerts import report as reports
from alerts.board import Board, ReportError, read_board
from alerts.due import Due, Standing
from alerts.report import Report, as_csv, mail_of, mail_reports, of_others
from alerts.tell import Teller
from runtime.mail import Mailer
from superset_config.bundle import Bundle

REPORT = Report(
    "acme", date(2026, 11, 28), "Page <views>", "http://superset/x?a=1&b=2", b"png", [("d.csv", "a\r\n1\r\n")]
)


def test_the_picture_is_in_the_page_and_the_rows_are_beside_it() -> None:
    message = mail_of(REPORT, ("ops@here.example",)).message("w@here.example")
    assert message["Subject"] == "Page <views>: acme, 2026-11-28"
    page = message.get_body(("html",))
    assert page is not None
    html = page.get_content()
    assert "cid:2026-11-28.png" in html
    assert "Page &lt;views&gt;" in html
    assert "a=1&amp;b=2" in html
    assert [part.get_filename() for part in message.iter_attachments()] == ["d.csv"]


def test_rows_are_csv_with_a_line_of_names() -> None:
    assert as_csv([{"page": 'a "b", c', "views": 3}]).splitlines() == ["page,views", '"a ""b"", c",3']


def test_a_name_that_a_spreadsheet_would_run_is_text() -> None:
    for name in ("=1+1", "+1", "-1", "@sum(a)", "\t=1"):
        assert as_csv([{"page": name}]).splitlines()[1].lstrip('"').startswith("'")
    assert as_csv([{"views": -1}]).splitlines()[1] == "-1"


def test_a_mail_says_when_and_why_its_numbers_are_not_final() -> None:
    message = mail_of(replace(REPORT, preliminary="12 hours after <the> day's end"), ("ops@here.example",)).message(
        "w@x"
    )
    assert message["Subject"] == "Page <views>: acme, 2026-11-28 (preliminary)"
    page, text = message.get_body(("html",)), message.get_body(("plain",))
    assert page is not None
    assert text is not None
    assert "Preliminary: 12 hours after &lt;the&gt; day" in page.get_content()
    assert "Preliminary: 12 hours after <the> day's end." in text.get_content()
    assert "reliminary" not in str(mail_of(REPORT, ("ops@here.example",)).message("w@x"))


BUNDLE = Bundle.load()


@pytest.fixture(scope="module")
def board() -> Board:
    return read_board(BUNDLE, "page-views")


def test_only_charts_that_dates_reach_have_rows_of_a_day(board: Board) -> None:
    assert {"Page views", "Top pages", "Regions", "Visitors over time"} <= set(board.of_day.values())
    assert len(board.of_day) == 8
    assert not any(name.startswith(("So far", "Complete through", "Can I trust")) for name in board.of_day.values())


def test_a_report_waits_for_the_event_types_of_its_dashboard_and_no_other(board: Board) -> None:
    assert board.event_types == ("page_view",)
    assert {"region_daily", "page_daily"} <= set(board.marts)
    assert read_board(BUNDLE, "service-health").event_types == ("request_log",)


@pytest.mark.parametrize("slug", [str(each.content["slug"]) for each in BUNDLE.of("dashboards")])
def test_every_dashboard_can_be_reported_on(slug: str) -> None:
    found = read_board(BUNDLE, slug)
    assert found.of_tenant, "a picture of one tenant needs the filter"
    assert found.event_types


ASKED: Mapping[int, Collection[str]] = {1: {"acme"}, 2: {"acme"}}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({**ASKED, 2: {"beta"}}, "beta"),
        ({**ASKED, 2: {"acme", "beta"}}, "acme, beta"),
        ({**ASKED, 2: {"(everybody)"}}, "everybody"),
        ({1: {"acme"}}, "nothing"),
    ],
)
def test_a_picture_of_another_tenants_numbers_is_not_sent(asked: Mapping[int, Collection[str]], words: str) -> None:
    charts = {1: "Views", 2: "Visitors"}
    assert of_others(charts, ASKED, "acme") == []
    (wrong,) = of_others(charts, asked, "acme")
    assert "'Visitors'" in wrong
    assert words in wrong


def test_a_tenant_whose_report_cannot_be_made_keeps_no_other_from_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The failure is told all the same, when all were tried."""
    for name, value in (("SUPERSET_URL", "http://x"), ("SUPERSET_USER", "u"), ("SUPERSET_PASSWORD", "p")):
        monkeypatch.setenv(name, value)
    days = [date(2026, 11, 28)]
    sent: list[str] = []

    def make(_settings: Any, _board: Board, due: Due) -> Report:
        if due.tenant == "a":
            raise ReportError("a chart is empty")
        return replace(REPORT, tenant=due.tenant)

    monkeypatch.setattr(Bundle, "load", lambda: BUNDLE)
    monkeypatch.setattr(reports, "read_unsent", lambda *_: [])
    monkeypatch.setattr(reports, "standing", lambda *_: Standing([Due("a", days[0]), Due("b", days[0])]))
    monkeypatch.setattr(reports, "make", make)
    monkeypatch.setattr(reports, "send", lambda _dsn, _teller, made, _slug: sent.append(made.tenant))
    with pytest.raises(ReportError, match="a, 2026-11-28: a chart is empty"):
        mail_reports("", Teller(Mailer("nowhere", 1, "w@x"), ("o@x",)), "page-views", days)
    assert sent == ["b"]
