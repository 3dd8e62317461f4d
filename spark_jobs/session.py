"""A Spark session: the resident Connect server's by default, one of our own where a master is given."""

import glob
import os
import uuid
from urllib.parse import unquote, urlsplit

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from runtime import log
from spark_jobs.catalog import CATALOG
from spark_jobs.settings import SparkSettings

logger = log.get(__name__)

SESSION = uuid.UUID("6c6f6164-726f-4c6c-b570-730000000001")
"""Jobs of one server share one session: a new one would open its catalog, its pools and its manifest cache anew."""


def open_session(settings: SparkSettings) -> SparkSession:
    """The session that jobs run in; ``lake.<namespace>.<table>`` are the lake's tables in it.

    The Connect server has the catalog in its own settings; a classic session is given :func:`catalog_properties`.
    """
    if settings.spark_master:
        return _classic(settings, settings.spark_master)
    shared = f"{settings.spark_remote.rstrip('/')}/;session_id={SESSION}"
    try:
        session: SparkSession = SparkSession.builder.remote(shared).create()
        session.conf.get("spark.sql.session.timeZone")
    except PySparkException as error:
        # The server closes idle sessions for good: their ids cannot be used again. So this one has none of ours.
        logger.warning("the shared Spark session is closed, taking a new one", error=str(error)[:200])
        fresh: SparkSession = SparkSession.builder.remote(settings.spark_remote).create()
        return fresh
    return session


def _classic(settings: SparkSettings, master: str) -> SparkSession:
    # PySpark looks at this variable by itself, and refuses a master beside it.
    os.environ.pop("SPARK_REMOTE", None)
    builder = SparkSession.builder.master(master).appName("watershed")
    properties = catalog_properties(settings)
    if settings.spark_jars:
        properties["spark.jars"] = ",".join(sorted(glob.glob(settings.spark_jars)))  # noqa: PTH207 - absolute or not
    for name, value in properties.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def catalog_properties(settings: SparkSettings) -> dict[str, str]:
    """Everything Spark must know to read the lake."""
    uri = urlsplit(settings.lake_catalog_uri.get_secret_value())
    prefix = f"spark.sql.catalog.{CATALOG}"
    properties = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.session.timeZone": "UTC",
        prefix: "org.apache.iceberg.spark.SparkCatalog",
        f"{prefix}.type": "jdbc",
        f"{prefix}.uri": f"jdbc:postgresql://{uri.hostname}:{uri.port or 5432}{uri.path}",
        f"{prefix}.jdbc.user": unquote(uri.username or ""),
        f"{prefix}.jdbc.password": unquote(uri.password or ""),
        f"{prefix}.jdbc.schema-version": "V1",
        f"{prefix}.warehouse": settings.lake_warehouse,
        f"{prefix}.cache-enabled": "false",  # a job must see the newest snapshot, not one of some seconds ago
        f"{prefix}.io.manifest.cache-enabled": "true",
    }
    if settings.lake_warehouse.startswith("s3:"):
        properties |= {
            f"{prefix}.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
            f"{prefix}.s3.path-style-access": "true",
            f"{prefix}.s3.access-key-id": settings.aws_access_key_id,
            f"{prefix}.s3.secret-access-key": settings.aws_secret_access_key.get_secret_value(),
            f"{prefix}.client.region": settings.aws_region,
        }
        if settings.s3_endpoint:
            properties[f"{prefix}.s3.endpoint"] = settings.s3_endpoint
    return properties
