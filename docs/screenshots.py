"""Makes the pictures of docs/images that show a screen, in a headless Chromium: the live page of a real pipeline with
the stub model (page.png), and the report of a recorded case with its truth (report.png).

    .venv/bin/python docs/screenshots.py [FOLDER]

Needs the extra `dev`, and Debian's chromium and chromium-driver.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipeline.client import Sidecar  # noqa: E402
from pipeline.log import Log  # noqa: E402
from pipeline.messages import Input, Override, SessionEnd  # noqa: E402

PROGRAM = (sys.executable, str(ROOT / "run_pipeline.py"))
UNTIL_S = 215.0  # message time of the example session at which the picture of the page is taken
CASE = ROOT / "examples" / "understanding" / "sessions" / "pcnl_lower_pole.jsonl"


def main(folder: Path) -> None:
    """Write the pictures to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser, tempfile.TemporaryDirectory(prefix="or-") as scratch:
        live_page(browser, Path(scratch), folder / "page.png")
        report(browser, Path(scratch), folder / "report.png")


def live_page(browser: webdriver.Chrome, scratch: Path, picture: Path) -> None:
    """The example session in its middle, with an order of a human."""
    endpoint = f"ipc://{scratch}/requests"
    with Sidecar(model="stub", settings=(*settings(scratch), f"ingress.requests={endpoint}")) as sidecar:
        sidecar.wait_model()
        command = [*PROGRAM, "page", "--to", endpoint, "--listen", "127.0.0.1:0"]
        page = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            assert page.stderr is not None
            address = re.search(r"http://\S+", page.stderr.readline())
            assert address is not None
            play(sidecar)
            look_at(browser, address.group(), 1440, 900)
            WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, "#machines [data-held=true]"))
            browser.execute_async_script("document.fonts.ready.then(() => arguments[0]())")
            browser.save_screenshot(str(picture))
        finally:
            page.terminate()
            page.wait()


def play(sidecar: Sidecar) -> None:
    """Publish the example session up to UNTIL_S, and a human's order behind it."""
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


def report(browser: webdriver.Chrome, scratch: Path, picture: Path) -> None:
    """A whole case, judged by its truth: counts, timeline and the first lines."""
    with Sidecar(model="stub", settings=settings(scratch)) as sidecar:
        sidecar.wait_model()
        journal = sidecar.launch.wait_ready(60).journal
        for message in Log(CASE).messages:
            if isinstance(message, Input):
                sidecar.publish(message)
        sidecar.finish()
    page = scratch / "case.html"
    truth = CASE.with_suffix(".truth.json")
    subprocess.run([*PROGRAM, "report", journal, "-o", str(page), "--truth", str(truth)], check=True)
    look_at(browser, page.as_uri(), 1280, 1400)
    browser.save_screenshot(str(picture))


def settings(scratch: Path) -> tuple[str, ...]:
    """Of both pipelines: nothing of them stays."""
    return (f"run.journal={str(scratch)!r}", "inference.prefix_cache=", "run.lockstep=true")


def look_at(browser: webdriver.Chrome, address: str, width: int, height: int) -> None:
    """Open it, in a window of that size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    """A headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield browser
    finally:
        browser.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
