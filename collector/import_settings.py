"""The settings of the import of access logs."""

from pydantic import Field, SecretStr

from collector.send_settings import SenderSettings


class ImportSettings(SenderSettings):
    """What the import of access logs talks to, and its secrets."""

    visitor_hash_key: SecretStr = Field(
        min_length=16, max_length=64, description="Secret key of the hashes that stand for visitors"
    )
