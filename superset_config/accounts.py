"""Invitations and forgotten passwords: a link that lets its bearer choose the password of one account, once.

The link holds the account and a fingerprint of its present password, signed with Superset's secret key: it stops
working when the password has been changed, by it or otherwise, when the account is not active, and with time. Nothing
is kept of it. Superset itself has no page for this, and its only registration lets anybody in.
"""

import hashlib
import os
from datetime import timedelta
from functools import wraps
from typing import Any, Final

from flask import Blueprint, Flask, Response, current_app, make_response, redirect, render_template, request
from flask_appbuilder.api import BaseApi, expose, safe
from flask_appbuilder.security.decorators import protect
from flask_limiter import RateLimitExceeded
from itsdangerous import BadSignature, URLSafeTimedSerializer

from runtime.mail import Mail, Mailer, MailError

LEAST_PASSWORD: Final = 12
MOST_PASSWORD: Final = 200
LASTS: Final = {"invitation": timedelta(days=3), "forgotten": timedelta(hours=1)}
"""What a link is for, and how long it works."""
MAILS: Final = "5 per hour"
"""How often a new password may be asked for one address: nobody's letter box is filled."""
ASKED: Final = "30 per hour"
"""How often one client may ask for anybody's."""

pages = Blueprint("accounts", __name__, url_prefix="/account")


def wrong_with(password: str) -> str | None:
    """Why a password may not be chosen. Length makes it strong (NIST SP 800-63B, 5.1.1.2); no rules of composition."""
    if LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        return None
    return f"Choose {LEAST_PASSWORD} to {MOST_PASSWORD} characters."


def _manager() -> Any:
    return current_app.appbuilder.sm


def _signer(purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt=f"watershed account {purpose}")


def _fingerprint(user: Any) -> str:
    return hashlib.sha256(str(user.password).encode()).hexdigest()[:20]


def link(user: Any, purpose: str) -> str:
    """The address at which ``user`` chooses a password. Not built from the request, whose host anybody may name."""
    token = _signer(purpose).dumps([user.id, _fingerprint(user)])
    return f"{os.environ['SUPERSET_URL'].rstrip('/')}/account/{purpose}/{token}"


def _bearer(purpose: str, token: str) -> Any:
    """The account that a link is of; None when it does not work (any more)."""
    if purpose not in LASTS:
        return None
    try:
        user_id, fingerprint = _signer(purpose).loads(token, max_age=LASTS[purpose].total_seconds())
    except (BadSignature, ValueError, TypeError):
        return None
    user = _manager().get_user_by_id(user_id)
    return user if user is not None and user.active and _fingerprint(user) == fingerprint else None


def mail_link(user: Any, purpose: str) -> bool:
    """Mail ``user`` a link; False where no mail server is set.

    :raises MailError: the server did not take it
    """
    mailer = Mailer.from_environ(os.environ)
    if mailer is None:
        return False
    name = current_app.config["APP_NAME"]
    what, subject = {
        "invitation": (f"You have an account at {name}, as {user.username}.", f"Your account at {name}"),
        "forgotten": (f"Somebody asked for a new password of {user.username} at {name}.", f"New password at {name}"),
    }[purpose]
    hours = int(LASTS[purpose].total_seconds() // 3600)
    mailer.send(
        Mail(
            to=[user.email],
            subject=subject,
            text=f"{what}\n\nChoose the password here, within {hours} h and once:\n\n{link(user, purpose)}\n\n"
            "If you did not expect this, do nothing: without the link nothing changes.\n",
        )
    )
    return True


def _page(step: str, status: int = 200, **values: Any) -> Response:
    response = make_response(render_template("account.html", step=step, **values), status)
    # The address is a key: it is neither kept by the browser nor told to anybody.
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@pages.get("/forgotten")
def ask() -> Response:
    """The form that asks whose password was forgotten."""
    return _page("ask")


@pages.post("/forgotten")
def send() -> Response:
    """Mail a link to the account of that address. The answer is the same whether there is one."""
    email = request.form.get("email", "").strip()
    user = _manager().find_user(email=email) if email else None
    if user is not None and user.active:
        try:
            if not mail_link(user, "forgotten"):
                return _page("no-mail")
        except MailError:
            current_app.logger.exception("the mail with a link to a new password was not sent")
            return _page("no-mail", 503)
    elif Mailer.from_environ(os.environ) is None:
        return _page("no-mail")
    return _page("sent")


def _address_asked_for() -> str:
    address = request.form.get("email", "").strip().lower()
    return "forgotten:" + hashlib.sha256(address.encode()).hexdigest()


def limit_mails(app: Flask) -> None:
    """Refuse (429) who asks too often for a new password; counted in Redis, so by all processes together.

    An address is counted whether it is an account's, so that nobody learns from it which are.
    """
    limiter = app.appbuilder.sm.limiter
    view = f"{pages.name}.{send.__name__}"
    limited = limiter.limit(ASKED)(limiter.limit(MAILS, key_func=_address_asked_for)(app.view_functions[view]))

    @wraps(limited)
    def answer() -> Response:
        try:
            response: Response = limited()
        except RateLimitExceeded:
            return _page("too-often", 429)
        return response

    app.view_functions[view] = answer


@pages.get("/<any(invitation, forgotten):purpose>/<token>")
def form(purpose: str, token: str) -> Response:
    """The form in which the bearer of a link chooses a password."""
    user = _bearer(purpose, token)
    return _page("choose", username=user.username) if user else _page("over", 410)


@pages.post("/<any(invitation, forgotten):purpose>/<token>")
def choose(purpose: str, token: str) -> Response:
    """Set the password; the link has done its work."""
    user = _bearer(purpose, token)
    if user is None:
        return _page("over", 410)
    password, again = request.form.get("password", ""), request.form.get("again", "")
    wrong = "The two are not the same." if password != again else wrong_with(password)
    if wrong:
        return _page("choose", 400, username=user.username, wrong=wrong)
    _manager().reset_password(user.id, password)
    return redirect("/login/")


class AccountsApi(BaseApi):
    """What an administrator's program asks for: ``watershed tenant`` and ``watershed superset reset-password``."""

    resource_name = "accounts"
    class_permission_name = "Accounts"
    allow_browser_login = True
    csrf_exempt = False

    @expose("/<username>/link", methods=["POST"])
    @protect()
    @safe
    def link(self, username: str) -> Response:
        """Give the link at which ``username`` chooses a password; or mail it, if ``mail`` and a mail server is set.

        ---
        post:
          responses:
            200:
              description: The link, or null when it was mailed
        """
        asked = request.get_json(silent=True) or {}
        purpose = asked.get("purpose", "invitation")
        user = _manager().find_user(username=username)
        if user is None or purpose not in LASTS:
            return self.response_404()
        try:
            mailed = bool(asked.get("mail")) and mail_link(user, purpose)
        except MailError as error:
            return self.response_400(message=str(error))
        hours = LASTS[purpose].total_seconds() / 3600
        return self.response(200, mailed=mailed, link=None if mailed else link(user, purpose), hours=hours)
