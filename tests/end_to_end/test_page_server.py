"""The page's server beside a real pipeline, asked by a plain HTTP client: no browser is needed for this."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import psutil
import pytest
from page_driver import ROOT, events_of, page_of, told_session

from pipeline.client import Client, Sidecar
from pipeline.messages import SessionStart, Transcript

pytest.importorskip("starlette", reason="the extra page is not installed")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, str, HTTPResponse]:
    """Status, text and the answer itself. A `body` that is no text goes as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"content-type": "application/json", **named})
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
            return answer.status, answer.read().decode(), answer
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error  # type: ignore[return-value]


@pytest.fixture
def endpoint(run_folder: Path) -> str:
    return f"ipc://{run_folder}/requests"


@pytest.fixture
def sidecar(settings: tuple[str, ...], endpoint: str) -> Iterator[Sidecar]:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={endpoint}")) as sidecar:
        assert sidecar.wait_model()
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        yield sidecar


def on(session: dict[str, Any], machine: str) -> bool:
    return any(one["id"] == machine and one["state"] == "ON" for one in session["view"]["machines"])


def say(sidecar: Sidecar | Client, seq: int, t: float, text: str) -> None:
    sidecar.publish(Transcript(session="or1", seq=seq, t=t, speaker="Surgeon", text=text))


def test_a_page_that_starts_late_knows_the_past_from_the_journal(sidecar: Sidecar, endpoint: str) -> None:
    say(sidecar, 2, 30.0, "Turn on the suction.")
    say(sidecar, 3, 60.0, "Switch off the suction.")
    sidecar.flush()
    with page_of(endpoint) as address, events_of(address) as events:
        session = told_session(events, lambda s: s["view"]["t"] == 60.0 and len(s["lines"]) == 3)
        assert [line["changes"] for line in session["lines"] if "changes" in line] == [{"M06": "ON"}, {"M06": "OFF"}]
        assert not on(session, "M06")
        status, text, _ = ask(f"{address}api/sessions/or1/at?t=45")
        assert (status, on(json.loads(text), "M06")) == (200, True)
        assert ask(f"{address}api/sessions/or1/at?t=soon")[:2] == (400, "t is no number; give seconds of message time")
        assert ask(f"{address}api/sessions/or9/at?t=45")[0] == 404


def test_who_comes_back_is_told_what_it_missed_and_no_more(sidecar: Sidecar, endpoint: str) -> None:
    with page_of(endpoint) as address:
        say(sidecar, 2, 4.0, "Good morning.")
        with events_of(address) as events:
            for number, event in events:  # noqa: B007
                if any(len(session["lines"]) == 2 for session in event["sessions"] if event["fresh"]):
                    break
                if any(line["t"] == 4.0 for session in event["sessions"] for line in session["lines"]):
                    break
        say(sidecar, 3, 8.0, "Turn on the suction.")
        with events_of(address, **{"Last-Event-ID": number}) as events:
            _, first = next(events)
            assert not first["fresh"]
            lines = [line for session in first["sessions"] for line in session["lines"]]
            for _, event in events:
                lines += [line for session in event["sessions"] for line in session["lines"]]
                if any(line.get("changes") for line in lines):
                    break
        assert {line["t"] for line in lines} == {8.0}


def test_a_change_is_told_within_a_tenth_of_a_second(sidecar: Sidecar, endpoint: str) -> None:
    with page_of(endpoint) as address, events_of(address) as events:
        told_session(events, lambda session: True)
        delays = []
        for turn in range(20):
            wanted = turn % 2 == 0
            sent = time.monotonic()
            say(sidecar, turn + 2, 10.0 * (turn + 1), "Turn on the suction." if wanted else "Switch off the suction.")
            told_session(events, lambda session, wanted=wanted: on(session, "M06") is wanted)
            delays.append(time.monotonic() - sent)
        print(
            f"from publish to the client, median {1000 * sorted(delays)[10]:.1f} ms, longest {1000 * max(delays):.1f}"
        )
        assert sorted(delays)[10] < 0.1


