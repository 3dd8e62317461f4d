"""The daily report: a real dashboard's picture and rows, to a real mail server, once."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from alerts.board import ReportError, read_board
from alerts.due import Due
from alerts.report import mail_reports, make
from alerts.tell import Teller
from runtime.mail import Mailer
from superset_config.bundle import Bundle
from superset_config.screenshot import BrowserSettings, dashboard_url
from tests.integration.mail_sink import Sink
from tests.integration.superset.conftest import TODAY, Home

SLUG = "page-views"


@pytest.fixture
def reporter(stack: Any) -> BrowserSettings:
    """As the room that makes reports is told."""
    own = {name.lower(): value for name, value in stack.own("mail_report").items()}
    return BrowserSettings.model_validate(own)


@pytest.fixture
def over(superset_env: Mapping[str, str], homes: tuple[Home, Home]) -> Iterator[None]:
    """The first home's day is over, and everything of it is counted; the second's is not, whatever the clock says."""
    counted = {homes[0].name: TODAY + timedelta(days=1), homes[1].name: TODAY + timedelta(hours=9)}
    with psycopg.connect(superset_env["WAREHOUSE_DSN"], autocommit=True) as connection:
        of_home = "where tenant = %s and event_type = 'page_view'"
        through = f"update marts.freshness set complete_through = %s {of_home}".encode()
        was = {}
        for name, instant in counted.items():
            ((was[name],),) = connection.execute(
                f"select complete_through from marts.freshness {of_home}".encode(), (name,)
            )
            connection.execute(through, (instant, name))
        yield
        for name, instant in was.items():
            connection.execute(through, (instant, name))
            connection.execute("delete from ledger.reports where tenant = %s", (name,))


@pytest.mark.usefixtures("over")
def test_a_tenant_s_day_is_mailed_once_with_picture_and_rows(
    superset_env: Mapping[str, str],
    homes: tuple[Home, Home],
    reporter: BrowserSettings,
    mail_sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, other = homes
    monkeypatch.setattr(BrowserSettings, "read", lambda: reporter)
    dsn, day = superset_env["ALERTER_DSN"], TODAY.date()
    teller = Teller(Mailer("127.0.0.1", mail_sink.port, "w@here.example", starttls=False), ("ops@here.example",))
    both = [home.name, other.name, "nobody"]
    sent, found = mail_reports(dsn, teller, SLUG, [day], both)
    assert sent == [Due(home.name, day)]
    assert found.running + len(found.incomplete) == 1, "the other's day is not complete"
    assert mail_reports(dsn, teller, SLUG, [day], both)[0] == []
    (message,) = mail_sink.taken
    assert home.name in message["Subject"]
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    content = picture.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
    files = {part.get_filename(): str(part.get_payload(decode=True), "utf-8") for part in message.iter_attachments()}
    assert {str(name).removeprefix(f"{day}-").removesuffix(".csv") for name in files} == {
        "bot-views", "page-views", "page-views-by-region", "page-views-over-time", "regions", "top-pages", "visitors",
        "visitors-over-time",
    }  # fmt: skip
    pages = files[f"{day}-top-pages.csv"]
    assert home.page in pages
    assert "1000" in pages
    assert other.page not in str(files)


def test_a_picture_that_opened_on_another_tenant_is_not_sent(
    homes: tuple[Home, Home], reporter: BrowserSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would when the filter Tenant were called otherwise in the address than on the dashboard."""
    home, other = homes
    board = read_board(Bundle.load(), SLUG)
    monkeypatch.setattr("alerts.report.dashboard_url", lambda base, slug, _: dashboard_url(base, slug, other.name))
    with pytest.raises(ReportError, match=rf"chart 'Visitors' asked for {other.name} and not for {home.name}") as wrong:
        make(reporter, board, Due(home.name, TODAY.date()))
    assert str(wrong.value).count("asked for") == len(board.of_tenant)


def test_a_dashboard_that_is_not_there_is_named() -> None:
    with pytest.raises(ReportError, match=r"choose from .*page-views"):
        read_board(Bundle.load(), "nosuch")
