"""Settings of the demo; `make up` writes them all to ``.local/env``."""

from pathlib import Path

from pydantic import Field, SecretStr

from runtime.settings import Settings


class SendSettings(Settings):
    """Where the generator sends to."""

    collector_url: str = Field(description="Address of the collector, such as http://127.0.0.1:21000")
    write_key: SecretStr = Field(description="Write key of a server, which may send old events")


class CompareSettings(Settings):
    """Where the charts are read from."""

    reader_dsn: str = Field(description="Connection string of the warehouse as role `reader`, who sees the marts only")
    warehouse_dsn: str = Field(description="Connection string of the warehouse as its owner; only read with here")


class RunSettings(SendSettings, CompareSettings):
    """What ``watershed demo run`` needs beside."""

    watershed_state: Path = Field(description="The stack's folder; what was sent is kept under data/demo in it")
    keys_file: Path = Field(description="The collector's file of write keys, to make one for an access log's tenant")
    visitor_hash_key: SecretStr = Field(description="Secret key of the hashes that stand for visitors")
    superset_url: str = Field(description="Address of Superset")
    superset_user: str = Field(description="Superset's log-in")
    superset_password: SecretStr = Field(description="Its password")
    airflow_url: str = Field(description="Address of Airflow")
    airflow_user: str = Field(description="Airflow's log-in")
    airflow_password: SecretStr = Field(description="Its password")
    dbt_docs_url: str = Field(description="Address of the dbt documentation")
    data_docs_url: str = Field(description="Address of the Great Expectations reports")
