"""What a report by mail needs and this installation may be without: a mail server, Playwright, a Chromium."""

from importlib.util import find_spec

from alerts.settings import AlertSettings
from runtime.settings import SettingsError

BROWSER_LIBRARY = "playwright"


def missing(settings: AlertSettings) -> list[str]:
    """What is not here, in words for people; empty when a report can be made and sent.

    :raises SettingsError: a setting is wrong, which is another thing than not set
    :raises MailError: the settings of the mail server are wrong
    """
    found = []
    if settings.teller() is None:
        found.append("nobody is to be told: SMTP_HOST and ALERTS_TO are not set (docs/settings.md)")
    if find_spec(BROWSER_LIBRARY) is None:
        found.append(f"the picture needs {BROWSER_LIBRARY}, which `make setup-dev` installs")
        return found
    from superset_config.screenshot import BrowserSettings  # noqa: PLC0415 - it loads the library

    browser = BrowserSettings.read()
    try:
        browser.browser  # noqa: B018 - looks for it
    except SettingsError as error:
        found.append(f"the picture needs a Chromium: {error}")
    return found
