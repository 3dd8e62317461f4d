"""Settings of the warehouse's own commands."""

from pydantic import Field

from runtime.settings import Settings


class MigrateSettings(Settings):
    """What ``watershed warehouse migrate`` needs."""

    warehouse_dsn: str = Field(description="Connection string of the warehouse database as its owner, role `watershed`")
