"""Settings of those who look at rejected events, and of those who repair them."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from collector.lake import LakeSettings


class RejectsSettings(LakeSettings):
    """Where rejected events are, and which of them were repaired."""

    repairer_dsn: str = Field(description="Connection string of the warehouse database as role `repairer`")


class RepairSettings(RejectsSettings):
    """``watershed repair``: what the events are judged by, and where they go."""

    collector_url: str = Field(description="URL of the collector")
    keys_file: Path = Field(default=Path(".local/keys.json"), description="File of the write keys, hashed, mode 600")
    collector_max_event_bytes: int = Field(default=32 * 1024, ge=256, description="Most bytes of one event, as text")
    collector_future_seconds: int = Field(
        default=300, ge=0, description="How far ahead of the collector's clock an event may lie, in seconds"
    )
    collector_browser_past_hours: int = Field(
        default=48, ge=1, description="How far back events of browser keys may lie, in hours"
    )

    @property
    def future(self) -> timedelta:
        """How far ahead of its receipt an event may lie."""
        return timedelta(seconds=self.collector_future_seconds)

    @property
    def browser_past(self) -> timedelta:
        """How far back a browser key's events may lie."""
        return timedelta(hours=self.collector_browser_past_hours)
