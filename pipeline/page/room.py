"""All that the page knows: the pipeline's status, and each session's states and lines, now and before.

Runs in the page's process, in its one thread. Everything in it is bounded. Each change has a number (`revision`), so
that a browser gets what came after what it has, also when it comes back.
"""

import asyncio
import secrets
import time
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pipeline.messages import Input, SessionStart, Status, SurgeryState
from pipeline.page.lines import Lines
from pipeline.page.view import Answer, Dictionary, Suggestion, View, view

MOST_SESSIONS: Final = 64
MOST_BYTES: Final = 128 << 20  # of states, over all sessions
MOST_COURSE: Final = 400  # changes of phase or health that a session's strip shows
SUGGESTED_S: Final = 60.0  # message time for which a suggestion stays on the screen
MOST_SUGGESTIONS: Final = 8
RULES: Final = "rules"
GONE: Final = ("model_unavailable", "stage_crashed")  # outcomes that are over as soon as the model is there


class Moment(NamedTuple):
    """A published state, and what the screen still showed of those before it."""

    seq: int
    t: float
    state: bytes  # JSON
    suggestions: tuple[Suggestion, ...]
    answer: Answer


class Turn(msgspec.Struct, frozen=True):
    """From this message time on the session was in that phase, and degraded or not."""

    t: float
    phase: str
    degraded: bool


