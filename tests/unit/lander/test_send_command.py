"""``watershed send``, as typed."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from collector import send_commands
from collector.sender import Sender
from tests.unit.lander.test_sender import accept, event

RUNNER = CliRunner()


class Collector:
    """Accepts events, refuses lines that are none; remembers both."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.lines: list[tuple[str, bytes]] = []
        self.away = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        body = gzip.decompress(request.content)
        if "Watershed-Line" in request.headers:
            self.lines.append((request.headers["Watershed-Line"], body))
            return httpx.Response(400, json={"results": [{"status": "rejected", "reasons": [{"keyword": "json"}]}]})
        self.ids += [e["event_id"] for e in json.loads(body)]
        return accept(request)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    made = Collector()

    def sender(*words: Any, **more: Any) -> Sender:
        return Sender(*words, **more, transport=httpx.MockTransport(made))

    monkeypatch.setattr(send_commands, "Sender", sender)
    monkeypatch.setenv("COLLECTOR_URL", "http://collector")
    monkeypatch.setenv("WRITE_KEY", "key")
    return made


def _lines(*numbers: int) -> bytes:
    return b"".join(json.dumps(event(n)).encode() + b"\n" for n in numbers)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_each_line_is_an_event_and_what_is_none_is_handed_over_with_its_number(
    collector: Collector, tmp_path: Path, pack: Any
) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(pack(_lines(1) + b"\nno event\n" + _lines(2) + b"[1]\n"))
    result = RUNNER.invoke(send_commands.app, [str(file), "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    assert (figures["sent"], figures["accepted"], figures["rejected"]) == (4, 2, 2)
    assert collector.ids == ["id-1", "id-2"]
    assert collector.lines == [("3", b"no event"), ("5", b"[1]")]


def test_what_a_collector_that_is_away_did_not_take_goes_first_next_time(collector: Collector, tmp_path: Path) -> None:
    words = ["-", "--spool", str(tmp_path / "spool"), "--patience", "0"]
    collector.away = True
    first = RUNNER.invoke(send_commands.app, words, input=_lines(1, 2))
    assert first.exit_code == 1
    assert "spooled 2" in first.stderr
    collector.away = False
    second = RUNNER.invoke(send_commands.app, words, input=_lines(3))
    assert second.exit_code == 0, second.output
    assert collector.ids == ["id-1", "id-2", "id-3"]


def test_without_a_spool_a_collector_that_is_away_is_an_error(collector: Collector) -> None:
    collector.away = True
    result = RUNNER.invoke(send_commands.app, ["-", "--patience", "0"], input=_lines(1))
    assert result.exit_code == 1
    assert "given up" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_is_not_there_is_said_in_one_line(collector: Collector) -> None:
    result = RUNNER.invoke(send_commands.app, ["nowhere.ndjson"])
    assert result.exit_code == 1
    assert "nowhere.ndjson" in result.stderr
