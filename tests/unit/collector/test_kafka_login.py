"""What the clients of Kafka are told, and which half-given log-ins are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from collector.kafka_settings import KafkaSettings

LOGIN = {"kafka_security_protocol": "SASL_SSL", "kafka_username": "collector", "kafka_password": "a-password"}


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KafkaSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def settings(**values: Any) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap_servers="one:9092,two:9092", **values)


ANSWERS = {"socket.timeout.ms": 10_000}
"""So that a broker of several that hangs holds nothing up for a minute, as `make faults` sees."""


def test_without_a_login_a_plain_broker_is_asked_plainly() -> None:
    assert settings().librdkafka() == {
        **ANSWERS,
        "bootstrap.servers": "one:9092,two:9092",
        "security.protocol": "PLAINTEXT",
    }
    assert settings().kafka_python() == {
        "bootstrap_servers": ["one:9092", "two:9092"],
        "security_protocol": "PLAINTEXT",
    }


def test_a_login_is_handed_to_both_libraries_in_their_own_words() -> None:
    given = settings(**LOGIN, kafka_sasl_mechanism="SCRAM-SHA-512")
    assert given.librdkafka() == {
        **ANSWERS,
        "bootstrap.servers": "one:9092,two:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "collector",
        "sasl.password": "a-password",
    }
    assert given.kafka_python() == {
        "bootstrap_servers": ["one:9092", "two:9092"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "collector",
        "sasl_plain_password": "a-password",
    }


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({**LOGIN, "kafka_password": ""}, "needs KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({**LOGIN, "kafka_username": ""}, "needs KAFKA_USERNAME and KAFKA_PASSWORD"),
        ({**LOGIN, "kafka_security_protocol": "SSL"}, "of no use with KAFKA_SECURITY_PROTOCOL=SSL"),
        ({"kafka_username": "collector"}, "of no use with KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        ({**LOGIN, "kafka_security_protocol": "TLS"}, "SASL_SSL"),
    ],
)
def test_half_a_login_is_refused_with_the_way_out(values: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refusal:
        settings(**values)
    assert "a-password" not in str(refusal.value)


def test_a_password_is_not_shown() -> None:
    assert "a-password" not in repr(settings(**LOGIN))