def test_an_order_is_taken_whole_or_not_at_all(sidecar: Sidecar, endpoint: str) -> None:
    with page_of(endpoint) as address, events_of(address) as events:
        told_session(events, lambda session: True)
        url = f"{address}api/sessions/or1/order"
        order = {"machine": "M06", "action": "STANDBY", "reason": "bag full", "operator": "Kim"}
        assert ask(url, order)[0] == 200
        session = told_session(events, lambda s: s["view"]["machines"][5]["held"])
        suction = session["view"]["machines"][5]
        assert (suction["state"], suction["by"], suction["reason"], suction["operator"]) == (
            ("STANDBY", "override", "bag full", "Kim")
        )
        assert ask(url, {**order, "reason": ""})[0] == 400
        assert ask(url, {**order, "reason": "x" * 501})[0] == 400
        assert ask(url, {**order, "reason": "a\x00b"})[:2] == (
            400, "reason has the control character U+0000 at position 1; remove it",
        )  # fmt: skip
        assert ask(url, {**order, "machine": "M77"})[:2] == (400, "M77 is no machine of session or1")
        assert ask(url, {**order, "action": "EXPLODE"})[0] == 400
        assert ask(url, {**order, "reason": "y" * 9000})[0] == 413
        assert ask(url, b"{", content_type="application/json")[0] == 400
        assert ask(url, order, content_type="text/plain")[0] == 415
        assert ask(f"{address}api/sessions/or9/order", order)[0] == 404
        assert ask(url, {**order, "action": "RELEASE", "reason": "new bag"})[0] == 200
        told_session(events, lambda s: not s["view"]["machines"][5]["held"])
        status = sidecar.status()
        assert (status.all_dead_letters, status.all_dropped) == ({}, {})


def test_another_sites_page_orders_nothing_and_reads_nothing(sidecar: Sidecar, endpoint: str) -> None:
    with page_of(endpoint) as address, events_of(address) as events:
        told_session(events, lambda session: True)
        url, order = f"{address}api/sessions/or1/order", {"machine": "M06", "action": "ON", "reason": "x"}
        assert ask(url, order, origin="http://elsewhere.example")[0] == 403
        assert ask(url, order, origin="null")[0] == 403
        assert ask(url, order, sec_fetch_site="cross-site")[0] == 403
        assert ask(address, host="elsewhere.example")[0] == 421  # a name that was made to mean 127.0.0.1
        assert ask(url, order, origin=address.rstrip("/"))[0] == 200
        status, _, answer = ask(address)
        assert status == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")


def test_the_files_of_the_page_name_no_other_machine() -> None:
    for file in sorted((ROOT / "pipeline" / "page" / "static").iterdir()):
        found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+", file.read_text())
        assert [url for url in found if url != "http://www.w3.org"] == [], file.name


def test_a_token_is_wanted_and_shown_nowhere(sidecar: Sidecar, endpoint: str, run_folder: Path) -> None:
    file = run_folder / "token"
    settings = ("--set", f"page.token={str(file)!r}")
    with page_of(endpoint, *settings) as address:
        token = file.read_text().strip()
        assert [ask(address)[0], ask(address)[2].headers["location"]] == [303, "/login"]
        assert ask(f"{address}login")[0] == 200
        refused = ("events", "static/page.js", "api/sessions/or1/at?t=0")
        assert {ask(address + path)[0] for path in refused} == {401}
        order = {"machine": "M06", "action": "ON", "reason": "x"}
        assert ask(f"{address}api/sessions/or1/order", order)[0] == 401
        form = {"content_type": "application/x-www-form-urlencoded"}
        wrong = ask(f"{address}login", b"token=" + token[:-1].encode(), **form)
        assert (wrong[0], wrong[2].headers["location"], wrong[2].headers["set-cookie"]) == (303, "/login#wrong", None)
        right = ask(f"{address}login", f"token={token}".encode(), **form)
        cookie = right[2].headers["set-cookie"]
        assert (right[0], right[2].headers["location"]) == (303, "/")
        assert token not in cookie
        assert {part.strip().casefold() for part in cookie.split(";")} >= {"httponly", "samesite=strict", "path=/"}
        assert ask(address, cookie=cookie.partition(";")[0])[0] == 200
        assert ask(address, cookie="orstate-page=x")[0] == 303
        assert ask(address, authorization=f"Bearer {token}")[0] == 200
        assert ask(address, authorization="Bearer x")[0] == 303
        with events_of(address, Authorization=f"Bearer {token}") as events:
            told_session(events, lambda session: True)


