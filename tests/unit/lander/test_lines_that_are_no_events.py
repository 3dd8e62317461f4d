"""A line that is no event is handed over as one line, whatever stands in it, and ends neither an import nor a pipe."""

import gzip
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.parse import Limits, Refused, parse
from collector.sender import MAX_BODY_BYTES, Report
from tests.unit.lander.test_import_file import HEAD, LINE, imported
from tests.unit.lander.test_sender import sender

LIMITS = Limits(event_bytes=32_768, events=1000, body_bytes=1_000_000)


class Parsing:
    """Reads bodies as the collector does: a verdict for each event or line that it finds there."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bytes]] = []
        self.accepted = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = gzip.decompress(request.content)
        if len(body) > LIMITS.body_bytes:
            return httpx.Response(413, json={"error": "body_too_large"})
        try:
            found = parse(body, request.headers["Content-Type"], LIMITS)
        except Refused as refused:
            return httpx.Response(refused.status, json={"error": refused.error})
        results: list[dict[str, Any]] = []
        for value, text, trouble in found:
            good = trouble is None and isinstance(value, dict)
            self.accepted += good
            if "Watershed-Line" in request.headers:
                self.lines.append((request.headers["Watershed-Line"], text))
            results.append({"status": "accepted"} if good else {"status": "rejected", "reasons": [{"keyword": "json"}]})
        return httpx.Response(207, json={"results": results})


@pytest.mark.parametrize(
    ("bad", "handed"),
    [
        ('p-2,"a\nb"', b"p-2,a\\nb"),
        ('p-2,"\n\n{}\n"', b"p-2,\\n\\n{}\\n"),
        ('"\n"', b"-"),
        ('" "', b"-"),
        ('p-2,"\r"', b"p-2,\r"),
    ],
)
def test_a_bad_row_with_line_breaks_in_a_cell_is_one_line_and_the_import_goes_on(
    tmp_path: Path, bad: str, handed: bytes
) -> None:
    file, collector = tmp_path / "h.csv", Parsing()
    file.write_bytes("\n".join((HEAD, LINE, bad, LINE.replace("p-1", "p-3"), "")).encode())
    done = imported(file, collector)
    assert (done.rows, done.valid, done.bad, done.accepted) == (3, 2, 1, 2)
    assert collector.lines == [("3", handed)]


def test_a_bad_row_of_line_breaks_only_is_no_larger_than_a_request() -> None:
    collector, report = Parsing(), Report()
    sender(collector).send_raw(b"x" + b"\n" * MAX_BODY_BYTES, {"Watershed-Line": "7"}, report)
    assert (report.sent, report.rejected) == (1, 1)
    ((number, text),) = collector.lines
    assert (number, len(text)) == ("7", MAX_BODY_BYTES)
