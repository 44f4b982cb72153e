"""A case as one page: no other file, no request, no word that was said as anything but text. Command's process."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from commands.report.case import Case, Session
from commands.report.counts import counts
from commands.report.judged import Judged
from commands.report.latency import latency
from commands.report.lines import lines
from commands.report.markup import Child, Element, element, written
from commands.report.timeline import timeline
from stages.surgery import Machine, Phase, Surgery

NOTICE: Final = "Simulation and research only: a record of suggestions, and of no medical device."
SHOWN: Final = {"": "all lines", "only-moved": "what moved something", "only-differs": "where the model differs"}
LEGEND: Final = (
    *(("on by-rule", "on, by rules"), ("on by-model", "by the model"), ("on by-observation", "by a video process")),
    *(("on by-override", "by a human"), ("on by-default", "from the start"), ("standby", "on standby")),
    ("outage", "degraded"),
)
TRUE_LEGEND: Final = (("true", "true: on"), ("differs", "wrong"))
SIGNS: Final = "▲ on  ▼ off  ◆ standby, each leads to its line"


def page(case: Case, surgeries: Mapping[str, Surgery], judged: Mapping[int, Judged]) -> str:
    """The page. `judged`: by a session's number, those of which the truth is known."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    return written(
        element(
            "html",
            element(
                "head",
                element("meta", charset="utf-8"),
                element("meta", http_equiv="Content-Security-Policy", content=policy),
                element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                element("title", f"orstate: {Path(case.path).name}"),
                _unescaped("style", style),
            ),
            element("body", *_body(case, surgeries, judged), _unescaped("script", script)),
            lang="en",
        )
    )


def dictionary(session: Session, surgeries: Mapping[str, Surgery]) -> Surgery:
    """The session's surgery; one that is not known here has the ids of its states for names."""
    name = session.start.surgery
    if (known := surgeries.get(name)) is not None:
        return known
    machines = sorted({machine for moment in session.moments for machine in moment.set_by})
    phases = sorted({moment.phase for moment in session.moments if moment.phase})
    return Surgery(
        surgery=name,
        full_name=name,
        environment="",
        phases=tuple(Phase(id=phase, name=phase) for phase in phases),
        machines=tuple(Machine(id=machine, name=machine, category="") for machine in machines),
    )


def _body(case: Case, surgeries: Mapping[str, Surgery], judged: Mapping[int, Judged]) -> Iterable[Child]:
    yield element("h1", f"Journal {Path(case.path).name}")
    yield element("p", NOTICE, class_="note")
    told = counts(case, judged)
    yield _table(told.journal)
    if case.unread or case.lost:
        yield element("p", f"{case.unread} records could not be read, {case.lost} were never written.", class_="warn")
    if not case.sessions:
        yield element("p", "No session began in it.", class_="warn")
    choices = [
        element("label", element("input", type="radio", name="shown", value=value, **_checked(value)), f" {text}")
        for value, text in SHOWN.items()
    ]
    hatch = element("path", d="M0 6L6 0", class_="hatch")
    pattern = element("pattern", hatch, id="hatching", width=6, height=6, patternUnits="userSpaceOnUse")
    yield element("p", *choices, element("svg", element("defs", pattern), width=0, height=0), class_="filter")
    for session in case.sessions:
        surgery, truth = dictionary(session, surgeries), judged.get(session.number)
        began = datetime.fromtimestamp(session.start.started_at or session.began, UTC)
        yield element("h2", f"{session.name}: {surgery.full_name}", id=f"session-{session.number}")
        yield element("p", f"{began:%Y-%m-%d %H:%M} UTC", class_="note")
        yield _table(told.sessions[session.number])
        if not session.moments:
            yield element("p", "No state of it was published.", class_="warn")
            continue
        yield element("h3", "What happened")
        yield _legend(LEGEND + (TRUE_LEGEND if truth is not None else ()))
        yield timeline(session, surgery, truth, case.restarts)
        yield element("h3", "From an input to its state")
        yield latency(session)
        yield element("h3", "What was said and seen")
        yield lines(session, surgery, truth)


def _table(rows: Mapping[str, str]) -> Element:
    shown = (element("tr", element("th", name, scope="row"), element("td", text)) for name, text in rows.items())
    return element("table", element("tbody", *shown), class_="counts")


def _legend(entries: Iterable[tuple[str, str]]) -> Element:
    keys = [
        element("span", element("svg", element("rect", class_=kind, width=18, height=10), width=18, height=12), text)
        for kind, text in entries
    ]
    return element("p", *keys, element("span", SIGNS), class_="legend note")


def _checked(value: str) -> dict[str, str]:
    return {} if value else {"checked": "checked"}


def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _unescaped(tag: str, text: str) -> Element:
    """A style or script of ours: the serialiser leaves these two as they are."""
    made = element(tag)
    made.text = text
    return made


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
