"""Lines of an access log in Common or Combined Log Format, and which of them are page views. Pure.

The formats: https://httpd.apache.org/docs/2.4/logs.html#accesslog; a backslash escapes a quote inside a quoted field.
A line whose last quote is missing, because it was cut off, is read all the same.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote, urlsplit

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})
OTHER_METHOD = "OTHER"
MAX_PATH, MAX_PAGE, MAX_REFERRER = 1024, 512, 2048
"""Characters that the contracts of request_log and page_view allow; longer ones are cut."""

_ASSETS = """
css js mjs map json wasm png jpg jpeg gif webp avif svg ico bmp tif tiff woff woff2 ttf otf eot
mp3 mp4 m4a m4v ogg oga ogv webm wav avi mov swf pdf txt csv
zip gz tgz bz2 xz 7z tar rpm deb jar war exe msi dmg iso bin
"""
ASSET_SUFFIXES = frozenset(f".{suffix}" for suffix in _ASSETS.split())
"""A path that ends so is a static asset, no page."""
FEED_SUFFIXES = frozenset((".rss", ".atom", ".rdf", ".xml"))
"""A path that ends so is a feed (or a sitemap), no page."""
FEED_NAMES = frozenset(("feed", "feeds", "rss", "rss2", "atom"))
"""A path whose last part is one of these is a feed."""
FEED_QUERY = "flav"
"""A query with this name asks for a feed (blosxom and its kin: ``/blog/?flav=rss20``)."""

_TEXT = r'((?:[^"\\]|\\.)*)'
_LINE = re.compile(
    r'(\S+) \S+ (?:\S+|.*?) \[(\d{2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\] "(.*?)" (\d{3}) (\d+|-)'
    rf'(?: "{_TEXT}" "{_TEXT}"?)?\s*'
)
_MONTH_NAMES = "JanFebMarAprMayJunJulAugSepOctNovDec"
_MONTHS = {_MONTH_NAMES[3 * i : 3 * i + 3]: i + 1 for i in range(12)}
_ESCAPE = re.compile(r"\\(.)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ADDRESS = re.compile(r"(?<![\w.:])[0-9A-Fa-f]*:[0-9A-Fa-f:]*(?:\d+\.){0,3}[0-9A-Fa-f]+|\d{1,3}(?:\.\d{1,3}){3}")


@dataclass(frozen=True)
class Request:
    """What a line says. ``path`` is without its query, ``page`` too; ``at`` is in UTC."""

    address: str
    at: datetime
    method: str
    path: str
    query: str
    status: int
    referrer: str | None
    agent: str

    @property
    def is_page_view(self) -> bool:
        """A GET answered with 2xx or 304, of neither a static asset nor a feed."""
        answered = 200 <= self.status <= 299 or self.status == 304
        return self.method == "GET" and answered and not is_asset(self.path) and not is_feed(self.path, self.query)


class BadLine(Exception):
    """The line is in neither format; the message says what is wrong and repeats nothing of it."""


def parse_line(line: bytes) -> Request:
    """Read one line, without its line break.

    :raises BadLine: it is in neither format.
    """
    text = line.decode("utf-8", "backslashreplace")
    match = _LINE.fullmatch(text)
    if match is None:
        raise BadLine("the line is in neither Common nor Combined Log Format")
    address, at, request, status, _, referrer, agent = match.groups()
    if not 100 <= int(status) <= 599:
        raise BadLine(f"the status {status} is none")
    method, path, query = _request(request)
    return Request(
        address,
        _instant(at),
        method,
        path,
        query,
        int(status),
        _visible(referrer, MAX_REFERRER),
        _ESCAPE.sub(r"\1", agent) if agent and agent != "-" else "",
    )


def is_asset(path: str) -> bool:
    """Whether the path is a static asset's by :data:`ASSET_SUFFIXES`."""
    return _suffix(path) in ASSET_SUFFIXES


def is_feed(path: str, query: str) -> bool:
    """Whether the path or the query is a feed's by :data:`FEED_SUFFIXES`, :data:`FEED_NAMES`, :data:`FEED_QUERY`."""
    if _suffix(path) in FEED_SUFFIXES or path.rstrip("/").rpartition("/")[2].lower() in FEED_NAMES:
        return True
    return any(part.partition("=")[0] == FEED_QUERY for part in re.split("[&;]", query))


def without_addresses(line: bytes, stand_in: str) -> bytes:
    """The line with every IP address replaced: what cannot be read is kept, but no address is."""

    def judge(found: re.Match[str]) -> str:
        try:
            ipaddress.ip_address(found[0])
        except ValueError:
            return found[0]  # a time, say
        return stand_in

    return _ADDRESS.sub(judge, line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _suffix(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    _, dot, suffix = name.rpartition(".")
    return dot + suffix if dot else ""


def _request(request: str) -> tuple[str, str, str]:
    """Method, path and query of a request line such as ``GET /a?b HTTP/1.1``; whatever else a client sent is a path."""
    words = _ESCAPE.sub(lambda m: m[0] if m[1] == "x" else m[1], request).split(" ")
    if len(words) == 1:
        method, target = OTHER_METHOD, words[0]
    else:
        method = words[0] if words[0] in METHODS else OTHER_METHOD
        target = " ".join(words[1:-1] if len(words) > 2 and words[-1].startswith("HTTP/") else words[1:])
    if "://" in target[:10]:
        try:
            parts = urlsplit(target)
        except ValueError:
            pass  # no URL after all: it stays what it is
        else:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path, _, query = target.partition("?")
    path = path.partition("#")[0]
    return method, quote(path, safe="!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")[:MAX_PATH] or "-", query


def _instant(text: str) -> datetime:
    """``17/May/2015:10:05:03 +0000`` in UTC; by hand, since strptime reads month names of the locale."""
    day, month, year = int(text[:2]), _MONTHS.get(text[3:6]), int(text[7:11])
    if month is None:
        raise BadLine(f"the month {text[3:6]!r} is none")
    offset = timedelta(hours=int(text[22:24]), minutes=int(text[24:26])) * (-1 if text[21] == "-" else 1)
    try:
        local = datetime(
            year, month, day, int(text[12:14]), int(text[15:17]), int(text[18:20]), tzinfo=timezone(offset)
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadLine(f"the time is none: {error}") from error


def _visible(text: str | None, most: int) -> str | None:
    if text is None or text in ("-", ""):
        return None
    return _CONTROL.sub("", _ESCAPE.sub(r"\1", text))[:most] or None
