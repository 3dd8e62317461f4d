"""An access log instead of made-up events: its own tenant, its import, and the truth counted from its lines."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from collector.access_log import BadLine, parse_line
from collector.bots import is_bot
from collector.import_access_log import Importer, Regions, Summary, read_lines
from collector.keys import KeyKind
from collector.sender import Sender
from demo.run import DemoError, write_key
from demo.settings import RunSettings
from demo.truth import Truth, Views


def tenant_of(log: Path) -> str:
    """A name that is the same for the same log, and another for another.

    :raises DemoError: the file cannot be read.
    """
    try:
        with log.open("rb") as stream:
            digest = hashlib.file_digest(stream, "blake2b")
    except OSError as error:
        raise DemoError(f"{log}: {error.strerror}") from error
    return f"access-log-{digest.hexdigest()[:8]}"


def count(lines: Iterable[bytes], tenant: str) -> Truth:
    """What the charts must show of a log: every readable line is a request, and page requests are also views.

    A visitor is a pair of address and agent. Only what a line means is taken from the importer; what it sends, what the
    collector answers and which ids there are plays no part.
    """
    region_of = Regions().of
    requests: dict[str, Counter[str]] = {}
    views: dict[str, dict[str, Views]] = {}
    people: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for line in lines:
        try:
            request = parse_line(line)
        except BadLine:
            continue
        day, region = request.at.date().isoformat(), region_of(request.address)
        requests.setdefault(day, Counter()).update(
            requests=1,
            client_errors=400 <= request.status < 500,
            errors=request.status >= 500,
        )
        if not request.is_page_view:
            continue
        counted = views.setdefault(day, {}).setdefault(region, Views())
        if is_bot(request.agent):
            counted.bot_page_views += 1
        else:
            counted.page_views += 1
            people.setdefault((day, region), set()).add((request.address, request.agent))
    for (day, region), pairs in people.items():
        views[day][region].visitors = len(pairs)
    return Truth(
        tenant,
        views,
        {
            "request_log": {day: {name: str(n) for name, n in sums.items()} for day, sums in requests.items()},
            "page_view": {day: _sums(regions.values()) for day, regions in views.items()},
        },
    )


def import_log(log: Path, settings: RunSettings, tenant: str, progress: Callable[[int], None] | None) -> Summary:
    """Import ``log`` with a key of its tenant that is revoked afterwards.

    :raises DemoError: the collector does not take the key, or refused events of the log.
    :raises SendError: the collector stayed away.
    """
    hash_key = settings.visitor_hash_key.get_secret_value().encode()
    with (
        write_key(settings, tenant, KeyKind.IMPORT) as secret,
        Sender(settings.collector_url, secret) as sender,
        log.open("rb") as stream,
    ):
        summary = Importer(sender, hash_key, "web").run(read_lines(stream), progress)
    if summary.rejected:
        raise DemoError(f"{summary.rejected} events of the log were refused: {summary.reasons}")
    return summary


def _sums(regions: Iterable[Views]) -> dict[str, str]:
    found = list(regions)
    return {
        "page_views": str(sum(v.page_views for v in found)),
        "bot_page_views": str(sum(v.bot_page_views for v in found)),
    }
