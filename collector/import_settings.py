"""The settings of the import of access logs."""

from pydantic import Field, SecretStr

from runtime.settings import Settings


class ImportSettings(Settings):
    """What the import of access logs talks to, and its secrets."""

    collector_url: str = Field(description="URL of the collector")
    write_key: SecretStr = Field(description="A server's or import's write key of the tenant that gets the events")
    visitor_hash_key: SecretStr = Field(
        min_length=16, max_length=64, description="Secret key of the hashes that stand for visitors"
    )
