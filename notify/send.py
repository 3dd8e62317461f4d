"""Tell people that a task failed or works again: structured log, webhook, mail."""

from dataclasses import asdict, dataclass
from typing import Literal

import httpx

from notify.settings import NotifySettings
from runtime import log
from runtime.mail import Mail, MailError
from runtime.settings import SettingsError

TIMEOUT = 10.0
"""Seconds the webhook may take: the task's worker waits for it."""
logger = log.get(__name__)


@dataclass(frozen=True)
class Alert:
    """One end of an incident. ``since``: when it began; ``url``: the log of the task."""

    state: Literal["failed", "recovered"]
    dag: str
    task: str
    run_id: str
    since: str
    url: str
    error: str
    runbook: str

    @property
    def title(self) -> str:
        """One line."""
        return f"Watershed: {self.dag}.{self.task} {'failed' if self.state == 'failed' else 'works again'}"

    @property
    def text(self) -> str:
        """What a person needs at night."""
        lines = [self.title, "", f"since: {self.since}", f"run: {self.run_id}"]
        lines += [f"error: {self.error}"] if self.error else []
        return "\n".join([*lines, f"log: {self.url}", f"what to do: {self.runbook}"]) + "\n"


def send(alert: Alert, settings: NotifySettings) -> dict[str, str]:
    """Send over every channel that is set; gives for each ``sent``, or why not. The log always has it."""
    entry = {**asdict(alert), "title": alert.title}
    if alert.state == "failed":
        logger.error("alert", **entry)
    else:
        logger.warning("alert", **entry)
    outcome = {}
    if settings.alert_webhook_url:
        outcome["webhook"] = _post(alert, settings.alert_webhook_url)
    if settings.recipients or settings.smtp_host:
        outcome["mail"] = _mail(alert, settings)
    return outcome


def _post(alert: Alert, url: str) -> str:
    try:
        # `text` is what chat systems show of an incoming webhook.
        answer = httpx.post(url, json={**asdict(alert), "title": alert.title, "text": alert.text}, timeout=TIMEOUT)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return "sent"


def _mail(alert: Alert, settings: NotifySettings) -> str:
    try:
        mailer = settings.mailer()
        if mailer is None:
            return "no mail server is set"
        mailer.send(Mail(settings.recipients, alert.title, alert.text))
    except (MailError, SettingsError) as error:
        return str(error)
    return "sent"
