"""The sessions that are open: found by name, begun, ended and forgotten, and what each takes. Prompt process."""

from collections import Counter
from collections.abc import Iterator, Mapping

from pipeline.config import PromptSection
from pipeline.errors import Rejected
from pipeline.messages import Input, Observation, Override, SessionEnd, SessionStart, Transcript
from stages.prompt.change import Change
from stages.prompt.cues import PhaseCues
from stages.prompt.links import Link
from stages.prompt.numbers import AllNumbers
from stages.prompt.questions import Asking
from stages.prompt.session import Session
from stages.prompt.silence import Rules
from stages.prompt.taught import Taught
from stages.surgery import Surgery, find_surgery, unknown_surgery


class Sessions:
    """All open sessions. What takes an input raises Rejected for one that cannot be taken."""

    def __init__(
        self,
        section: PromptSection,
        surgeries: Mapping[str, Surgery],
        engines: Mapping[str, Rules],
        cues: Mapping[str, PhaseCues],
        incarnation: int,
        taught: Taught,
        links: Mapping[str, Link],
    ) -> None:
        self._section = section
        self._taught = taught
        self._surgeries = surgeries
        self._engines = engines
        self._links = links
        self._cues = cues
        self._open: dict[str, Asking] = {}
        self._over = Counter(gap=0, deferred=0)  # what sessions that are over had dropped
        self.numbers = AllNumbers(incarnation)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Asking]:
        """Those that are open now; they may be forgotten meanwhile."""
        return iter(tuple(self._open.values()))

    def find(self, name: str) -> Asking | None:
        """The session of that name, if it is open."""
        return self._open.get(name)

    @property
    def dropped(self) -> Counter[str]:
        """What was dropped of all sessions, by cause."""
        dropped = Counter(self._over)
        for asking in self._open.values():
            dropped.update(asking.session.dropped())
        return dropped

    def count_anew(self) -> None:
        """What was dropped until now counts no more."""
        self._over.clear()
        for asking in self._open.values():
            self._over.subtract(asking.session.dropped())

    def start(self, message: SessionStart, wall_s: float) -> tuple[Asking, str]:
        """The session that begins, or goes on; and the id of its open question, if that is about what is over now.

        `wall_s`: Unix time, for a start that does not say when t = 0 was.
        """
        surgery = find_surgery(self._surgeries, message.surgery)
        if surgery is None:
            raise Rejected(
                "unknown_surgery", f"session {message.session!r}: {unknown_surgery(self._surgeries, message.surgery)}"
            )
        asking = self._open.get(message.session)
        if asking is None:
            return self._begin(message, surgery, wall_s), ""
        if asking.session.surgery is surgery and not asking.session.ending:
            asking.session.come_back(message)
            return asking, ""
        asking.session.begin(message, surgery, self._cues[surgery.surgery], wall_s)
        asking.forget_news()
        return asking, asking.job_id

    def end(self, message: SessionEnd) -> Asking:
        """The session that takes nothing more; `forget_if_over` follows when its last question is asked."""
        asking = self._take(message)
        asking.session.ending = True
        return asking

    def hear(self, message: Transcript) -> tuple[Asking, Change | None]:
        """What a line changed; None for one that is not final, which is only counted in."""
        asking = self._take(message)
        if not message.is_final:
            return asking, None
        session = asking.session
        engine, link = self._engines[session.surgery.surgery], self._links[session.surgery.surgery]
        linked = link(message.text)
        reading = engine.read(message.text, message.speaker, session.recent(message.t))
        change = session.hear(message, reading, linked.hinted)
        if session.window.append(message.t, message.speaker, message.text, linked.text):
            asking.heard = asking.numbers.inputs + 1
        return asking, change

    def observe(self, message: Observation) -> tuple[Asking, Change]:
        """What something seen changed."""
        asking = self._take(message)
        return asking, asking.session.observe(message)

    def override(self, message: Override) -> tuple[Asking, Change]:
        """What a human's order changed."""
        asking = self._take(message)
        return asking, asking.session.override(message)

    def forget_if_over(self, asking: Asking) -> None:
        """Let a session go that has ended and waits for no answer."""
        if asking.session.ending and not asking.job_id:
            self._over.update(asking.session.dropped())
            del self._open[asking.session.name]

    def _begin(self, message: SessionStart, surgery: Surgery, wall_s: float) -> Asking:
        if len(self._open) >= self._section.max_sessions:
            raise Rejected(
                "too_many_sessions",
                f"session {message.session!r}: {len(self._open)} sessions are open, as many as "
                "prompt.max_sessions allows; end one with SessionEnd or raise it",
            )
        session = Session(message, surgery, self._cues[surgery.surgery], self._section, wall_s, self._taught)
        asking = self._open[message.session] = Asking(session, self.numbers.of(message.session))
        return asking

    def _take(self, message: Input) -> Asking:
        asking = self._open.get(message.session)
        if asking is None or asking.session.ending:
            known = ", ".join(name for name, it in self._open.items() if not it.session.ending) or "none"
            raise Rejected(
                "unknown_session",
                f"session {message.session!r} is not running; publish SessionStart first. Running: {known}",
            )
        asking.session.take(message)
        return asking
