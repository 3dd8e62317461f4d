"""The settings of those who send to a collector."""

from pydantic import Field, SecretStr

from runtime.settings import Settings


class SenderSettings(Settings):
    """What a sender talks to, and the key it shows."""

    collector_url: str = Field(description="URL of the collector")
    write_key: SecretStr = Field(description="A server's or import's write key of the tenant that gets the events")
