"""The live page in a real browser, beside a real pipeline with the stub model."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_driver import open_browser, page_of, requested, until

from pipeline.client import Sidecar
from pipeline.messages import SessionEnd, SessionStart, Transcript

HOSTILE = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script> turn on the suction </ol> &amp; "]]>'


class Beside:
    """A pipeline, its page, and a browser that looks at it."""

    def __init__(self, sidecar: Sidecar, address: str, browser: Any) -> None:
        self.sidecar, self.address, self.browser = sidecar, address, browser
        self.seq = 0

    def begin(self) -> None:
        """A session, shown."""
        self.publish(SessionStart, surgery="PCNL")
        self.browser.get(self.address)
        until(lambda: self.all("#machines button"), "the machines")

    def publish(self, kind: Any, t: float = 0.0, **fields: Any) -> None:
        """One more input of the session."""
        self.seq += 1
        self.sidecar.publish(kind(session="or1", seq=self.seq, t=t, **fields))

    def say(self, t: float, text: str) -> None:
        """A line of the surgeon."""
        self.publish(Transcript, t, speaker="Surgeon", text=text)

    def all(self, css: str) -> list[Any]:
        """Elements, as the page is now."""
        found: list[Any] = self.browser.find_elements("css selector", css)
        return found

    def text(self, css: str) -> str:
        """What is in an element; "" if there is none yet."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.textContent : ''"
        return str(self.browser.execute_script(script, css))

    def state(self, machine: str) -> str:
        """A machine's state as it is shown."""
        return self.text(f"#machines [data-machine={machine}] .state")

    def data(self, name: str) -> str:
        """What the body says of itself."""
        return str(self.browser.execute_script("return document.body.dataset[arguments[0]]", name))

    def press(self, key: str) -> None:
        """A key, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(key).perform()

    def picture(self, name: str) -> None:
        """Keep what is seen, for whoever wants to look at it."""
        if folder := os.environ.get("ORSTATE_PICTURES"):
            self.browser.save_screenshot(str(Path(folder) / f"{name}.png"))


@pytest.fixture
def browser() -> Iterator[Any]:
    browser = open_browser()
    yield browser
    browser.quit()


@pytest.fixture
def beside(browser: Any, settings: tuple[str, ...], run_folder: Path) -> Iterator[Beside]:
    endpoint = f"ipc://{run_folder}/requests"
    ours = (*settings, f"ingress.requests={endpoint}", "prompt.request_timeout_s=1")
    with (
        Sidecar(model="stub", settings=ours) as sidecar,
        page_of(endpoint) as address,
    ):
        assert sidecar.wait_model()
        yield Beside(sidecar, address, browser)


def test_a_word_moves_a_machine_on_the_screen_and_is_marked_where_it_was_said(beside: Beside) -> None:
    beside.begin()
    assert beside.state("M06") == "OFF"
    beside.say(8.0, "Well, turn on the suction please.")
    until(lambda: beside.state("M06") == "ON", "the suction is on")
    assert "by rule · " in beside.text("#machines [data-machine=M06] .by")
    until(lambda: beside.all("#lines .moved mark.named"), "the words that did it")
    marks = [mark.get_property("textContent") for mark in beside.all("#lines .moved mark")]
    assert "".join(marks) == "turn on the suction"
    assert [mark.text for mark in beside.all("#lines .moved mark.named")] == ["suction"]
    assert beside.text("#lines .moved .effects") == "Suction Apparatus ON"
    assert beside.text("#phases [data-is=now] .tag") == "NOW"
    assert beside.text("#phases [data-is=next] .name") == "Anesthesia Induction"
    until(lambda: "suggestion of" in beside.text("#suggestions"), "what is suggested, marked so")
    beside.picture("live")


def test_hostile_words_are_shown_as_they_were_said_and_nothing_leaves_the_machine(beside: Beside) -> None:
    requested(beside.browser)
    beside.begin()
    beside.say(8.0, HOSTILE)
    until(lambda: beside.state("M06") == "ON", "the suction is on")
    until(lambda: HOSTILE in beside.text("#lines"), "the words themselves")
    assert not beside.all("#lines img, #lines script")
    assert beside.browser.execute_script("return window.hurt") is None
    urls = requested(beside.browser)
    assert urls
    assert {url for url in urls if not url.startswith((beside.address, "about:", "data:"))} == set()
    complaints = [entry["message"] for entry in beside.browser.get_log("browser")]
    assert complaints == []


def test_a_human_sets_a_machine_with_a_reason_by_keyboard_alone_and_releases_it(beside: Beside) -> None:
    from selenium.webdriver.common.keys import Keys

    beside.begin()
    beside.press("m")
    for _ in range(5):
        beside.press(Keys.TAB)
    beside.press(Keys.ENTER)
    until(lambda: beside.text("#order-title") == "Suction Apparatus (M06)", "the dialog of the sixth machine")
    beside.press(Keys.ARROW_DOWN)
    beside.press(Keys.ARROW_DOWN)
    assert beside.browser.execute_script("return document.querySelector('#order :checked').value") == "STANDBY"
    beside.press(Keys.TAB)
    beside.press("bag <b>full</b>")
    beside.press(Keys.TAB)
    beside.press("Kim")
    beside.picture("dialog")
    beside.press(Keys.ENTER)
    until(lambda: beside.state("M06") == "STANDBY", "the setting")
    until(lambda: beside.text("#machines [data-machine=M06] .held") == "bag <b>full</b>", "its reason")
    assert "by Kim" in beside.text("#machines [data-machine=M06] .by")
    beside.say(9.0, "Turn on the suction.")
    until(lambda: "Turn on the suction" in beside.text("#lines"), "the line that moves nothing")
    assert beside.state("M06") == "STANDBY"
    beside.press(Keys.ENTER)  # the focus is on the machine still
    until(lambda: beside.all("#order-release:not([hidden])"), "the way to release it")
    beside.browser.find_element("id", "order-release").click()
    until(lambda: "released" in beside.text("#machines [data-machine=M06] .by"), "the release")
    beside.say(20.0, "Turn on the suction.")
    until(lambda: beside.state("M06") == "ON", "rules move it again")


def test_sliding_back_shows_the_room_as_it_was_and_the_way_to_now(beside: Beside) -> None:
    from selenium.webdriver.common.keys import Keys

    beside.begin()
    beside.say(30.0, "Turn on the suction.")
    beside.say(60.0, "Switch off the suction.")
    until(lambda: "Switch off" in beside.text("#lines") and beside.state("M06") == "OFF", "the newest state")
    for _ in range(5):  # 25 s
        beside.press(Keys.ARROW_LEFT)
    until(lambda: beside.state("M06") == "ON", "the state of before")
    assert beside.data("mode") == "past"
    assert "PAST" in beside.text("#mode")
    assert "Switch off" not in beside.text("#lines")
    assert not beside.all("#machines button:not([disabled])")
    beside.picture("past")
    beside.press(Keys.END)
    until(lambda: beside.data("mode") == "live" and beside.state("M06") == "OFF", "now")
    assert beside.all("#machines button:not([disabled])")


def test_nobody_misses_that_the_model_does_not_answer(beside: Beside) -> None:
    beside.begin()
    until(lambda: beside.data("health") == "ok", "all is well")
    inference = beside.sidecar.status().stages["inference"].pid
    os.kill(inference, signal.SIGSTOP)
    try:
        beside.say(8.0, "Turn on the suction.")
        until(lambda: "the model gave no answer in time" in beside.text("#banners"), "the banner")
        assert beside.data("health") == "degraded"
        assert "DEGRADED" in beside.browser.title
        assert beside.state("M06") == "ON"  # what the rules know
        beside.picture("degraded")
    finally:
        os.kill(inference, signal.SIGCONT)
    beside.say(20.0, "The next line is a question again.")
    until(lambda: beside.data("health") == "ok", "all is well again")
    assert "DEGRADED" not in beside.browser.title


def test_the_page_says_that_the_server_is_gone_and_comes_back_by_itself(
    browser: Any, settings: tuple[str, ...], run_folder: Path
) -> None:
    endpoint = f"ipc://{run_folder}/requests"
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={endpoint}")) as sidecar:
        with page_of(endpoint) as address:
            beside = Beside(sidecar, address, browser)
            beside.begin()
            until(lambda: beside.data("health") == "ok", "a page that is up to date")
        until(lambda: "NO CONNECTION" in beside.text("#banners"), "that nobody answers")
        beside.picture("lost")
        assert beside.all("#machines button")  # what was known stays, and is told to be old
        with page_of(endpoint, listen=address.removeprefix("http://").rstrip("/")):
            until(lambda: beside.data("health") == "ok", "the page that came back")
            beside.say(8.0, "Turn on the suction.")
            until(lambda: beside.state("M06") == "ON", "what came since")


def test_a_change_is_on_the_screen_at_once(beside: Beside) -> None:
    """Measured from `publish` to the text in the document, by the browser's own clock, in the same process's time."""
    beside.begin()
    watch = """
        window.seen = [];
        const state = document.querySelector('#machines [data-machine=M06] .state');
        const observer = new MutationObserver(() => window.seen.push(Date.now()));
        observer.observe(state, {childList: true, characterData: true, subtree: true});
    """
    beside.browser.execute_script(watch)
    delays = []
    for turn in range(10):
        sent = time.time()
        beside.say(10.0 * (turn + 1), "Turn on the suction." if turn % 2 == 0 else "Switch off the suction.")
        until(lambda n=turn: len(beside.browser.execute_script("return window.seen")) > n, "the change")
        delays.append(beside.browser.execute_script("return window.seen.at(-1)") / 1000 - sent)
    print(f"from publish to the screen: {', '.join(f'{1000 * delay:.0f}' for delay in delays)} ms")
    assert min(delays) < 0.1  # the least: a busy machine may delay each of the others


def test_the_page_fits_a_tablet_and_tells_when_the_session_is_over(beside: Beside) -> None:
    sizes = {"width": 820, "height": 1180, "deviceScaleFactor": 1, "mobile": True}
    beside.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    try:
        beside.begin()
        beside.say(8.0, "Turn on the suction.")
        until(lambda: beside.state("M06") == "ON", "the suction is on")
        wide = beside.browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 820
        targets = beside.browser.execute_script(
            "return [...document.querySelectorAll('button:not([hidden])')].filter(b => b.offsetParent)"
            ".map(b => b.getBoundingClientRect().height)"
        )
        assert min(targets) >= 36
        beside.picture("tablet")
        beside.publish(SessionEnd, 9.0)
        until(lambda: "OVER" in beside.text("#mode"), "that it is over")
        assert not beside.all("#machines button:not([disabled])")
    finally:
        beside.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**sizes, "width": 1440, "height": 900, "mobile": False}
        )
