"""The daily report as a mail, and its rows as CSV."""

from datetime import date

from alerts.report import Report, as_csv, mail_of

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
