"""``make screenshots``: the README's pictures, taken from the running stack in a headless Chromium.

With ``LOG=path``, also that of an access log that `make demo LOG=path` has sent.

Superset's dashboards are looked at by ``superset_config.screenshot``, which fails on an error or an empty chart.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from pydantic import Field, SecretStr

from cli.main import adopt_stack_environment
from demo.access_log import tenant_of
from demo.run import DemoError
from runtime.settings import Settings
from stack.settings import REPO
from superset_config.screenshot import BROWSER_ARGUMENTS, BrowserSettings, Look, look_at_all

IMAGES = REPO / "docs" / "images"
WIDTH, HEIGHT = 1440, 900


class PictureSettings(Settings):
    """The pages of which pictures are taken."""

    airflow_url: str = Field(description="Airflow's address")
    airflow_user: str = Field(description="Airflow's log-in name")
    airflow_password: SecretStr = Field(description="Airflow's password")
    dbt_docs_url: str = Field(description="Address of dbt docs")
    data_docs_url: str = Field(description="Address of Data Docs")


def _airflow(page: Page, settings: PictureSettings) -> None:
    page.goto(settings.airflow_url)
    page.locator("input[name=username]").fill(settings.airflow_user)
    page.locator("input[name=password]").fill(settings.airflow_password.get_secret_value())
    page.locator("input[type=submit], button[type=submit]").first.click()
    page.wait_for_url(lambda url: "login" not in url)
    page.goto(f"{settings.airflow_url}/dags/build_marts")
    page.get_by_text("gate_rollups").first.wait_for()


def _dbt(page: Page, settings: PictureSettings) -> None:
    page.goto(f"{settings.dbt_docs_url}#!/model/model.watershed.region_daily")
    page.locator("h1").filter(has_text="region_daily").first.wait_for()


def _data_docs(page: Page, settings: PictureSettings) -> None:
    page.goto(settings.data_docs_url)
    page.locator("table, a").first.wait_for()


def _of_log(settings: BrowserSettings, tenant: str) -> list[Look]:
    """The dashboard *Page views* of the access log's tenant."""
    with tempfile.TemporaryDirectory() as folder:
        looks = look_at_all(settings, Path(folder), tenant, WIDTH, HEIGHT, only=["page-views"])
        for look in looks:
            shutil.copy(look.picture, IMAGES / "access-log.png")
    return looks


def main() -> int:
    """Take every picture; 1 when a dashboard shows something wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--log", type=Path, help="an access log whose dashboard is taken, too")
    log = parser.parse_args().log
    try:
        tenant = tenant_of(log) if log else None
    except DemoError as error:
        parser.error(str(error))
    adopt_stack_environment()
    settings = PictureSettings.read()
    browser_settings = BrowserSettings.read()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_settings.browser, args=list(BROWSER_ARGUMENTS), headless=True
        )
        for name, open_page in (("airflow", _airflow), ("dbt-docs", _dbt), ("data-docs", _data_docs)):
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-GB", timezone_id="UTC")
            open_page(page, settings)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=IMAGES / f"{name}.png")
            page.close()
        browser.close()
    looks = look_at_all(browser_settings, IMAGES, "demo", WIDTH, HEIGHT)
    looks += _of_log(browser_settings, tenant) if tenant else []
    wrong = [f"{look.slug}: {what}" for look in looks for what in look.wrong]
    sys.stdout.write("".join(f"{picture}\n" for picture in sorted(Path(IMAGES).glob("*.png"))))
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
