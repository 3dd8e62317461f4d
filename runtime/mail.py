"""Sends mail over SMTP. Standard library only, as Superset's environment uses it too."""

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Self

SECONDS = 30
"""How long a mail server may take for one answer."""


class MailError(Exception):
    """The mail was not taken by the server; the message says by which, and why."""


@dataclass(frozen=True)
class Attachment:
    """A file of a mail; an image with an ``inline`` name is shown within the HTML as ``cid:<name>``."""

    name: str
    kind: str
    content: bytes
    inline: bool = False


@dataclass(frozen=True)
class Mail:
    """One message; ``html`` is beside ``text``, not instead of it."""

    to: Sequence[str]
    subject: str
    text: str
    html: str | None = None
    attachments: Sequence[Attachment] = field(default_factory=tuple)

    def message(self, sender: str) -> EmailMessage:
        """As it is sent."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, ", ".join(self.to), self.subject
        message.set_content(self.text)
        if self.html is not None:
            message.add_alternative(self.html, subtype="html")
        for each in self.attachments:
            main, sub = each.kind.split("/")
            if each.inline and self.html is not None:
                page = message.get_body(("html",))
                assert isinstance(page, EmailMessage)  # noqa: S101 (it was added above)
                page.add_related(each.content, main, sub, cid=f"<{each.name}>", filename=each.name)
            else:
                message.add_attachment(each.content, main, sub, filename=each.name)
        return message


@dataclass(frozen=True)
class Mailer:
    """A mail server and how to log in to it."""

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = True

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self | None:
        """The server that ``SMTP_HOST`` and its like name (docs/settings.md); None where none is named.

        :raises MailError: a variable is malformed, or the password's file cannot be read.
        """
        host = environ.get("SMTP_HOST", "")
        if not host:
            return None
        try:
            file = environ.get("SMTP_PASSWORD_FILE", "")
            return cls(
                host=host,
                port=int(environ.get("SMTP_PORT", "587")),
                sender=environ.get("MAIL_FROM", "watershed@localhost"),
                user=environ.get("SMTP_USER", ""),
                password=Path(file).read_text(encoding="utf-8").strip() if file else "",
                starttls=environ.get("SMTP_STARTTLS", "true").lower() in {"1", "true", "yes"},
            )
        except (ValueError, OSError) as error:
            raise MailError(f"the settings of the mail server are wrong: {error}") from error

    def send(self, mail: Mail) -> None:
        """Hand the mail to the server.

        :raises MailError: it cannot be reached, or refuses.
        """
        try:
            with smtplib.SMTP(self.host, self.port, timeout=SECONDS) as server:
                if self.starttls:
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    server.login(self.user, self.password)
                server.send_message(mail.message(self.sender))
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"{self.host}:{self.port} did not take the mail: {error}") from error
