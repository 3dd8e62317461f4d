"""Settings of the gates."""

from pathlib import Path

from pydantic import Field

from runtime.settings import Settings

LOCAL = Path(__file__).resolve().parent.parent / ".local"


class DataDocsSettings(Settings):
    """Where Data Docs are written, and how many gate runs they show."""

    site_dir: Path = Field(default=LOCAL / "site", description="Folder of the docs site: `dbt/` and `data-docs/` in it")
    watershed_state: Path = Field(
        default=LOCAL, description="Folder of this stack's data, logs, secrets and `env` file"
    )
    data_docs_runs: int = Field(default=20, ge=1, description="How many gate runs Data Docs shows")
    data_docs_seconds: float = Field(
        default=600, ge=0, description="Data Docs shows a gate run without a failed stop when the last shown is so old"
    )

    @property
    def validations(self) -> Path:
        """Folder of the validation results that Data Docs shows."""
        return self.watershed_state / "gate" / "validations"

    @property
    def data_docs(self) -> Path:
        """Folder of the pages."""
        return self.site_dir / "data-docs"


class GateSettings(DataDocsSettings):
    """Where the gates look."""

    gate_dsn: str = Field(description="Connection string of the warehouse as role `gate`")
    gate_results_days: int = Field(default=30, ge=1, description="How long what the gates found is kept in the ledger")
