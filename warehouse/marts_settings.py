"""Settings of claims and publications."""

from pydantic import Field

from runtime.settings import Settings


class PublisherSettings(Settings):
    """What claims and publications need."""

    publisher_dsn: str = Field(description="Connection string of the warehouse as role `publisher`")
