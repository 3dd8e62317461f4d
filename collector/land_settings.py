"""The lander's settings."""

from pydantic import Field, SecretStr, model_validator

from collector.kafka_settings import KafkaSettings
from collector.lake import LakeSettings


class LanderSettings(KafkaSettings, LakeSettings):
    """The lander: what it talks to, how often it commits, what it keeps."""

    lander_dsn: SecretStr = Field(description="Postgres database `warehouse` as role `lander` (`postgresql://…`)")
    visitor_hash_key: SecretStr = Field(
        min_length=16,
        max_length=64,
        description="Secret key of the hashes that stand for visitors and users; a new key makes all of them new ones",
    )
    lander_host: str = Field(default="127.0.0.1", description="Address of the lander's health and metrics")
    lander_port: int = Field(
        default=21010, ge=1, le=65535, description="Port of the lander's health and metrics (HTTP)"
    )
    land_seconds: float = Field(
        default=10.0, gt=0, description="A table is committed this long after its first waiting row, in seconds"
    )
    land_rows: int = Field(default=50_000, ge=1, description="… or as soon as this many messages wait")
    land_bytes: int = Field(default=64_000_000, ge=1_000_000, description="… or as soon as they take so many bytes")
    land_heartbeat_seconds: float = Field(
        default=3.0, gt=0, description="How often `ledger.landed` is brought up to date, in seconds"
    )
    land_announce_seconds: float = Field(
        default=15.0,
        gt=0,
        description="How long Kafka must have been there again before `ledger.landed` moves on, in seconds: collectors "
        "that started without it announce themselves in this time",
    )
    land_lock_seconds: float = Field(
        default=30.0, gt=0, description="Silence after which Postgres gives a lander's tables to another, in seconds"
    )
    land_paused_seconds: float = Field(
        default=5.0, gt=0, description="How often a table paused for a newer contract looks for it, in seconds"
    )
    land_expire_seconds: float = Field(
        default=900.0, gt=0, description="How often old snapshots of a table are expired, in seconds"
    )
    land_keep_hours: float = Field(
        default=1.0, ge=1.0, description="Snapshots younger than this stay, for readers that pinned one, in hours"
    )
    land_discover_seconds: float = Field(
        default=30.0, gt=0, description="How often the contracts are looked through for new event types, in seconds"
    )

    @model_validator(mode="after")
    def _heartbeat_keeps_the_lock(self) -> "LanderSettings":
        if self.land_heartbeat_seconds * 2 > self.land_lock_seconds:
            raise ValueError(
                "LAND_LOCK_SECONDS must be at least twice LAND_HEARTBEAT_SECONDS, or locks are lost when idle"
            )
        return self
