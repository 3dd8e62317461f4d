"""Invitations and forgotten passwords: a link that works once, by mail or handed on."""

import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from stack import secrets as secrets_of_stack
from stack import superset as superset_part
from stack.programs import http_not_ready
from superset_config.admin import Admin
from superset_config.rest import Superset, SupersetError, SupersetSettings
from tests.integration.mail_sink import Sink, free_port
from tests.integration.superset.conftest import as_user

PASSWORD = "correct horse battery"


@dataclass
class Account:
    """A person made for one test."""

    name: str
    password: str

    @property
    def email(self) -> str:
        return f"{self.name}@people.example"


@pytest.fixture
def account(admin_settings: SupersetSettings) -> Iterator[Account]:
    made = Account(f"person-{secrets.token_hex(4)}", secrets.token_urlsafe(18))
    with Admin(admin_settings) as admin:
        admin.ensure_person(made.name, made.email, ["Business viewer", "All tenants"], made.password)
        yield made
        for person in admin.people():
            if person.username == made.name:
                admin.deactivate(person)


@pytest.fixture
def browser(superset_env: Mapping[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=superset_env["SUPERSET_URL"], timeout=90) as client:
        yield client


def link_of(settings: SupersetSettings, account: Account, purpose: str) -> str:
    with Admin(settings) as admin:
        url = admin.link(account.name, purpose, mail=False).url
    assert url is not None
    return url


def choose(browser: httpx.Client, url: str, password: str, again: str | None = None) -> httpx.Response:
    """Fill in the form at ``url`` as a browser does."""
    page = browser.get(url)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    if page.status_code != httpx.codes.OK or token is None:
        return page
    form = {"csrf_token": token[1], "password": password, "again": password if again is None else again}
    return browser.post(url, data=form, headers={"Referer": url})


@pytest.mark.parametrize("purpose", ["invitation", "forgotten"])
def test_who_has_the_link_chooses_a_password_once(
    superset_env: Mapping[str, str],
    admin_settings: SupersetSettings,
    account: Account,
    browser: httpx.Client,
    purpose: str,
) -> None:
    url = link_of(admin_settings, account, purpose)
    answer = choose(browser, url, PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (302, "/login/")
    Superset(as_user(superset_env, account.name, PASSWORD)).close()
    with pytest.raises(SupersetError, match="401"):
        Superset(as_user(superset_env, account.name, account.password))
    assert choose(browser, url, "another long password").status_code == httpx.codes.GONE
    Superset(as_user(superset_env, account.name, PASSWORD)).close()


def test_an_older_link_does_not_work_once_the_password_was_changed(
    admin_settings: SupersetSettings, account: Account, browser: httpx.Client
) -> None:
    older, newer = (link_of(admin_settings, account, "forgotten") for _ in range(2))
    assert choose(browser, newer, PASSWORD).status_code == httpx.codes.FOUND
    assert choose(browser, older, "another long password").status_code == httpx.codes.GONE


@pytest.mark.parametrize(("password", "again"), [("short", "short"), (PASSWORD, "something else")])
def test_a_weak_or_mistyped_password_is_refused_and_the_link_goes_on_working(
    admin_settings: SupersetSettings, account: Account, browser: httpx.Client, password: str, again: str
) -> None:
    url = link_of(admin_settings, account, "invitation")
    assert choose(browser, url, password, again).status_code == httpx.codes.BAD_REQUEST
    assert choose(browser, url, PASSWORD).status_code == httpx.codes.FOUND


def test_a_link_that_was_tampered_with_or_is_for_something_else_does_not_work(
    admin_settings: SupersetSettings, account: Account, browser: httpx.Client
) -> None:
    url = link_of(admin_settings, account, "forgotten")
    base, token = url.rsplit("/", 1)
    payload, rest = token.split(".", 1)
    for wrong in (f"{base}/{payload[:-2]}xx.{rest}", f"{base}/x", url.replace("/forgotten/", "/invitation/")):
        assert browser.get(wrong).status_code == httpx.codes.GONE, wrong


def test_a_link_of_somebody_shut_out_does_not_work(
    admin_settings: SupersetSettings, account: Account, browser: httpx.Client
) -> None:
    url = link_of(admin_settings, account, "forgotten")
    with Admin(admin_settings) as admin:
        admin.deactivate(next(person for person in admin.people() if person.username == account.name))
    assert browser.get(url).status_code == httpx.codes.GONE


def test_only_an_administrator_is_given_links(superset_env: Mapping[str, str], account: Account) -> None:
    with Superset(as_user(superset_env, account.name, account.password)) as client:
        answer = client.try_send("POST", f"accounts/{superset_env['SUPERSET_USER']}/link", {})
    assert answer.status_code == httpx.codes.FORBIDDEN


def test_a_form_without_its_token_changes_nothing(
    admin_settings: SupersetSettings, account: Account, browser: httpx.Client
) -> None:
    url = link_of(admin_settings, account, "forgotten")
    answer = browser.post(url, data={"password": PASSWORD, "again": PASSWORD})
    assert answer.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.FOUND}
    assert browser.get(url).status_code == httpx.codes.OK


def forget(browser: httpx.Client, email: str) -> httpx.Response:
    page = browser.get("/account/forgotten")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token, page.text
    referer = {"Referer": str(browser.base_url) + "/account/forgotten"}
    return browser.post("/account/forgotten", data={"csrf_token": token[1], "email": email}, headers=referer)


def nobody() -> str:
    """An address that is no account's."""
    return f"nobody-{secrets.token_hex(4)}@people.example"


def asked_again_and_again(client: httpx.Client, emails: Callable[[], str]) -> list[int]:
    """The statuses of asking for new passwords until it is refused; at most as often as two hours allow."""
    statuses = []
    for _ in range(61):
        statuses.append(forget(client, emails()).status_code)
        if statuses[-1] != httpx.codes.OK:
            break
    return statuses


def test_a_new_password_is_not_asked_for_without_end(
    superset_env: Mapping[str, str], account: Account, browser: httpx.Client
) -> None:
    elsewhere = httpx.HTTPTransport(local_address=f"127.{secrets.randbelow(255)}.{secrets.randbelow(255)}.9")
    with httpx.Client(base_url=superset_env["SUPERSET_URL"], timeout=90, transport=elsewhere) as other:
        for email in (account.email, nobody()):
            statuses = asked_again_and_again(other, lambda email=email: email.upper())  # type: ignore[misc]
            assert statuses[-1] == httpx.codes.TOO_MANY_REQUESTS
            assert 5 < len(statuses) <= 11
            refused = forget(browser, email)
            assert refused.status_code == httpx.codes.TOO_MANY_REQUESTS, "whoever asks for it"
            assert "try again in an hour" in refused.text
        assert asked_again_and_again(other, nobody)[-1] == httpx.codes.TOO_MANY_REQUESTS
        assert forget(browser, nobody()).status_code == httpx.codes.OK, "another client's asking is its own"


def test_the_log_in_page_leads_to_a_new_password(browser: httpx.Client) -> None:
    assert 'href="/account/forgotten"' in browser.get("/login/").text


def test_without_a_mail_server_the_page_says_whom_to_ask_whether_there_is_an_account(
    account: Account, browser: httpx.Client
) -> None:
    answers = {forget(browser, email).text for email in (account.email, nobody())}
    assert len({re.sub(r'value="[^"]+"', "", answer) for answer in answers}) == 1
    assert "Ask your administrator" in answers.pop()


@pytest.fixture(scope="module")
def mailing(
    stack: Any, superset_env: Mapping[str, str], mail_sink: Sink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A second process of the same Superset, which knows a mail server: its address, and what that was sent."""
    port = free_port()
    known = secrets_of_stack.load(stack.settings.watershed_state / "secrets.json")
    env = superset_part.variables(stack.settings, known) | {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_sink.port),
        "SMTP_STARTTLS": "false",
        "MAIL_FROM": "watershed@here.example",
    }
    argv = [
        superset_part.BIN / "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        "--worker-class",
        "gthread",
        "--threads",
        "2",
    ]
    log = (tmp_path_factory.mktemp("superset") / "log").open("w")
    process = subprocess.Popen([*argv, "superset.app:create_app()"], env=env, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 300
        not_ready = http_not_ready(f"http://127.0.0.1:{port}/health")
        while (reason := not_ready()) is not None:
            assert process.poll() is None, f"it ended, see {log.name}"
            assert time.monotonic() < deadline, reason
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}", mail_sink
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def link_in(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://\S+", body.get_content())
    assert found, body.get_content()
    return found[0]


def test_a_forgotten_password_is_mended_by_mail(
    superset_env: Mapping[str, str], account: Account, mailing: Any, browser: httpx.Client
) -> None:
    url, sink = mailing
    sink.taken.clear()
    with httpx.Client(base_url=url, timeout=90) as client:
        known, unknown = (forget(client, email) for email in (account.email, nobody()))
    assert known.text == unknown.text  # nobody learns from the page whose addresses are known
    (message,) = sink.taken
    assert (message["To"], message["From"]) == (account.email, "watershed@here.example")
    link = link_in(message)
    assert link.startswith(superset_env["SUPERSET_URL"])  # and not with what the asker called the host
    assert choose(browser, link, PASSWORD).status_code == httpx.codes.FOUND
    Superset(as_user(superset_env, account.name, PASSWORD)).close()


def test_an_invitation_is_mailed(
    superset_env: Mapping[str, str], account: Account, mailing: Any, browser: httpx.Client
) -> None:
    url, sink = mailing
    sink.taken.clear()
    env = {**superset_env, "SUPERSET_URL": url}
    with Admin(as_user(env, env["SUPERSET_USER"], env["SUPERSET_PASSWORD"])) as admin:
        assert admin.link(account.name, "invitation", mail=True).url is None
    (message,) = sink.taken
    assert choose(browser, link_in(message), PASSWORD).status_code == httpx.codes.FOUND
