"""Settings of alerts."""

from pydantic import Field, SecretStr

from runtime.settings import Settings


class NotifySettings(Settings):
    """Where an alert goes. Nothing set: into the log only."""

    alert_webhook_url: str = Field(default="", description="URL that alerts are posted to as JSON; empty: none")
    alert_email_to: str = Field(default="", description="Addresses that alerts are mailed to, by commas; empty: none")
    alert_email_from: str = Field(default="watershed@localhost", description="Sender of the mails")
    alert_smtp_url: SecretStr = Field(
        default=SecretStr("smtp://127.0.0.1:25"),
        description="Mail server: `smtp://user:password@host:587` (STARTTLS where it is offered), `smtps://…:465`",
    )
    alert_runbook_url: str = Field(
        default="docs/operations.md", description="The runbook, as alerts link it; `#<dag>-fails` is added"
    )
