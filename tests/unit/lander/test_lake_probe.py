"""What counts as an answer of the lake's S3 server, and what is said of none."""

import threading
from collections.abc import Callable

import httpx
import pytest

from collector import land_probe
from collector.land_probe import Probe


def refused() -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def hangs() -> httpx.Response:
    raise httpx.ReadTimeout("no bytes came")


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (lambda: httpx.Response(200), None),
        (lambda: httpx.Response(403), None),  # who asks has no rights, and needs none
        (lambda: httpx.Response(503), "S3 answers 503"),
        (refused, "S3 is away: connection refused"),
        (hangs, "S3 has not answered for 5 s"),
    ],
    ids=["200", "403", "503", "refused", "hangs"],
)
def test_whoever_answers_is_there(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], httpx.Response], trouble: str | None
) -> None:
    asked = threading.Event()

    def head(_url: str, **_how: object) -> httpx.Response:
        if asked.is_set():
            probe.stop()
        asked.set()
        return answer()

    monkeypatch.setattr(land_probe.httpx, "head", head)
    monkeypatch.setattr(land_probe, "EVERY", 0.0)
    probe = Probe("http://lake.example")
    probe.start()
    probe.join(30)
    assert not probe.is_alive()
    assert probe.trouble == trouble


def test_a_server_that_hangs_is_told_of_within_ten_seconds() -> None:
    assert land_probe.EVERY + land_probe.PATIENCE < 10
