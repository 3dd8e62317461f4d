"""Settings of erasure."""

from pathlib import Path

from pydantic import Field, SecretStr

from collector.kafka_settings import KafkaSettings
from collector.lake import LakeSettings


class EraseSettings(KafkaSettings, LakeSettings):
    """``watershed forget``."""

    eraser_dsn: str = Field(description="Connection string of the warehouse database as role `eraser`")
    visitor_hash_key: SecretStr = Field(
        min_length=16,
        max_length=64,
        description="Secret key of the hashes that stand for visitors and users; a new key makes all of them new ones",
    )
    land_keep_hours: float = Field(
        default=1.0, ge=1.0, description="Snapshots younger than this stay, for readers that pinned one, in hours"
    )
    collector_state_dir: Path = Field(
        default=Path(".local/data/collector"),
        description="Folder of the collector's spool, receipts and dead letters; on a disk that survives a restart",
    )
    erase_files_at_once: int = Field(
        default=20, ge=1, description="Data files of a table that an erasure replaces in one commit, at most"
    )
    erase_wait_seconds: float = Field(
        default=600,
        gt=0,
        description="How long an erasure waits for a reprocessing that computes at that moment, in seconds",
    )

    @property
    def key(self) -> bytes:
        """The key of all hashes."""
        return self.visitor_hash_key.get_secret_value().encode()
