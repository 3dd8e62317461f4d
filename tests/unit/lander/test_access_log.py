"""Lines of access logs: what they say, which are page views, and what is kept of those that cannot be read."""

from datetime import UTC, datetime

import pytest

from collector.access_log import BadLine, is_asset, is_feed, parse_line, without_addresses

COMMON = b'192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a/b.html?x=1#y HTTP/1.0" 200 2326'
COMBINED = COMMON + b' "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)"'


def test_a_combined_line_is_read() -> None:
    request = parse_line(COMBINED)
    assert request.at == datetime(2000, 10, 10, 20, 55, 36, tzinfo=UTC)
    assert (request.address, request.method, request.path, request.query) == ("192.0.2.7", "GET", "/a/b.html", "x=1#y")
    assert (request.status, request.referrer) == (200, "http://www.example.com/start.html")
    assert request.agent.startswith("Mozilla/4.08")
    assert request.is_page_view


def test_a_common_line_has_neither_referrer_nor_agent() -> None:
    request = parse_line(COMMON)
    assert (request.referrer, request.agent) == (None, "")


@pytest.mark.parametrize(
    ("line", "method", "path"),
    [
        (b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "-" 408 -', "OTHER", "-"),
        (b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "\\x16\\x03\\x01" 400 226', "OTHER", "\\x16\\x03\\x01"),
        (b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "BREW /pot HTTP/1.1" 418 0', "OTHER", "/pot"),
        (b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET http://h.example/p?q HTTP/1.1" 200 0', "GET", "/p"),
        (b'::1 - - [10/Oct/2000:13:55:36 +0000] "GET /two words HTTP/1.1" 200 0', "GET", "/two%20words"),
        ('::1 - - [10/Oct/2000:13:55:36 +0000] "GET /café HTTP/1.1" 200 0'.encode(), "GET", "/caf%C3%A9"),
        (b'::1 - - [10/Oct/2000:13:55:36 +0000] "GET /a\\"b HTTP/1.1" 200 0', "GET", '/a"b'),
        (b'::1 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 0 "-" "agent cut o', "GET", "/"),
        (b'::1 - John Doe [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 0 "-" "say \\"x\\""', "GET", "/"),
    ],
)
def test_odd_lines_are_read_all_the_same(line: bytes, method: str, path: str) -> None:
    request = parse_line(line)
    assert (request.method, request.path) == (method, path)


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish",
        b'1.2.3.4 - - [10/Foo/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 0',
        b'1.2.3.4 - - [31/Feb/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 0',
        b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 999 0',
        b'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" ok 0',
        b'1.2.3.4 - - [01/Jan/0001:00:00:00 +2300] "GET / HTTP/1.1" 200 0',
        b"\xff\xfe\x00\x01",
    ],
)
def test_what_is_no_line_of_a_log_is_bad(line: bytes) -> None:
    with pytest.raises(BadLine):
        parse_line(line)


@pytest.mark.parametrize(
    ("request_line", "status", "page"),
    [
        ("GET / HTTP/1.1", 200, True),
        ("GET / HTTP/1.1", 206, True),
        ("GET / HTTP/1.1", 304, True),
        ("GET / HTTP/1.1", 301, False),
        ("GET / HTTP/1.1", 404, False),
        ("POST / HTTP/1.1", 200, False),
        ("HEAD / HTTP/1.1", 200, False),
        ("GET /logo.PNG HTTP/1.1", 200, False),
        ("GET /style.css?v=3 HTTP/1.1", 200, False),
        ("GET /blog/?flav=rss20 HTTP/1.1", 200, False),
        ("GET /blog/?a=1&flav=atom HTTP/1.1", 200, False),
        ("GET /blog/?flavour=1 HTTP/1.1", 200, True),
        ("GET /index.xml HTTP/1.1", 200, False),
        ("GET /blog/feed/ HTTP/1.1", 200, False),
        ("GET /v1.2/notes HTTP/1.1", 200, True),
    ],
)
def test_a_page_view_is_a_get_answered_of_neither_asset_nor_feed(request_line: str, status: int, page: bool) -> None:
    line = f'1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "{request_line}" {status} 1'.encode()
    assert parse_line(line).is_page_view is page


def test_lists_are_asked_by_the_last_part_of_the_path() -> None:
    assert is_asset("/a.b/c.js")
    assert not is_asset("/a.js/c")
    assert is_feed("/rss", "")
    assert not is_feed("/rss/about", "")


@pytest.mark.parametrize(
    "line",
    [b"junk 192.0.2.7 junk", b"junk from 2001:db8::17 and ::1", b"192.0.2.7,10.0.0.1\xff tail", b"[fe80::1%eth0]"],
)
def test_an_address_is_kept_nowhere_not_even_of_a_bad_line(line: bytes) -> None:
    kept = without_addresses(line, "[address]")
    assert not any(part in kept for part in (b"192.0.2.7", b"10.0.0.1", b"2001:db8", b"::1"))
    assert b"[address]" in kept


def test_times_in_a_bad_line_are_no_addresses() -> None:
    assert without_addresses(b"[10/Oct/2000:13:55:36 x", "[address]") == b"[10/Oct/2000:13:55:36 x"
