"""Settings of the dbt runs and of the docs site's build."""

from pathlib import Path

from pydantic import Field

from runtime.settings import Settings

LOCAL = Path(__file__).resolve().parent.parent / ".local"


class DbtSettings(Settings):
    """Where dbt connects to and where it writes."""

    dbt_dsn: str = Field(
        description="Connection string of the warehouse as role `dbt`: postgresql://user:password@host:port/database"
    )
    watershed_state: Path = Field(
        default=LOCAL, description="Folder of this stack's data, logs, secrets and `env` file"
    )

    @property
    def dbt_dir(self) -> Path:
        """Folder of dbt's manifest, compiled SQL and logs."""
        return self.watershed_state / "dbt"


class DocsBuildSettings(DbtSettings):
    """What the build of dbt's docs reads beside the project."""

    reader_dsn: str = Field(
        description="Connection string of the warehouse as role `reader`, who sees how fresh the marts are"
    )
    superset_url: str = Field(
        default="http://127.0.0.1:21088", description="Address of Superset, to whose dashboards dbt's docs link"
    )
