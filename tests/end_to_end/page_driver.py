"""A page's process beside a pipeline, and a headless Chromium that looks at it."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toolchains import lacking

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
PATIENCE_S = 60.0


@contextmanager
def page_of(endpoint: str, *arguments: str, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """The address of a page's process, which ends with the block, without an error."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "page", "--to", endpoint, "--listen", listen, *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = process.stderr.readline()
        address = re.search(r"https?://\S+/", said)
        assert address is not None, said + process.stderr.read()
        yield address.group()
    finally:
        process.terminate()
        _, rest = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    assert "Traceback" not in rest, rest


@contextmanager
def events_of(address: str, **headers: str) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    """What the server tells: the id and the data of each event."""
    request = urllib.request.Request(f"{address}events", headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:

        def read() -> Iterator[tuple[str, dict[str, Any]]]:
            number = ""
            for line in answer:
                if line.startswith(b"id: "):
                    number = line[4:].strip().decode()
                elif line.startswith(b"data: "):
                    yield number, json.loads(line[6:])

        yield read()


def told_session(events: Iterator[tuple[str, dict[str, Any]]], wanted: Callable[[dict[str, Any]], bool]) -> Any:
    """The first session in the events for which `wanted` holds."""
    for _, event in events:
        for session in event["sessions"]:
            if wanted(session):
                return session
    raise AssertionError("the server stopped telling")


def open_browser(width: int = 1440, height: int = 900) -> Any:
    """A headless Chromium with that many CSS pixels; the test is skipped where there is none."""
    try:
        from selenium import webdriver as selenium
    except ModuleNotFoundError:
        lacking("no selenium: pip install selenium")
    if not (CHROMIUM and DRIVER):
        lacking("no Chromium with its driver: apt install chromium chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    return browser


def requested(browser: Any) -> list[str]:
    """The URL of every request that the browser made for a page, since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for what the browser will show, however busy the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not seen within {PATIENCE_S:g} s: {what}")
