"""The daily report: a real dashboard's picture and rows, to a real mail server, once."""

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from alerts.report import ReportError, due, make, send
from alerts.tell import Teller
from runtime.mail import Mailer
from superset_config.bundle import Bundle
from superset_config.screenshot import BrowserSettings
from tests.integration.mail_sink import Sink
from tests.integration.superset.conftest import TODAY, Home

SLUG = "page-views"


@pytest.fixture
def reporter(stack: Any) -> BrowserSettings:
    """As the room that makes reports is told."""
    own = {name.lower(): value for name, value in stack.own("mail_report").items()}
    return BrowserSettings.model_validate(own)


def test_a_tenant_s_day_is_mailed_once_with_picture_and_rows(
    superset_env: Mapping[str, str], homes: tuple[Home, Home], reporter: BrowserSettings, mail_sink: Sink
) -> None:
    home, other = homes
    dsn, day = superset_env["ALERTER_DSN"], TODAY.date()
    teller = Teller(Mailer("127.0.0.1", mail_sink.port, "w@here.example", starttls=False), ("ops@here.example",))
    assert due(dsn, day, SLUG, [home.name, "nobody"]) == [home.name]
    send(dsn, teller, make(reporter, Bundle.load(), SLUG, home.name, day), SLUG)
    assert due(dsn, day, SLUG, [home.name]) == []
    with psycopg.connect(superset_env["WAREHOUSE_DSN"]) as connection:
        connection.execute("delete from ledger.reports where tenant = %s", (home.name,))
    (message,) = mail_sink.taken
    assert home.name in message["Subject"]
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    content = picture.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
    files = {part.get_filename(): str(part.get_payload(decode=True), "utf-8") for part in message.iter_attachments()}
    pages = files[f"{day.isoformat()}-top-pages.csv"]
    assert home.page in pages
    assert "1000" in pages
    assert other.page not in str(files)


def test_a_dashboard_that_is_not_there_is_named(reporter: BrowserSettings) -> None:
    with pytest.raises(ReportError, match=r"choose from .*page-views"):
        make(reporter, Bundle.load(), "nosuch", "acme", TODAY.date())
