"""What a mail about incidents says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.definitions import Alert
from runtime.mail import Mail, Mailer


@dataclass(frozen=True)
class Incident:
    """One tenant's, of ``key`` within it (a service, a currency); ``value`` is what was measured when it opened."""

    tenant: str
    key: str
    value: str
    opened_at: datetime
    closed_at: datetime | None = None

    @property
    def place(self) -> str:
        """As it is called in mails."""
        return f"{self.tenant}, {self.key}" if self.key else self.tenant


@dataclass(frozen=True)
class Teller:
    """Tells of incidents by mail."""

    mailer: Mailer
    to: tuple[str, ...]

    def tell(self, alert: Alert, incidents: Sequence[Incident], ending: bool) -> None:
        """Send one mail about all ``incidents`` of ``alert``.

        :raises MailError: the server did not take it
        """
        self.mailer.send(mail_of(alert, incidents, ending, self.to))


def mail_of(alert: Alert, incidents: Sequence[Incident], ending: bool, to: tuple[str, ...]) -> Mail:
    """One mail about all ``incidents`` of ``alert`` that opened, or ended, at one check."""
    first, *others = incidents
    more = f" and {len(others)} more" if others else ""
    subject = f"{'Over' if ending else 'Alert'}: {alert.title} ({first.place}{more})"
    lines = [_line(alert, each, ending) for each in incidents]
    what = "The rule holds again." if ending else alert.says
    rule = f"The rule: not over {alert.threshold:g} {alert.unit}."
    return Mail(
        to=to, subject=subject, text="\n".join([what, "", *lines, "", rule, f"What to do: {alert.runbook}", ""])
    )


def _line(alert: Alert, incident: Incident, ending: bool) -> str:
    since = f"{incident.opened_at:%Y-%m-%d %H:%M} UTC"
    if ending and incident.closed_at is not None:
        minutes = (incident.closed_at - incident.opened_at).total_seconds() / 60
        return f"- {incident.place}: since {since}, for {minutes:.0f} minutes"
    return f"- {incident.place}: {incident.value} {alert.unit}, since {since}"
