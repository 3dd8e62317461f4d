"""The id of a new Kafka cluster is never taken for an option."""

import uuid

import pytest

from stack.servers import kafka_broker


def test_an_id_that_would_begin_with_a_dash_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    dash, other = uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=b"\x04" + bytes(15))
    made = iter([dash, dash, other])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(made))
    assert kafka_broker.cluster_id() == "B" + "A" * 21
