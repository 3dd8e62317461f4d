"""What the scan of all stores sees: an id that is packed is one that is there."""

import base64
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.dead_letter import DeadLetters
from collector.flight import text_or_base64
from collector.message import Message
from tests.readable import readable

ID = "anna-0123456789abcdef0123456789abcdef"


def rejection(body: bytes) -> bytes:
    text, encoding = text_or_base64(body)
    assert encoding == "base64"
    return json.dumps({"tenant": "acme", "body": text, "body_encoding": encoding}).encode()


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("behind", range(3))
def test_it_is_seen_wherever_it_stands_in_base64(before: int, behind: int) -> None:
    packed = base64.b64encode(b"x" * before + ID.encode() + b"y" * behind)
    assert ID in readable("a.log", b'{"body":"' + packed + b'"}')
    assert ID not in readable("a.log", packed[5:]), "it is not there as a whole"


@pytest.mark.parametrize("value", [ID.encode(), rejection(b"\xff" + ID.encode())], ids=["event", "rejected body"])
def test_it_is_seen_in_a_dead_letter(tmp_path: Path, value: bytes) -> None:
    path = DeadLetters.of(tmp_path).put(Message("rejected_events", None, value, 1, "c0ffee", 1), "too large", 1)
    assert ID not in path.read_text()
    assert ID in readable(path.name, path.read_bytes())


def test_it_is_seen_in_a_rejected_body_of_the_lake(tmp_path: Path) -> None:
    body, encoding = text_or_base64(b"\0" + ID.encode())
    pq.write_table(pa.table({"body": [body], "body_encoding": [encoding]}), tmp_path / "a.parquet")
    assert ID in readable("a.parquet", (tmp_path / "a.parquet").read_bytes())


def test_it_is_seen_in_gzip(tmp_path: Path) -> None:
    assert ID in readable("a.json.gz", gzip.compress(ID.encode()))
