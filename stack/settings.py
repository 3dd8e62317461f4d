"""Settings of the local stack: where its state lies, on which ports it listens, how much memory servers may take."""

from pathlib import Path

from pydantic import Field, field_validator

from runtime.mail_settings import MailSettings

REPO = Path(__file__).resolve().parent.parent
LOCAL = REPO / ".local"


class StackSettings(MailSettings):
    """The local stack. Ports are given before ``PORT_OFFSET`` is added."""

    watershed_state: Path = Field(
        default=LOCAL, description="Folder of this stack's data, logs, secrets and `env` file"
    )
    port_offset: int = Field(
        default=0, ge=0, le=10000, description="Added to every port: a second stack beside the first"
    )
    collector_port: int = Field(default=21000, description="Port of the collector (HTTP)")
    spark_connect_port: int = Field(default=21002, description="Port of the resident Spark Connect server (gRPC)")
    lander_port: int = Field(default=21010, description="Port of the lander's health and metrics (HTTP)")
    spark_ui_port: int = Field(default=21040, description="Port of Spark's web UI")
    docs_port: int = Field(default=21070, description="Port of dbt docs and Data Docs (HTTP)")
    airflow_port: int = Field(default=21080, description="Port of Airflow's UI and API")
    superset_port: int = Field(default=21088, description="Port of Superset")
    s3_port: int = Field(default=21090, description="Port of the S3 server")
    kafka_port: int = Field(
        default=21092, description="Port of the Kafka broker for the operator's tools, without a log-in"
    )
    kafka_rooms_port: int = Field(default=21094, description="Port of the Kafka broker for who logs in (SASL)")
    kafka_controller_port: int = Field(default=21093, description="Port of Kafka's KRaft controller")
    redis_port: int = Field(default=21379, description="Port of Redis")
    postgres_port: int = Field(default=21432, description="Port of Postgres")
    kafka_open: bool = Field(
        default=True,
        description="Whether Kafka also listens on KAFKA_PORT, where any program of this machine is the operator",
    )
    kafka_heap_mb: int = Field(default=320, ge=128, description="Kafka's Java heap in MiB")
    s3_heap_mb: int = Field(default=128, ge=64, description="The S3 server's Java heap in MiB")
    spark_heap_mb: int = Field(default=1024, ge=512, description="The Spark Connect server's Java heap in MiB")
    spark_cores: int = Field(default=2, ge=1, description="Threads of the resident Spark Connect server")
    alert_webhook_url: str = Field(default="", description="URL that Airflow's alerts are posted to; empty: none")
    alert_runbook_url: str = Field(default="", description="Where `docs/operations.md` can be read, for the alerts")
    openlineage_url: str = Field(
        default="",
        description="Server that OpenLineage events are posted to, as in `http://marquez:5000`; empty: they go to the "
        "file `lineage/events.jsonl` in WATERSHED_STATE",
    )
    openlineage_endpoint: str = Field(
        default="api/v1/lineage", description="Path of `OPENLINEAGE_URL` that takes events"
    )
    openlineage_key_file: str = Field(
        default="", description="File that holds the key for `OPENLINEAGE_URL`, sent as a bearer token; empty: none"
    )
    openlineage_seconds: float = Field(
        default=1, gt=0, le=10, description="How long to wait for `OPENLINEAGE_URL`, for each event, in seconds"
    )
    openlineage_file_mb: int = Field(
        default=64,
        ge=0,
        description="Size at which the file of OpenLineage events begins anew (the one before is kept), in MiB; 0: no "
        "file, and without OPENLINEAGE_URL no events",
    )
    ready_seconds: int = Field(default=180, ge=5, description="How long `make up` waits for one server to be ready")
    disk_needed_mb: int = Field(
        default=2048, ge=0, description="`make up` refuses to start with less free disk than this"
    )

    @field_validator("watershed_state")
    @classmethod
    def _from_anywhere(cls, folder: Path) -> Path:
        """The folder as processes started elsewhere, and later commands, can name it."""
        return folder.expanduser().resolve()

    def port(self, name: str) -> int:
        """The effective port of ``name`` (as in ``collector`` for ``COLLECTOR_PORT``)."""
        base: int = getattr(self, f"{name}_port")
        return base + self.port_offset

    def ports(self) -> dict[str, int]:
        """Every port this stack listens on, by setting name in capitals."""
        names = {name for name in type(self).model_fields if name.endswith("_port")}
        if not self.kafka_open:
            names.remove("kafka_port")
        return {name.upper(): self.port(name.removesuffix("_port")) for name in sorted(names)}

    @property
    def data(self) -> Path:
        """Folder of the servers' data."""
        return self.watershed_state / "data"

    @property
    def logs(self) -> Path:
        """Folder of one log file a process."""
        return self.watershed_state / "logs"

    @property
    def run(self) -> Path:
        """Folder of the supervisor's files and generated server configuration."""
        return self.watershed_state / "run"

    @property
    def site(self) -> Path:
        """Folder that the docs server serves."""
        return self.watershed_state / "site"
