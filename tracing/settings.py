"""Settings of ``watershed trace``."""

from pydantic import Field

from collector.kafka_settings import KafkaSettings
from spark_jobs.settings import SparkSettings


class TraceSettings(SparkSettings, KafkaSettings):
    """Where an event may be: the lake, the warehouse, and Kafka for what has not landed yet."""

    tracer_dsn: str = Field(description="Connection string of the warehouse database as role `tracer`: it reads")
