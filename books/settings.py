"""Settings of the books."""

from pydantic import Field

from spark_jobs.settings import SparkSettings


class BooksSettings(SparkSettings):
    """``watershed books``."""

    bookkeeper_dsn: str = Field(description="Connection string of the warehouse database as role `bookkeeper`")
    books_budget_seconds: float = Field(
        default=120,
        gt=0,
        description="After so long a reconciliation reads no further file and balances no further hours; the next does",
    )
    books_everything_hours: float = Field(
        default=24,
        gt=0,
        description="How often every hour is balanced anew, not only those that changed, in hours",
    )
    books_chunk_hours: int = Field(default=168, gt=0, description="Hours of receipt balanced in one transaction")
