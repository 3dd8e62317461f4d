"""The resident Spark Connect server: one warm JVM that every job talks to, instead of one JVM a micro-batch."""

import os
from collections.abc import Mapping
from pathlib import Path

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql.connect.session import SparkSession

from stack.programs import Program, fingerprint, tcp_not_ready
from stack.secrets import write_private
from stack.servers import object_store
from stack.settings import LOCAL, StackSettings

LOG4J = """\
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.target=SYSTEM_ERR
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601}{UTC}Z %p %c{1} %m%n
"""
LOG4J_FILE = "spark-log4j2.properties"


def remote(settings: StackSettings) -> str:
    """What jobs are given as ``SPARK_REMOTE``."""
    return f"sc://127.0.0.1:{settings.port('spark_connect')}"


def jars() -> list[Path]:
    """The jars Spark needs for the lake: Iceberg, its S3 client and Postgres's driver."""
    return sorted((LOCAL / "jars" / "spark").glob("*.jar"))


def lake_properties(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> dict[str, str]:
    """Spark's settings for the Iceberg catalog ``lake``: a JDBC catalog in Postgres, files on S3; both only to be read.

    A job that has to write gives its session credentials of its own, as ``spark_jobs.session.catalog_properties`` does.
    """
    access, secret = object_store.key_pair(secrets, "load")
    catalog = {
        "": "org.apache.iceberg.spark.SparkCatalog",
        ".type": "jdbc",
        ".uri": f"jdbc:postgresql://127.0.0.1:{settings.port('postgres')}/catalog",
        ".jdbc.user": "spark",
        ".jdbc.password": secrets["spark"],
        ".jdbc.schema-version": "V1",
        ".warehouse": warehouse,
        ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        ".s3.endpoint": object_store.endpoint(settings),
        ".s3.path-style-access": "true",
        ".s3.access-key-id": access,
        ".s3.secret-access-key": secret,
        ".client.region": object_store.REGION,
        ".cache-enabled": "false",  # a job must see the newest snapshot, not one of some seconds ago
        ".io.manifest.cache-enabled": "true",
    }
    return {f"spark.sql.catalog.lake{name}": value for name, value in catalog.items()}


def _configuration(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> str:
    work = settings.data / "spark"
    log4j = settings.run / LOG4J_FILE
    java = f"-XX:+UseSerialGC -Xss2m -Dlog4j2.configurationFile={log4j} -Duser.timezone=UTC"
    values = {
        "spark.master": f"local[{settings.spark_cores}]",
        "spark.app.name": "watershed",
        "spark.driver.memory": f"{settings.spark_heap_mb}m",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": java,
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(settings.port("spark_connect")),
        "spark.ui.port": str(settings.port("spark_ui")),
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.ui.retainedTasks": "1000",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.connect.ui.retainedSessions": "20",
        "spark.connect.ui.retainedStatements": "50",
        "spark.local.dir": str(work),
        "spark.sql.warehouse.dir": str(work / "unused-warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.spark_cores),
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.scheduler.mode": "FAIR",
        "spark.jars": ",".join(str(jar) for jar in jars()),
        **lake_properties(settings, secrets, warehouse),
    }
    return "".join(f"{name} {value}\n" for name, value in values.items())


def _prepare(settings: StackSettings, text: str) -> None:
    (settings.data / "spark").mkdir(parents=True, exist_ok=True)
    write_private(settings.run / "spark.properties", text)
    (settings.run / LOG4J_FILE).write_text(LOG4J)


def _not_ready(settings: StackSettings) -> str | None:
    reason = tcp_not_ready(settings.port("spark_connect"))()
    if reason:
        return reason
    try:
        session = SparkSession.builder.remote(remote(settings)).create()
        try:
            session.sql("select 1").collect()
        finally:
            session.stop()
    except PySparkException as error:
        return str(error)[:300]
    return None


def program(settings: StackSettings, secrets: Mapping[str, str], warehouse: str) -> Program:
    """The server. ``warehouse`` is the lake's root, as in ``LAKE_WAREHOUSE``."""
    home = Path(pyspark.__file__).parent
    text = _configuration(settings, secrets, warehouse)
    argv: list[str | Path] = [home / "bin" / "spark-submit", "--properties-file", settings.run / "spark.properties"]
    argv += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
    return Program(
        name="spark-connect",
        argv=argv,
        env={
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PATH": os.environ["PATH"],
            **fingerprint(text),
        },
        prepare=lambda: _prepare(settings, text),
        not_ready=lambda: _not_ready(settings),
        needs=("postgres-roles", "lake-bucket"),
    )