def test_without_a_journal_the_words_that_states_name_are_shown(settings: tuple[str, ...], endpoint: str) -> None:
    ours = (*settings, f"ingress.requests={endpoint}", "run.journal=")
    with Sidecar(model="stub", settings=ours) as sidecar, page_of(endpoint) as address, events_of(address) as events:
        sidecar.publish(SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL"))
        told_session(events, lambda session: True)
        say(sidecar, 2, 8.0, "Well, turn on the suction.")
        session = told_session(events, lambda s: bool(s["lines"]))
        (line,) = session["lines"]
        assert ["".join(part["text"] for part in line["parts"]), line["changes"]] == [
            "turn on the suction",
            {"M06": "ON"},
        ]
        order = {"machine": "M05", "action": "ON", "reason": "rinse", "operator": "Kim"}
        assert ask(f"{address}api/sessions/or1/order", order)[0] == 200
        session = told_session(events, lambda s: s["view"]["machines"][4]["reason"])  # its state may come before it
        assert (session["view"]["machines"][4]["held"], session["view"]["machines"][4]["reason"]) == (True, "rinse")


def test_a_pipeline_that_comes_back_is_found_again(settings: tuple[str, ...], endpoint: str) -> None:
    ours = (*settings, f"ingress.requests={endpoint}")
    with page_of(endpoint) as address, events_of(address) as events:
        assert next(event for _, event in events if "nobody answers" in event["away"] or "seen yet" in event["away"])
        for turn in range(2):
            with Sidecar(model="stub", settings=ours) as sidecar:
                sidecar.publish(SessionStart(session=f"or{turn}", seq=1, t=0.0, surgery="PCNL"))
                for _, event in events:
                    names = [session["name"] for session in event["sessions"]]
                    if names:
                        break
                assert (names, event["away"]) == ([f"or{turn}"], "")
            for _, event in events:
                if event["away"]:
                    break
            assert event["away"] == "the pipeline has ended"


def test_run_serves_the_page_starts_it_again_and_ends_it(run_folder: Path, settings: tuple[str, ...]) -> None:
    given = [part for one in (*settings, f"run.directory={run_folder}/run") for part in ("--set", one)]
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", "--page", "127.0.0.1:0", *given]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for turn in range(2):
            address = next(found for line in process.stderr if (found := re.search(r"page: (http://\S+)", line))).group(
                1
            )
            with events_of(address) as events:
                assert next(event for _, event in events if event.get("status"))
            pages = [child for child in psutil.Process(process.pid).children() if "page" in child.cmdline()]
            assert len(pages) == 1
            if not turn:
                pages[0].send_signal(signal.SIGKILL)
                assert next(line for line in process.stderr if "it is started again" in line)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not pages[0].is_running()
    finally:
        process.kill()
        process.communicate()


def test_a_page_that_cannot_be_served_is_told_and_nothing_runs(run_folder: Path) -> None:
    command = [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", "--page", "0.0.0.0:8080"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("orstate: page address '0.0.0.0:8080': other machines may reach it; set page.token")
