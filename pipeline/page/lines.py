"""What happened in a session, line by line: speech, orders of humans, what was seen. Runs in the page's process."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from pipeline.messages import Input, Observation, Override, SessionEnd, SessionStart, Transcript
from pipeline.page.marks import Cause, Segment, segments

MOST_LINES: Final = 2000  # of a session
MOST_ORDERS: Final = 64  # of a machine
SEEN_KINDS: Final = ("machine", "phase")
LOOK_BACK: Final = 20  # lines, for words that were said before the newest one


class Line(msgspec.Struct, omit_defaults=True):
    """One line. `n` counts the session's; `parts` are its text in pieces; `changes` are what followed from it."""

    n: int
    kind: Literal["speech", "order", "seen", "session"]
    t: float
    who: str
    parts: tuple[Segment, ...]
    seq: int = 0
    final: bool = True
    changes: dict[str, str] = {}  # machine and action
    phase: str = ""  # that began with it
    revision: int = 0

    @property
    def text(self) -> str:
        """What was said."""
        return "".join(part.text for part in self.parts)


class Order(msgspec.Struct, frozen=True):
    """What a human ordered for a machine, and why."""

    t: float
    action: str
    reason: str
    operator: str


class Lines:
    """The newest lines of a session, numbered from `first` on. `revise` numbers each change of one."""

    def __init__(self, revise: Callable[[], int], first: int = 0) -> None:
        self._revise = revise
        self.first = first
        self._lines: OrderedDict[int, Line] = OrderedDict()  # by when they changed
        self._by_seq: defaultdict[int, deque[int]] = defaultdict(lambda: deque(maxlen=8))
        self._open: dict[str, int] = {}  # a speaker's line that may still change
        self._causes: dict[int, dict[str, Cause]] = {}
        self._orders: defaultdict[str, deque[Order]] = defaultdict(lambda: deque(maxlen=MOST_ORDERS))
        self.next = first
        self.over = False  # the session has ended

    def hear(self, message: Input) -> None:
        """Take an input as the pipeline took it."""
        match message:
            case SessionStart():
                self._add("session", message, "", f"Session begins: {message.surgery}")
            case SessionEnd():
                self.over = True
                self._add("session", message, "", f"Session ends{_behind(message.reason)}")
            case Transcript():
                self._speech(message)
            case Override():
                order = Order(message.t, message.action, message.reason, message.operator)
                self._orders[message.machine].append(order)
                said = "released" if message.action == "RELEASE" else f"set to {message.action}"
                self._add("order", message, message.operator, f"{message.machine} {said}{_behind(message.reason)}")
            case Observation() if message.kind in SEEN_KINDS:
                said = f"{message.label} {message.value}".strip()
                self._add("seen", message, "video", f"{said} ({message.confidence:.0%})")
            case _:
                return

    def moved(self, state: dict[str, Any], based_on: int, t: float, phase: str, spoken: bool) -> None:
        """Mark the words by which a state came to be. `phase`: one that began with it, or "".

        `spoken`: lines are heard; if they are not, the words that the state names are all that is known.
        """
        toggles = state["details"].get("toggles", ())
        for toggle in toggles:
            cause = Cause(toggle["machine_id"], toggle.get("words", ""), toggle.get("trigger", ""))
            line = self._said(based_on, t, cause)
            if line is None and cause.words and not spoken:
                line = self._new("speech", t, based_on, "", cause.words)
            if line is None or line.changes.get(cause.machine) == toggle["action"]:
                continue
            causes = self._causes.setdefault(line.n, {})
            causes[cause.machine] = cause
            line.changes = {**line.changes, cause.machine: toggle["action"]}
            if line.kind == "speech":
                line.parts = segments(line.text, causes.values())
            self._changed(line)
        if phase and (line := next(self._numbered(based_on, t), None)) is not None and line.phase != phase:
            line.phase = phase
            self._changed(line)

    def since(self, revision: int, most: int = MOST_LINES) -> list[Line]:
        """The lines that changed after `revision`, by number."""
        changed: list[Line] = []
        for line in reversed(self._lines.values()):
            if line.revision <= revision or len(changed) >= most:
                break
            changed.append(line)
        return sorted(changed, key=lambda line: line.n)

    def order(self, machine: str, t: float) -> Order | None:
        """The newest order for a machine at message time `t` that was no release."""
        orders = reversed(self._orders.get(machine, ()))
        return next((order for order in orders if order.t <= t and order.action != "RELEASE"), None)

    def _speech(self, message: Transcript) -> None:
        speaker = f"{message.publisher}/{message.speaker}"
        open_line = self._lines.get(self._open.pop(speaker, -1))
        if open_line is None:
            line = self._add("speech", message, message.speaker, message.text, message.is_final)
        else:
            line = open_line
            line.t, line.parts, line.final = message.t, segments(message.text, ()), message.is_final
            line.seq = message.seq
            self._by_seq[message.seq].append(line.n)
            self._changed(line)
        if not message.is_final:
            self._open[speaker] = line.n

    def _add(self, kind: Any, message: Input, who: str, text: str, final: bool = True) -> Line:
        return self._new(kind, message.t, message.seq, who, text, final)

    def _new(self, kind: Any, t: float, seq: int, who: str, text: str, final: bool = True) -> Line:
        line = Line(self.next, kind, t, who, segments(text, ()), seq, final)
        self.next += 1
        self._by_seq[seq].append(line.n)
        self._lines[line.n] = line
        self._changed(line)
        if len(self._lines) > MOST_LINES:
            oldest = min(islice(self._lines, LOOK_BACK))
            self._causes.pop(oldest, None)
            gone = self._lines.pop(oldest).seq
            if not any(n in self._lines for n in self._by_seq.get(gone, ())):
                self._by_seq.pop(gone, None)
        return line

    def _changed(self, line: Line) -> None:
        line.revision = self._revise()
        self._lines.move_to_end(line.n)

    def _numbered(self, seq: int, t: float) -> Iterator[Line]:
        """The lines of that number, the nearest in time first: each publisher counts its own."""
        lines = [self._lines[n] for n in self._by_seq.get(seq, ()) if n in self._lines]
        return iter(sorted(lines, key=lambda line: abs(line.t - t)))

    def _said(self, seq: int, t: float, cause: Cause) -> Line | None:
        numbered = list(self._numbered(seq, t))
        for line in numbered:
            if line.kind == "order" and cause.trigger == "override" and cause.machine in line.text:
                return line
            if line.kind == "speech" and _has(line, cause):
                return line
        number = numbered[0].n if numbered else self.next
        before = (self._lines.get(n) for n in range(number, number - LOOK_BACK, -1))
        said = next((line for line in before if line is not None and line.kind == "speech" and _has(line, cause)), None)
        return said or (numbered[0] if numbered else None)


def _has(line: Line, cause: Cause) -> bool:
    return any(part.machines for part in segments(line.text, (cause,)))


def _behind(reason: str) -> str:
    return f" ({reason})" if reason else ""
