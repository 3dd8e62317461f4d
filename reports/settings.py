"""Settings of the daily report and the dumps."""

from pydantic import Field, SecretStr

from runtime.settings import Settings


class ReportSettings(Settings):
    """What ``watershed report`` reads, and where it writes."""

    reader_dsn: str = Field(description="Connection string of the warehouse as role `reader`")
    s3_endpoint: str = Field(default="", description="URL of the S3 server that holds the lake; empty: Amazon's own")
    aws_access_key_id: str = Field(description="Access key for `S3_ENDPOINT`")
    aws_secret_access_key: SecretStr = Field(description="Secret key for `S3_ENDPOINT`")
    aws_region: str = Field(default="us-east-1", description="Region named in S3 requests")
    lake_warehouse: str = Field(description="Root of the lake: reports and dumps go into its bucket")
    report_top: int = Field(
        default=20, ge=1, description="Rows of each table that the report's page shows, of each currency"
    )
    report_link_days: float = Field(
        default=7, gt=0, le=7, description="How long the link to a report works without a log-in, in days"
    )
