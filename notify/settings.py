"""Settings of alerts about tasks."""

from pydantic import Field

from runtime.mail_settings import MailSettings


class NotifySettings(MailSettings):
    """Where an alert goes. Nothing set: into the log only."""

    alert_webhook_url: str = Field(default="", description="URL that alerts are posted to as JSON; empty: none")
    alert_runbook_url: str = Field(
        default="docs/operations.md", description="The runbook, as alerts link it; `#<dag>-fails` is added"
    )
