"""The collector's settings; the table of them is in docs/collector.md."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from collector.kafka_settings import KafkaSettings


class CollectorSettings(KafkaSettings):
    """The HTTP collector: where it listens, what it takes, where it keeps what Kafka did not take yet."""

    collector_host: str = Field(default="127.0.0.1", description="Address the collector listens on")
    collector_port: int = Field(default=21000, ge=1, le=65535, description="Port the collector listens on (HTTP)")
    collector_state_dir: Path = Field(
        default=Path(".local/data/collector"),
        description="Folder of the collector's spool, receipts and dead letters; on a disk that survives a restart",
    )
    keys_file: Path = Field(default=Path(".local/keys.json"), description="File of the write keys, hashed, mode 600")
    collector_log_level: str = Field(default="INFO", description="Least level the collector logs at")

    collector_max_event_bytes: int = Field(default=32 * 1024, ge=256, description="Most bytes of one event, as text")
    collector_max_events: int = Field(default=1000, ge=1, le=100_000, description="Most events of one request")
    collector_max_body_bytes: int = Field(
        default=1_000_000, ge=1024, le=2_000_000, description="Most bytes of a request's body, decompressed"
    )
    collector_body_seconds: float = Field(
        default=30.0, gt=0, description="How long a client may take to send a request's body, in seconds"
    )
    collector_max_in_flight: int = Field(
        default=2048, ge=1, le=4096, description="Requests worked on at once; more wait in the socket's queue"
    )
    collector_max_bytes_in_flight: int = Field(
        default=128 * 1024**2,
        ge=5_000_000,
        description="Most bytes of bodies of all requests worked on, decompressed; of one write key half of that; "
        "beyond, the collector answers 503",
    )
    collector_future_seconds: int = Field(
        default=300, ge=0, description="How far ahead of the collector's clock `occurred_at` may lie, in seconds"
    )
    collector_browser_past_hours: int = Field(
        default=48, ge=1, description="How far back events of browser keys may lie, in hours"
    )

    collector_key_events_per_second: float = Field(
        default=50_000, ge=0, description="Events a second each write key may send on average; 0: no limit"
    )
    collector_key_burst_events: int = Field(
        default=100_000, ge=1, description="Events a write key may send at once after a pause"
    )
    collector_address_requests_per_second: float = Field(
        default=2_000, ge=0, description="Requests a second each client address may make on average; 0: no limit"
    )
    collector_address_burst_requests: int = Field(
        default=4_000, ge=1, description="Requests a client address may make at once after a pause"
    )
    collector_trusted_proxies: str = Field(
        default="", description="Networks (CIDR, comma-separated) whose X-Forwarded-For names the client's address"
    )
    collector_cors_origins: str = Field(
        default="",
        description="Origins (comma-separated, such as https://shop.example; `*`: any) whose pages may read answers",
    )

    collector_publish_seconds: float = Field(
        default=5.0, gt=0, description="How long an event may wait for Kafka before the spool takes it, in seconds"
    )
    collector_linger_ms: float = Field(
        default=2.0, ge=0, description="How long the producer collects messages into one batch, in milliseconds"
    )
    collector_spool_max_bytes: int = Field(
        default=1024**3, ge=1024**2, description="Most bytes of the spool; full, the collector answers 503"
    )
    collector_spool_min_free_bytes: int = Field(
        default=256 * 1024**2, ge=0, description="Disk space the spool leaves free; below, the collector answers 503"
    )
    collector_spool_window: int = Field(
        default=5000, ge=1, description="Messages of the spool that are handed to the producer at once"
    )
    collector_receipt_seconds: float = Field(
        default=5.0, gt=0, description="Time between two receipts on `collector_receipts`, in seconds"
    )
    collector_stop_seconds: float = Field(
        default=15.0,
        gt=0,
        description="How long a stop may take for requests at work and the last receipt, in seconds",
    )

    kafka_replication_factor: int = Field(default=1, ge=1, description="Copies of each partition of a new topic")
    kafka_min_insync_replicas: int = Field(
        default=1, ge=1, description="Copies that must have a message before Kafka's answer counts"
    )
    kafka_retention_hours: int = Field(
        default=24 * 14, ge=1, description="How long Kafka keeps messages of our topics, in hours"
    )

    @property
    def browser_past(self) -> timedelta:
        """How far back a browser key's events may lie."""
        return timedelta(hours=self.collector_browser_past_hours)

    @property
    def future(self) -> timedelta:
        """How far ahead ``occurred_at`` may lie."""
        return timedelta(seconds=self.collector_future_seconds)

    @property
    def spool_dir(self) -> Path:
        """Folder of the spools, one folder a process."""
        return self.collector_state_dir / "spool"

    @property
    def receipts_dir(self) -> Path:
        """Folder of the counters, one file a process."""
        return self.collector_state_dir / "receipts"
