"""A mail server as they are outside: TLS by STARTTLS, with a certificate of its own, and a log-in."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from runtime.mail import Mail, Mailer, MailError
from tests.integration.mail_sink import Sink, free_port

MAIL = Mail(to=["ops@x.example"], subject="Numbers", text="plain")
USER, PASSWORD = "watershed", "hush"


class Guarded(Sink):
    """Takes mail from who has logged in, over TLS only."""

    def authenticate(self, *asked: Any) -> AuthResult:
        given = asked[-1]
        assert isinstance(given, LoginPassword)
        right = (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)  # the server itself answers who is not right


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine trusts who signed the server's certificate."""
    file = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def serving(sink: Guarded, **more: Any) -> Controller:
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, **more)
    controller.start()
    return controller


@pytest.fixture
def guarded(authority: trustme.CA) -> Iterator[Guarded]:
    sink = Guarded(port=free_port())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    controller = serving(
        sink, tls_context=context, require_starttls=True, auth_required=True, authenticator=sink.authenticate
    )
    yield sink
    controller.stop()


def mailer(sink: Sink, password: str = PASSWORD, *, host: str = "localhost", user: str = USER) -> Mailer:
    return Mailer(host, sink.port, "w@x.example", user=user, password=password)


@pytest.mark.usefixtures("trusted")
def test_a_mail_is_handed_over_encrypted_by_who_has_logged_in(guarded: Guarded) -> None:
    mailer(guarded).send(MAIL)
    assert guarded.subjects() == ["Numbers"]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("", "")], ids=["wrong password", "no log-in"])
def test_who_does_not_log_in_is_told_by_the_server(guarded: Guarded, user: str, password: str) -> None:
    with pytest.raises(MailError, match=r"localhost:\d+ did not take the mail: .*([Aa]uthentication)"):
        mailer(guarded, password, user=user).send(MAIL)
    assert guarded.subjects() == []


def test_a_server_that_nobody_vouches_for_gets_neither_password_nor_mail(guarded: Guarded) -> None:
    with pytest.raises(MailError, match="certificate verify failed"):
        mailer(guarded).send(MAIL)
    assert guarded.subjects() == []


@pytest.mark.usefixtures("trusted")
def test_a_server_that_is_another_than_its_certificate_says_gets_nothing(guarded: Guarded) -> None:
    with pytest.raises(MailError, match="certificate verify failed"):
        mailer(guarded, host="127.0.0.1").send(MAIL)
    assert guarded.subjects() == []


def test_a_server_without_tls_gets_nothing_in_the_clear() -> None:
    sink = Guarded(port=free_port())
    controller = serving(sink)
    try:
        with pytest.raises(MailError, match="STARTTLS"):
            mailer(sink).send(MAIL)
    finally:
        controller.stop()
    assert sink.subjects() == []
