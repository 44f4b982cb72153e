"""The questions that are under way, and when a session may ask its next one. Runs in the prompt process."""

from dataclasses import dataclass
from typing import Final, Literal

from pipeline.messages import Completion, PromptJob, RuleOutcome, Verdict
from stages.prompt.numbers import Numbers
from stages.prompt.session import Session

CRASH_REST_S: Final = 60.0  # message time that a session rests whose questions crash again, doubled each time
MOST_CRASHES: Final = 8  # that are counted: it rests for 64 minutes then

GivenUp = Literal["timeout", "model_unavailable", "stage_crashed"]


@dataclass(slots=True)
class Open:
    """A question or request without its verdict. `waiting`: as many were open as it was asked, itself too.

    `given_up`: told to parse already that no answer will do.
    """

    job_id: str
    kind: Literal["session", "request"]
    rules: RuleOutcome
    deadline_ns: int | None
    asked_ns: int
    waiting: int
    given_up: bool = False


class OpenQuestions:
    """All that was asked and has no verdict yet, by job id."""

    def __init__(self) -> None:
        self.requests = 0
        self._open: dict[str, Open] = {}

    def __len__(self) -> int:
        return len(self._open)

    @property
    def sessions(self) -> int:
        return len(self._open) - self.requests

    def add(self, job: PromptJob, now_ns: int) -> None:
        waiting = len(self._open) + 1
        self._open[job.job_id] = Open(job.job_id, job.kind, job.rules, job.deadline_ns, now_ns, waiting)
        self.requests += job.kind == "request"

    def close(self, job_id: str) -> Open | None:
        """Its verdict is there; None if it was not open."""
        question = self._open.pop(job_id, None)
        if question is not None:
            self.requests -= question.kind == "request"
        return question

    def overdue(self, now_ns: int) -> list[str]:
        """The ids of those whose deadline has come and that are not given up yet."""
        return [
            q.job_id
            for q in self._open.values()
            if not q.given_up and q.deadline_ns is not None and q.deadline_ns <= now_ns
        ]

    def waiting(self) -> list[str]:
        """The ids of those that are not given up yet."""
        return [q.job_id for q in self._open.values() if not q.given_up]

    def next_deadline_ns(self) -> int | None:
        deadlines = (q.deadline_ns for q in self._open.values() if not q.given_up and q.deadline_ns is not None)
        return min(deadlines, default=None)

    def give_up(
        self,
        job_id: str,
        outcome: GivenUp,
        error: str,
        now_ns: int,
    ) -> list[Completion]:
        """The completion that says so; none if it was said before or the verdict is there. It stays open."""
        question = self._open.get(job_id)
        if question is None or question.given_up:
            return []
        question.given_up = True
        return [
            Completion(
                job_id=job_id,
                kind=question.kind,
                rules=question.rules,
                outcome=outcome,
                error=error,
                stamps={**question.rules.stamps, "given_up": now_ns},
            )
        ]


@dataclass(slots=True)
class Asking:
    """A session with what it asked. `heard` and `shown` are places: inputs that the session had taken.

    What the model was shown when it killed its process is not shown again, or the session's every question would
    kill it. `suspect`: a question was at work when the process died, so the next is asked alone.
    """

    session: Session
    numbers: Numbers
    job_id: str = ""  # of the question under way
    answered: str = ""  # the one before it
    heard: int = 0  # of the newest final text
    shown: int = 0  # of the newest question: it has shown the model what came until then
    number: int = 0  # of the newest question, among those of all sessions
    asked_epoch: int = -1
    asked_t: float = 0.0
    suspect: bool = False
    crashes: int = 0  # of questions one after another
    lines: int = 0  # `window.shown` at the newest question

    def may_ask(self, pause_s: float) -> bool:
        """Whether a question is due: news, none under way, and not too soon after the last one."""
        if self.job_id or self.heard <= self.shown or len(self.session.window) == 0:
            return False
        if self.asked_epoch != self.session.epoch:
            return True
        rest_s = CRASH_REST_S * 2 ** (self.crashes - 2) if self.crashes > 1 else 0.0
        if self.session.t - self.asked_t < rest_s:
            return False
        return self.session.ending or self.session.t - self.asked_t >= pause_s

    def asked(self, job: PromptJob, number: int) -> None:
        self.job_id, self.number, self.shown = job.job_id, number, job.rules.place
        self.asked_epoch, self.asked_t = job.rules.epoch, job.rules.t
        self.lines = self.session.window.shown
        self.session.asked()

    def knows(self, job_id: str) -> bool:
        """Whether that question, or one that was asked later, is answered: its verdict tells nothing new."""
        return bool(self.answered) and _when_asked(job_id) <= _when_asked(self.answered)

    def learn(self, verdict: Verdict) -> None:
        """Its question is answered, or one that a process before this one asked and had not journalled."""
        self.answered = verdict.job_id
        if verdict.job_id == self.job_id:
            self.job_id = ""
        if verdict.outcome not in ("stage_crashed", "timeout"):
            self.suspect, self.crashes = False, 0
        self.session.learn(verdict)

    def crashed(self, job: PromptJob) -> None:
        """Inference died while it worked on the session's question."""
        self.suspect = True
        if job.alone:
            self.crashes = min(self.crashes + 1, MOST_CRASHES)
            if job.rules.epoch == self.session.epoch:
                self.session.window.hide(self.lines)

    def forget_news(self) -> None:
        """What was heard so far is over: no question is to show it."""
        self.shown = self.heard


def _when_asked(job_id: str) -> tuple[int, int]:
    """The place of a session's question among all: starts of the process before it was asked, and its number then."""
    incarnation, _, number = job_id.rpartition("/")[2].rpartition(".")
    return int(incarnation or 0), int(number)
