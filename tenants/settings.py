"""Settings of the commands that make and disable tenants."""

from pathlib import Path

from pydantic import Field, SecretStr

from superset_config.rest import SupersetSettings


class TenantSettings(SupersetSettings):
    """What ``watershed tenant …`` needs: the operator's way to everything that knows a tenant."""

    warehouse_dsn: str = Field(description="Connection string of the warehouse database as its owner, role `watershed`")
    keys_file: Path = Field(default=Path(".local/keys.json"), description="File of the write keys, hashed, mode 600")
    tenant_login_key: SecretStr = Field(
        min_length=32, description="Secret from which the passwords of tenants' roles in the warehouse follow"
    )
