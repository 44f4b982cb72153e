"""What parse remembers, all of it bounded: the newest of each session, and the jobs that ended. Parse process."""

from collections import OrderedDict, deque
from typing import Final

from pipeline.messages import Completion, RuleOutcome

MAX_SESSIONS: Final = 1024
MAX_NUMBERS: Final = 128  # of a session's rule outcomes: more than can be on their way at once
MAX_JOBS: Final = 8192


class Session:
    """A session's newest rule outcome, and how many states of it were published.

    `early` are answers that overtook the rules they were asked with, which come by another way.
    """

    __slots__ = ("early", "newest", "numbers", "published")

    def __init__(self, newest: RuleOutcome) -> None:
        self.newest = newest
        self.numbers = deque((newest.number,), MAX_NUMBERS)
        self.published = 0
        self.early: list[Completion] = []

    def awaits(self, rules: RuleOutcome) -> bool:
        """Whether these rules are still on their way."""
        return rules.number > self.newest.number

    def overtaken(self) -> list[Completion]:
        """The early answers whose rules have come; they are no longer kept."""
        ready = [completion for completion in self.early if not self.awaits(completion.rules)]
        self.early = [completion for completion in self.early if self.awaits(completion.rules)]
        return ready


class Sessions:
    """The sessions used last; of more than MAX_SESSIONS the one that was used longest ago is forgotten."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._early: OrderedDict[str, list[Completion]] = OrderedDict()  # of sessions that are not known yet
        self._published: OrderedDict[str, int] = OrderedDict()  # states of those that a process before knew
        self.forgotten = 0  # early answers whose session did not come in time

    def find(self, name: str) -> Session | None:
        """The session of that name, if it is remembered."""
        return self._sessions.get(name)

    def count_on(self, name: str, published: int) -> None:
        """A process before this one published that many states of a session."""
        self._published[name] = max(published, self._published.get(name, 0))
        self._published.move_to_end(name)
        if len(self._published) > MAX_SESSIONS:
            self._published.popitem(last=False)

    def keep_early(self, completion: Completion) -> None:
        """Keep an answer that came before anything else of its session."""
        self._early.setdefault(completion.rules.session, []).append(completion)
        if len(self._early) > MAX_SESSIONS:
            self.forgotten += len(self._early.popitem(last=False)[1])

    def update(self, rules: RuleOutcome) -> tuple[Session, bool]:
        """The session of `rules`, and whether they are news: a hop delivers at least once."""
        session = self._sessions.get(rules.session)
        if session is None:
            session = self._sessions[rules.session] = Session(rules)
            session.early = self._early.pop(rules.session, [])
            session.published = self._published.pop(rules.session, 0)
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return session, True
        self._sessions.move_to_end(rules.session)
        if rules.number in session.numbers:
            return session, False
        session.numbers.append(rules.number)
        if session.awaits(rules):
            session.newest = rules
        return session, True


class Jobs:
    """The last MAX_JOBS jobs that ended: a hop delivers at least once, an answer is given once."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, None] = OrderedDict()

    def end(self, job_id: str) -> bool:
        """True if the job ends now, False if it had ended before."""
        if job_id in self._ended:
            return False
        self._ended[job_id] = None
        if len(self._ended) > MAX_JOBS:
            self._ended.popitem(last=False)
        return True
