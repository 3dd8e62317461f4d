"""What an access log must come to in the charts, counted from its lines."""

from pathlib import Path

import pytest

from demo import access_log
from demo.run import DemoError
from demo.truth import Views

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
BOT = "Googlebot/2.1 (+http://www.google.com/bot.html)"


def _line(
    path: str = "/",
    status: int = 200,
    agent: str = PERSON,
    address: str = "192.0.2.1",
    at: str = "20/Nov/2026:12:00:00 +0000",
) -> bytes:
    return f'{address} - - [{at}] "GET {path} HTTP/1.1" {status} 10 "-" "{agent}"'.encode()


def test_every_readable_line_is_a_request_and_page_requests_are_views() -> None:
    lines = [_line(), _line("/logo.png"), _line("/feed"), _line(status=500), _line(status=304)]
    lines += [_line(status=404), _line(status=499), b"not a line of a log"]
    truth = access_log.count(lines, "t")
    assert truth.totals["request_log"]["2026-11-20"] == {"requests": "7", "client_errors": "2", "errors": "1"}
    assert truth.totals["page_view"]["2026-11-20"] == {"page_views": "2", "bot_page_views": "0"}


def test_identical_lines_each_count() -> None:
    truth = access_log.count([_line()] * 3, "t")
    assert truth.views == {"2026-11-20": {"ZZ": Views(page_views=3, bot_page_views=0, visitors=1)}}


def test_a_visitor_is_an_address_with_an_agent_and_bots_are_none() -> None:
    lines = [_line(), _line(agent=PERSON + " x"), _line(address="192.0.2.2"), _line(agent=BOT)]
    truth = access_log.count(lines, "t")
    assert truth.views["2026-11-20"]["ZZ"] == Views(page_views=3, bot_page_views=1, visitors=3)


def test_a_day_is_a_day_in_utc() -> None:
    truth = access_log.count([_line(at="20/Nov/2026:23:30:00 -0500")], "t")
    assert list(truth.views) == ["2026-11-21"]


def test_a_log_has_a_tenant_of_its_own(tmp_path: Path) -> None:
    one, other = tmp_path / "one.log", tmp_path / "other.log"
    one.write_bytes(_line())
    other.write_bytes(_line("/other"))
    assert access_log.tenant_of(one) == access_log.tenant_of(one)
    assert access_log.tenant_of(one) != access_log.tenant_of(other)
    with pytest.raises(DemoError, match=r"gone\.log"):
        access_log.tenant_of(tmp_path / "gone.log")
