"""A mail as it is sent, and the server it goes to."""

from pathlib import Path

import pytest

from runtime.mail import Attachment, Mail, Mailer, MailError


def test_without_a_host_there_is_no_mail_server() -> None:
    assert Mailer.from_environ({"SMTP_HOST": "", "SMTP_PORT": "25"}) is None


def test_the_password_is_read_from_its_file_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush\n")
    mailer = Mailer.from_environ(
        {"SMTP_HOST": "mail.example", "SMTP_USER": "u", "SMTP_PASSWORD_FILE": str(tmp_path / "password")}
    )
    assert mailer is not None
    assert (mailer.password, mailer.port, mailer.starttls) == ("hush", 587, True)
    assert "hush" not in repr(mailer)


@pytest.mark.parametrize("wrong", [{"SMTP_PORT": "many"}, {"SMTP_PASSWORD_FILE": "/no/such/file"}])
def test_a_malformed_setting_is_said(wrong: dict[str, str]) -> None:
    with pytest.raises(MailError, match="settings of the mail server"):
        Mailer.from_environ({"SMTP_HOST": "mail.example", **wrong})


def test_pictures_stand_in_the_page_and_files_beside_it() -> None:
    mail = Mail(
        to=["a@x.example", "b@x.example"],
        subject="Numbers",
        text="plain",
        html="<img src='cid:picture.png'>",
        attachments=[
            Attachment("picture.png", "image/png", b"png", inline=True),
            Attachment("n.csv", "text/csv", b"1"),
        ],
    )
    message = mail.message("w@x.example")
    assert message["To"] == "a@x.example, b@x.example"
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "text/csv",
    ]  # fmt: skip


def test_a_line_break_cannot_smuggle_in_a_header() -> None:
    mail = Mail(to=["a@x.example"], subject="Numbers\nBcc: all@x.example", text="")
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        mail.message("w@x.example")


def test_a_server_that_is_not_there_is_named() -> None:
    mailer = Mailer("127.0.0.1", 1, "w@x.example", starttls=False)
    with pytest.raises(MailError, match=r"127\.0\.0\.1:1"):
        mailer.send(Mail(to=["a@x.example"], subject="s", text="t"))
