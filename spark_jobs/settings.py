"""Settings of the Spark jobs."""

from pydantic import Field, SecretStr

from runtime.settings import Settings


class SparkSettings(Settings):
    """Where the jobs run, and where the lake is."""

    spark_remote: str = Field(default="sc://127.0.0.1:21002", description="Spark Connect server that jobs run on")
    spark_master: str | None = Field(
        default=None,
        description="Run jobs in a Spark session of their own on this master instead (as for spark-submit)",
    )
    spark_jars: str = Field(
        default="",
        description="With SPARK_MASTER and without spark-submit: pattern of the jars a session needs (`…/*.jar`)",
    )
    s3_endpoint: str = Field(default="", description="URL of the S3 server that holds the lake; empty: Amazon's own")
    aws_access_key_id: str = Field(default="", description="Access key for `S3_ENDPOINT`")
    aws_secret_access_key: SecretStr = Field(default=SecretStr(""), description="Secret key for `S3_ENDPOINT`")
    aws_region: str = Field(default="us-east-1", description="Region named in S3 requests")
    lake_warehouse: str = Field(description="Root of the lake, as in `s3://lake/warehouse`")
    lake_catalog_uri: SecretStr = Field(
        description="SQLAlchemy URL of the Iceberg catalog's Postgres database (`postgresql+psycopg://…`)"
    )


class LoadSettings(SparkSettings):
    """``watershed load``."""

    loader_dsn: str = Field(description="Connection string of the warehouse database as role `loader`")
    load_budget_seconds: float = Field(
        default=45, gt=0, description="After so long a load starts no further chunk; what is left waits for the next"
    )
    load_chunk_events: int = Field(
        default=500_000, gt=0, description="Events recomputed in one transaction, about (a single minute may have more)"
    )
    load_chunk_minutes: int = Field(default=4_000, gt=0, description="Tenants' minutes recomputed in one transaction")
    load_threads: int = Field(default=2, gt=0, description="Event types loaded at a time")
    load_late_minutes: int = Field(
        default=60, gt=0, description="What is received so many minutes after it occurred has cause `late`, not `load`"
    )


class ReprocessSettings(LoadSettings):
    """``watershed reprocess``."""

    reprocess_wait_seconds: float = Field(
        default=600,
        gt=0,
        description="How long a reprocessing, when all is compared, waits for loads and for a build run to be through",
    )


class AuditSettings(LoadSettings):
    """``watershed audit``."""

    audit_look_back_days: int = Field(
        default=30, ge=1, description="Ids received on a day are compared with what occurred in so many days before it"
    )


class MaintainSettings(SparkSettings):
    """``watershed lake maintain``."""

    maintainer_dsn: str = Field(description="Connection string of the warehouse database as role `maintainer`")
    maintain_target_mb: int = Field(
        default=128, gt=0, description="Size that compaction aims at for a data file, in MB"
    )
    maintain_min_files: int = Field(
        default=5, ge=2, description="A day with so many files well below that size is rewritten"
    )
    maintain_keep_hours: float = Field(
        default=24, ge=1, description="Snapshots that others replaced less long ago than this stay, in hours"
    )
    maintain_orphan_hours: float = Field(
        default=72,
        ge=24,
        description="Files that no table knows are removed when they are older than this, in hours: younger ones may "
        "belong to a commit that is under way",
    )
    maintain_rejects_days: int = Field(
        default=400,
        ge=30,
        description="Days for which rejected events are kept in the lake, from their receipt; their counts stay",
    )
    reprocess_keep_days: float = Field(
        default=30, ge=1, description="Days for which what `watershed reprocess` replaced is kept, to be undone"
    )
    maintain_wait_seconds: float = Field(
        default=120, gt=0, description="How long raising a type's floor waits for a load of it to end, in seconds"
    )
