"""What parse remembers, all of it bounded: the newest of each session, and the jobs that ended. Parse process."""

from collections import OrderedDict
from typing import Final

from pipeline.messages import Completion, RuleOutcome, Verdict

MAX_SESSIONS: Final = 1024
MAX_JOBS: Final = 8192


class Session:
    """A session's newest rule outcome, and how many states of it were published.

    `early` are answers that overtook the rules they were asked with, which come by another way.
    """

    __slots__ = ("early", "newest", "published", "told")

    def __init__(self, newest: RuleOutcome) -> None:
        self.newest = newest
        self.published = 0
        self.told = 0  # the place of the newest outcome that was published
        self.early: list[Completion] = []

    def awaits(self, rules: RuleOutcome) -> bool:
        """Whether these rules are still on their way; a new prompt process may send those of older places again."""
        return rules.place > self.newest.place

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
        self._before: OrderedDict[str, tuple[int, int]] = OrderedDict()  # what a process before published of them
        self.forgotten = 0  # early answers whose session did not come in time

    def find(self, name: str) -> Session | None:
        """The session of that name, if it is remembered."""
        return self._sessions.get(name)

    def go_on(self, name: str, published: int, told: int) -> None:
        """A process before this one published that many states of a session, the newest for the outcome of a place."""
        before = self._before.get(name, (0, 0))
        self._before[name] = max(published, before[0]), max(told, before[1])
        self._before.move_to_end(name)
        if len(self._before) > MAX_SESSIONS:
            self._before.popitem(last=False)

    def keep_early(self, completion: Completion) -> None:
        """Keep an answer that came before anything else of its session."""
        self._early.setdefault(completion.rules.session, []).append(completion)
        if len(self._early) > MAX_SESSIONS:
            self.forgotten += len(self._early.popitem(last=False)[1])

    def update(self, rules: RuleOutcome) -> tuple[Session, bool]:
        """The session of `rules`, and whether they are news: a hop delivers at least once, and in order."""
        session = self._sessions.get(rules.session)
        news = True
        if session is None:
            session = self._sessions[rules.session] = Session(rules)
            session.early = self._early.pop(rules.session, [])
            session.published, session.told = self._before.pop(rules.session, (0, 0))
            if len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(rules.session)
            news = rules.number > session.newest.number
            if news:
                session.newest = rules
        if rules.again and rules.place <= session.told:
            return session, False
        session.told = max(session.told, rules.place)
        return session, news


class Jobs:
    """The last MAX_JOBS jobs that ended: a hop delivers at least once, an answer is given once.

    Of those that a process before this one ended, the verdict is known too: it may not have been sent.
    """

    def __init__(self) -> None:
        self._ended: OrderedDict[str, Verdict | None] = OrderedDict()

    def remember(self, verdict: Verdict) -> None:
        """A process before this one ended that job."""
        self._put(verdict.job_id, verdict)

    def ended(self, job_id: str) -> bool:
        """Whether that job has ended; one of another id ends now."""
        if job_id in self._ended:
            return True
        self._put(job_id, None)
        return False

    def verdict(self, job_id: str) -> Verdict | None:
        """How a job ended in a process before this one; None if it ended in this one."""
        return self._ended.get(job_id)

    def _put(self, job_id: str, verdict: Verdict | None) -> None:
        self._ended[job_id] = verdict
        if len(self._ended) > MAX_JOBS:
            self._ended.popitem(last=False)
