"""Settings of whoever sends mails to the operators."""

from pydantic import Field

from runtime.mail import Mailer
from runtime.settings import Settings, SettingsError


class MailSettings(Settings):
    """The mail server, and who is told."""

    alerts_to: str = Field(default="", description="Addresses that alerts and daily reports go to, with commas between")
    smtp_host: str = Field(default="", description="Mail server (SMTP) of invitations, alerts and reports; empty: none")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Port of the mail server")
    smtp_user: str = Field(default="", description="Log-in name at the mail server; empty: without a log-in")
    smtp_password_file: str = Field(default="", description="File that holds the password at the mail server")
    smtp_starttls: bool = Field(default=True, description="Whether to encrypt the connection to the mail server")
    mail_from: str = Field(default="watershed@localhost", description="Sender of mails")

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses."""
        return tuple(each.strip() for each in self.alerts_to.split(",") if each.strip())

    def mailer(self) -> Mailer | None:
        """The mail server; None when mails are not wanted: neither a server nor an address is set.

        :raises SettingsError: one is set without the other
        :raises MailError: the settings of the server are wrong
        """
        names = ("smtp_host", "smtp_port", "smtp_user", "smtp_password_file", "smtp_starttls", "mail_from")
        mailer = Mailer.from_environ({name.upper(): str(getattr(self, name)) for name in names})
        if (mailer is None) != (not self.recipients):
            raise SettingsError("SMTP_HOST and ALERTS_TO are set together, or neither (see docs/settings.md)")
        return mailer