class Session:
    """One session, from its newest start on."""

    def __init__(self, name: str, revise: Callable[[], int]) -> None:
        self.name = name
        self.lines = Lines(revise)
        self.moments: deque[Moment] = deque()
        self.course: deque[Turn] = deque(maxlen=MOST_COURSE)
        self.bytes = 0
        self.revision = 0
        self.came_at = 0.0  # monotonic: when the newest state came
        self._revise = revise

    def hear(self, message: Input) -> None:
        """Take an input. A start behind the session's end begins anew."""
        if isinstance(message, SessionStart) and self.lines.over:
            self.lines = Lines(self._revise, self.lines.next)
        self.lines.hear(message)
        self.revision = self._revise()

    def take(self, state: SurgeryState, spoken: bool) -> bool:
        """Take a state; False if it is known, as one from the journal may be. `spoken`: see `Lines.moved`."""
        if self.moments and state.seq <= self.moments[-1].seq:
            return False
        if self.moments and state.t < self.moments[-1].t:  # within one start message time runs forward only
            self.moments.clear()
            self.course.clear()
            self.bytes = 0
        before = self.moments[-1] if self.moments else None
        payload = msgspec.json.encode(state.state)
        answer = _answer(state, before)
        moment = Moment(state.seq, state.t, payload, _suggestions(state, before), answer)
        self.moments.append(moment)
        self.bytes += len(payload)
        phase, last = state.state["metadata"]["phase"], self.course[-1] if self.course else None
        degraded = state.degraded or answer.degraded
        if last is None or (phase, degraded) != (last.phase, last.degraded):
            self.course.append(Turn(state.t, phase, degraded))
        begun = phase if last and phase != last.phase else ""
        self.lines.moved(state.state, state.based_on, state.t, begun, spoken)
        self.came_at = time.monotonic()
        self.revision = self._revise()
        return True

    def at(self, t: float) -> Moment | None:
        """What was published last until message time `t`; None if that is too long ago."""
        found = bisect_right(self.moments, t, key=lambda moment: moment.t)
        return self.moments[found - 1] if found else None

    @property
    def matters(self) -> int:
        """How much it would be missed: least, if the pipeline refused it; most, while it goes on."""
        return 0 if not self.moments else 1 if self.lines.over else 2

    def forget_oldest(self) -> int:
        """Let the oldest tenth of the states go; how many bytes that were."""
        before = self.bytes
        for _ in range(max(1, len(self.moments) // 10)):
            self.bytes -= len(self.moments.popleft().state)
        return before - self.bytes


class Room:
    """The sessions of one pipeline, and how it does. `dictionaries`: the names of its surgeries."""

    def __init__(self, dictionaries: Mapping[str, Dictionary]) -> None:
        self._dictionaries = dictionaries
        self._watchers: set[asyncio.Event] = set()
        self.clear()

    def clear(self) -> None:
        """Another run begins: what is known is of no use."""
        self.id = secrets.token_hex(8)  # browsers that know another one begin anew
        self.revision = 0
        self.sessions: OrderedDict[str, Session] = OrderedDict()  # by when they were heard of
        self.status: Status | None = None
        self.status_at = 0.0  # monotonic
        self.status_revision = 0
        self.away = "no pipeline was seen yet"  # why nothing new comes; "": it does
        self.spoken = False  # what was said can be read
        self._wake()

    def hear(self, message: Input) -> None:
        """An input that the pipeline took."""
        self._session(message.session).hear(message)
        self._wake()

    def take(self, state: SurgeryState) -> None:
        """A published state."""
        if self._session(state.session).take(state, self.spoken):
            while (held := sum(session.bytes for session in self.sessions.values())) > MOST_BYTES and held:
                max(self.sessions.values(), key=lambda session: session.bytes).forget_oldest()
            self._wake()

    def told(self, status: Status | None, away: str = "") -> None:
        """A new status, or why there is none."""
        if status is not None:
            self.status, self.status_at = status, time.monotonic()
        self.away = away
        self.status_revision = self._revise()
        self._wake()

    def view(self, session: Session, t: float | None = None) -> View | None:
        """A session now, or at message time `t`; None if nothing is known of it."""
        moment = session.at(t) if t is not None else session.moments[-1] if session.moments else None
        if moment is None:
            return None
        state: dict[str, Any] = msgspec.json.decode(moment.state)
        dictionary = self._dictionaries.get(state["metadata"]["surgery"])
        return view(
            session.name, moment.seq, moment.t, state, moment.suggestions, moment.answer, dictionary, session.lines
        )

    def watch(self) -> asyncio.Event:
        """An event that is set with each change."""
        event = asyncio.Event()
        self._watchers.add(event)
        return event

    def unwatch(self, event: asyncio.Event) -> None:
        """Nobody waits for it any more."""
        self._watchers.discard(event)

    def _session(self, name: str) -> Session:
        session = self.sessions.get(name)
        if session is None:
            session = self.sessions[name] = Session(name, self._revise)
            if len(self.sessions) > MOST_SESSIONS:
                del self.sessions[min(self.sessions, key=lambda old: (old == name, self.sessions[old].matters))]
        self.sessions.move_to_end(name)
        return session

    def _revise(self) -> int:
        self.revision += 1
        return self.revision

    def _wake(self) -> None:
        for event in self._watchers:
            event.set()


def _answer(state: SurgeryState, before: Moment | None) -> Answer:
    known = before.answer if before is not None else Answer()
    metadata = state.state["metadata"]
    if not state.degraded and state.state["source"] == "rule":  # an input, of which the model may speak later
        return Answer() if known.outcome in GONE else known
    since = state.t if not (state.degraded and known.outcome == state.outcome) else known.t
    return Answer(state.outcome, metadata.get("model", ""), since, metadata.get("reasoning", ""))


def _suggestions(state: SurgeryState, before: Moment | None) -> tuple[Suggestion, ...]:
    """Those of the state, each with who made it, in front of those of not long ago that no newer answer replaces."""
    known = before.suggestions if before is not None else ()
    by = state.state["source"].partition("+")[2] or RULES
    makers = {one.text: one.by for one in known}
    new = [Suggestion(text, makers.get(text, by), state.t) for text in state.state["suggestions"]]
    shown: dict[str, Suggestion] = {}
    for one in (*new, *(old for old in known if state.t - old.t <= SUGGESTED_S and (old.by != by or by == RULES))):
        shown.setdefault(one.text, one)
    return tuple(shown.values())[:MOST_SUGGESTIONS]
