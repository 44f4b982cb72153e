"""What happened in a session, as a picture. Runs in the command's process."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from commands.report.case import Entry, Moment, Session
from commands.report.chart import AXIS, Scale, bar, label, with_labels
from commands.report.judged import Judged
from commands.report.markup import Child, Element, clock, element
from commands.report.spans import Span, differing, spans
from stages.surgery import Surgery

ROW: Final = 24
BAR: Final = 12
PHASE_COLOURS: Final = 8
GLYPHS: Final = {"ON": "▲", "OFF": "▼", "STANDBY": "◆"}


def timeline(
    session: Session, surgery: Surgery, judged: Judged | None, restarts: Iterable[tuple[float, str]]
) -> Element:
    """Phases, machines with what moved them, and outages; with a truth what was true, and where the states differ."""
    scale, end = Scale(session.end_s), session.end_s
    labels: list[Child] = []
    rows: list[Child] = []
    y = AXIS
    phases = spans(((m.t, m.phase) for m in session.moments), end)
    labels.append(label(y, "phase"))
    rows += _phases(scale, y, phases, surgery)
    if judged is not None:
        y += ROW
        labels.append(label(y, "true phase"))
        rows += _phases(scale, y, judged.phases, surgery)
        begin = judged.phases[0].begin if judged.phases else end
        rows += _wrong(scale, y, differing(phases, judged.phases, begin, end))
    changed: dict[str, list[Element]] = {}
    for number, entry in enumerate(session.entries):
        for machine_id, mark in _marks(scale, session.anchor(number), entry, judged):
            changed.setdefault(machine_id, []).append(mark)
    for machine in surgery.machines:
        y += ROW
        labels.append(label(y, f"{machine.id} {machine.name}"))
        row: list[Child] = [element("line", class_="row", x1=0, x2=scale.width, y1=y + ROW, y2=y + ROW)]
        row += _machine(scale, y, session.moments, machine.id, end)
        if judged is not None:
            on = [span._replace(value="ON") for span in spans(_on(session.moments, machine.id), end)]
            row += [bar(scale, y + BAR + 4, 4, span, "true", "true: on") for span in judged.on[machine.id]]
            row += _wrong(scale, y, differing(on, judged.on[machine.id], 0.0, end))
            missed = [toggle for toggle in judged.score.missed if toggle.id == machine.id]
            row += [_missed(scale, y, toggle.t, toggle.state) for toggle in missed]
        row.append(element("g", *changed.get(machine.id, ()), transform=f"translate(0 {y})"))
        rows += row
    y += ROW
    labels.append(label(y, "degraded"))
    outages = _outages(session.moments, end)
    rows += [bar(scale, y + 6, BAR, span, "outage", f"degraded: {span.value}", span.value) for span in outages]
    y += ROW
    rows += [_restart(scale, y, at, stage) for wall_s, stage in restarts if (at := _when(session, wall_s)) is not None]
    picture = element("svg", *scale.axis(y), *rows, width=scale.width, height=y + 4, role="img")
    return with_labels(labels, picture, y + 4)


def _outages(moments: Iterable[Moment], end: float) -> list[Span]:
    """When states were degraded, and why; also where the model was heard again before time went on."""
    steps = [(m.t, "" if m.outcome == "ok" else m.outcome) for m in moments]
    lasting = spans(steps, end)
    brief = dict.fromkeys(Span(t, t, value) for t, value in steps if value)
    return [*lasting, *(one for one in brief if not any(span.begin <= one.begin < span.end for span in lasting))]


def _phases(scale: Scale, y: float, found: Iterable[Span], surgery: Surgery) -> Iterator[Element]:
    for span in found:
        phase = surgery.phase(span.value)
        place = surgery.phase_ids.index(phase.id) if phase is not None else 0
        name = f"{span.value} {phase.name}" if phase is not None else span.value
        wide = scale.x(span.end) - scale.x(span.begin) > 7 * len(name) + 8
        yield bar(scale, y + 4, 16, span, f"phase p{place % PHASE_COLOURS}", name, name if wide else span.value)


def _on(moments: Iterable[Moment], machine: str) -> Iterator[tuple[float, str]]:
    """Who has it on, "" while it is off."""
    return ((m.t, m.set_by.get(machine, "default") if machine in m.on else "") for m in moments)


def _machine(scale: Scale, y: float, moments: list[Moment], machine: str, end: float) -> Iterator[Element]:
    for span in spans(_on(moments, machine), end):
        yield bar(scale, y + 3, BAR, span, f"on by-{span.value}", f"{machine} on, by {span.value}")
    for span in spans(((m.t, "standby" if machine in m.standby else "") for m in moments), end):
        yield bar(scale, y + 7, 4, span, "standby", f"{machine} on standby")


def _marks(scale: Scale, anchor: str, entry: Entry, judged: Judged | None) -> Iterator[tuple[str, Element]]:
    """What an input changed, each as a sign that leads to its line."""
    for change in entry.changes:
        if change.machine:
            right = judged.is_right(change) if judged is not None else None
            verdict = {True: " right", False: " wrong", None: ""}[right]
            heard = f": “{change.toggle.words or change.toggle.trigger}”" if change.toggle is not None else ""
            title = f"{clock(change.t)} {change.machine} {change.to} by {change.by}{heard}{verdict and f',{verdict}'}"
            sign = GLYPHS.get(change.to, "◆") + {True: "", False: "✗", None: ""}[right]
            told = element("text", sign, element("title", title), class_=f"mark{verdict}", x=scale.x(change.t), y=14)
            yield change.machine, element("a", told, href=f"#{anchor}")


def _wrong(scale: Scale, y: float, found: Iterable[Span]) -> Iterator[Element]:
    return (bar(scale, y + 1, ROW - 3, span, "differs", "wrong: the truth is another") for span in found)


def _missed(scale: Scale, y: float, t: float, state: str) -> Element:
    title = element("title", f"{clock(t)} missed: {state}")
    return element("text", "○", title, class_="mark wrong", x=scale.x(t), y=y + 14)


def _when(session: Session, wall_s: float) -> float | None:
    """The message time at which a session was; None outside of it."""
    place = bisect_right(session.moments, wall_s, key=lambda moment: moment.wall_s)
    return session.moments[place - 1].t if 0 < place < len(session.moments) else None


def _restart(scale: Scale, height: float, t: float, stage: str) -> Element:
    title = element("title", f"{clock(t)} the {stage} process was started again")
    return element("line", title, class_="restart", x1=scale.x(t), x2=scale.x(t), y1=AXIS - 4, y2=height)
