"""Makes docs/img/page.png: the live page of a real pipeline (stub model) in a headless Chromium.

    .venv/bin/python docs/page_screenshots.py [FOLDER]

Needs the extra `dev`, and Debian's chromium and chromium-driver.
"""

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.client import Sidecar  # noqa: E402
from pipeline.log import Log  # noqa: E402
from pipeline.messages import Input, Override, SessionEnd  # noqa: E402

UNTIL_S = 215.0  # message time of the example session at which the picture is taken


def main(folder: Path) -> None:
    """Write the pictures to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        endpoint = f"ipc://{scratch}/requests"
        settings = (
            f"run.journal={scratch!r}",
            f"ingress.requests={endpoint}",
            "inference.prefix_cache=",
            "run.lockstep=true",
        )
        with Sidecar(model="stub", settings=settings) as sidecar:
            sidecar.wait_model()
            command = [
                sys.executable,
                str(ROOT / "run_pipeline.py"),
                "page",
                "--to",
                endpoint,
                "--listen",
                "127.0.0.1:0",
            ]
            page = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
            try:
                assert page.stderr is not None
                address = re.search(r"http://\S+", page.stderr.readline())
                assert address is not None
                picture(sidecar, address.group(), folder)
            finally:
                page.terminate()
                page.wait()


def picture(sidecar: Sidecar, address: str, folder: Path) -> None:
    """Show the example session on the page, and take it."""
    states = sidecar.states("or1")
    for message in Log(ROOT / "examples" / "pcnl_session.jsonl").messages:
        if isinstance(message, Input) and message.t <= UNTIL_S and not isinstance(message, SessionEnd):
            sidecar.publish(message)
            newest = message
    order = Override(
        session="or1", seq=1, t=newest.t, publisher="desk", machine="M05", action="STANDBY", operator="Dr. Kim",
        reason="bag is being changed",
    )  # fmt: skip
    sidecar.publish(order)
    for state in states:
        if "M05" in state.state["details"]["held"]:
            break
    browser = open_browser()
    try:
        size = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(address)
        WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#machines [data-held=true]"))
        time.sleep(0.5)  # the fonts
        browser.save_screenshot(str(folder / "page.png"))
    finally:
        browser.quit()


def open_browser() -> webdriver.Chrome:
    """A headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img")
