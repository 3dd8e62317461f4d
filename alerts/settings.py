"""Settings of the alerts and of the daily report by mail."""

from pydantic import Field

from alerts.tell import Teller
from runtime.mail_settings import MailSettings
from runtime.settings import SettingsError


class AlertSettings(MailSettings):
    """Where the numbers are, and who is told."""

    alerter_dsn: str = Field(description="Connection string of the warehouse as role `alerter`")

    def teller(self) -> Teller | None:
        """Who tells; None when mails are not wanted: neither a server nor an address is set.

        :raises SettingsError: one is set without the other
        :raises MailError: the settings of the server are wrong
        """
        mailer = self.mailer()
        return None if mailer is None else Teller(mailer, self.recipients)

    def teller_or_error(self) -> Teller:
        """Who tells.

        :raises SettingsError: nobody is to be told, or one of the two is set without the other
        :raises MailError: the settings of the server are wrong
        """
        teller = self.teller()
        if teller is None:
            raise SettingsError("nobody is to be told: set SMTP_HOST and ALERTS_TO (see docs/settings.md)")
        return teller
