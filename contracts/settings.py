"""The one setting of the contracts."""

from pathlib import Path

from pydantic import Field

from runtime.settings import Settings


class ContractsSettings(Settings):
    """Which contracts are in force."""

    contracts_dir: Path | None = Field(
        default=None, description="Folder of the contracts, one folder a type; empty: the project's own `contracts/`"
    )
