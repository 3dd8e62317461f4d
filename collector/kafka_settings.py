"""How a process reaches Kafka and who it says it is; one place for both of the client libraries."""

from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from runtime.settings import Settings

ANSWERS_MS = 10_000
"""How long librdkafka waits for a broker's answer before it looks who else has the partition.

A broker that hangs is out of its cluster after `broker.session.timeout.ms` (Kafka's default: 9 s); who has asked it for
something would not notice for a minute, librdkafka's default. It is asked again for what may have been done, which
idempotence recognises.
"""


class KafkaSettings(Settings):
    """Kafka; without the log-in, a broker that asks for none."""

    kafka_bootstrap_servers: str = Field(description="Kafka brokers, `host:port`, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; with SASL a log-in is needed"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="PLAIN", description="How the log-in is done: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str = Field(
        default="", description="Log-in at Kafka; each process has its own, with its own rights"
    )
    kafka_password: SecretStr = Field(default=SecretStr(""), description="Password of `KAFKA_USERNAME`")

    @model_validator(mode="after")
    def _the_login_is_whole(self) -> "KafkaSettings":
        given = bool(self.kafka_username), bool(self.kafka_password.get_secret_value())
        if self._logs_in and not all(given):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_USERNAME and KAFKA_PASSWORD"
            )
        if any(given) and not self._logs_in:
            # Silently going in as nobody would look like missing rights.
            raise ValueError(
                "KAFKA_USERNAME and KAFKA_PASSWORD are of no use with "
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}: set it to SASL_SSL or SASL_PLAINTEXT"
            )
        return self

    def librdkafka(self) -> dict[str, Any]:
        """The connection as librdkafka's (confluent-kafka's) configuration."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.kafka_bootstrap_servers,
            "security.protocol": self.kafka_security_protocol,
            "socket.timeout.ms": ANSWERS_MS,
        }
        if self._logs_in:
            config |= {
                "sasl.mechanism": self.kafka_sasl_mechanism,
                "sasl.username": self.kafka_username,
                "sasl.password": self.kafka_password.get_secret_value(),
            }
        return config

    def kafka_python(self) -> dict[str, Any]:
        """The connection as keyword arguments of kafka-python's clients."""
        config: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers.split(","),
            "security_protocol": self.kafka_security_protocol,
        }
        if self._logs_in:
            config |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": self.kafka_password.get_secret_value(),
            }
        return config

    @property
    def _logs_in(self) -> bool:
        return self.kafka_security_protocol.startswith("SASL_")
