"""``watershed send``, as typed."""

import gzip
import json
import os
import signal
import threading
import time
from collections.abc import Callable
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
        self.requests = 0
        self.linger = 5.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
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
        return Sender(*words, **more, linger=made.linger, transport=httpx.MockTransport(made))

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


def test_a_bad_line_while_the_collector_is_away_costs_no_event_and_the_pipe_is_read_to_its_end(
    collector: Collector, tmp_path: Path
) -> None:
    words = ["-", "--spool", str(tmp_path / "spool"), "--patience", "0"]
    collector.away = True
    first = RUNNER.invoke(send_commands.app, words, input=_lines(1, 2) + b"no event\n" + _lines(3))
    assert first.exit_code == 1
    assert "spooled 4" in first.stderr
    collector.away = False
    second = RUNNER.invoke(send_commands.app, [*words, "--json"], input=b"")
    assert second.exit_code == 0, second.output
    assert sorted(collector.ids) == ["id-1", "id-2", "id-3"]
    assert collector.lines == [("3", b"no event")]
    assert json.loads(second.stdout.splitlines()[-1])["rejected"] == 1


class Pipe:
    """A pipe, and somebody beside the command who writes to it, sees what came of it, and ends it."""

    def __init__(self, then: Callable[["Pipe"], None]) -> None:
        self._reading, self._writing = os.pipe()
        self.file = f"/dev/fd/{self._reading}"
        self.open_still = False
        """Whether ``then`` came to its end, with the pipe open."""
        self._then, self._thread = then, threading.Thread(target=self._run)
        self._thread.start()

    def write(self, text: bytes) -> None:
        os.write(self._writing, text)

    def _run(self) -> None:
        try:
            self._then(self)
            self.open_still = True
        finally:
            os.close(self._writing)

    def join(self) -> None:
        self._thread.join()
        os.close(self._reading)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_what_comes_through_a_pipe_is_sent_though_no_more_comes(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.read_live.TICK_S", 0.01)
    collector.linger = 0.1

    def then(pipe: Pipe) -> None:
        pipe.write(_lines(1, 2))
        _until(lambda: collector.ids == ["id-1", "id-2"])
        text = _lines(3)
        pipe.write(text[:20])
        pipe.write(text[20:] + b"\n")
        _until(lambda: collector.ids[2:] == ["id-3"])
        pipe.write(_lines(4).rstrip(b"\n"))

    pipe = Pipe(then)
    result = RUNNER.invoke(send_commands.app, [pipe.file])
    pipe.join()
    assert pipe.open_still
    assert result.exit_code == 0, result.output
    assert collector.ids[3:] == ["id-4"]


def test_a_packed_pipe_is_read_too(collector: Collector) -> None:
    pipe = Pipe(lambda pipe: pipe.write(gzip.compress(_lines(1, 2))))
    result = RUNNER.invoke(send_commands.app, [pipe.file])
    pipe.join()
    assert result.exit_code == 0, result.output
    assert collector.ids == ["id-1", "id-2"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("away", [False, True])
def test_who_is_told_to_stop_sends_or_spools_what_there_was_first(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, away: bool
) -> None:
    monkeypatch.setattr("collector.read_live.TICK_S", 0.01)
    collector.away, collector.linger = away, 0.0 if away else 1e9
    before = signal.getsignal(number)

    def then(pipe: Pipe) -> None:
        pipe.write(_lines(1, 2))
        _until(lambda: signal.getsignal(number) is not before)
        if away:
            _until(lambda: collector.requests > 0)  # it waits for the collector, and is patient
        os.kill(os.getpid(), number)
        _until(lambda: signal.getsignal(number) is before)  # a second one would end it
        _until(finished.is_set)

    finished, pipe = threading.Event(), Pipe(then)
    words = [pipe.file, "--spool", str(tmp_path / "spool"), "--patience", "1000"]
    result = RUNNER.invoke(send_commands.app, words)
    finished.set()
    pipe.join()
    assert pipe.open_still, "the pipe's end is not what ended it"
    if away:
        assert result.exit_code == 1
        assert "spooled 2" in result.stderr
    else:
        assert result.exit_code == 0, result.output
        assert collector.ids == ["id-1", "id-2"]
