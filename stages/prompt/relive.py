"""What processes before this one took, asked and learned, gone through once more. Runs in the prompt process."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain
from typing import NamedTuple

from pipeline.codec import INPUT_TYPES
from pipeline.errors import Rejected
from pipeline.messages import Learned, LLMResponse, Message, PromptJob, RuleOutcome
from pipeline.restore import Journalled, Past
from stages.prompt.course import Course, session_of
from stages.prompt.pace import Pace
from stages.prompt.requests import Requests
from stages.prompt.sessions import Sessions


class Relived(NamedTuple):
    """What the past comes to."""

    outcomes: Iterable[RuleOutcome]  # the newest ones: parse may not have had them
    unanswered: list[PromptJob]
    unsure: Iterator[Message]  # inputs that may not have been handled; each is to be before the next is taken


class Relive:
    """Inputs are taken in their order, with the time of then; questions and verdicts come at their places."""

    def __init__(
        self,
        sessions: Sessions,
        requests: Requests,
        pace: Pace,
        take: Callable[[Message], Iterable[Message]],
        wall: Callable[[], float],
    ) -> None:
        """`take` handles an input. `wall`: Unix time now."""
        self.again = False  # inputs of before are taken
        self.asks = True  # False: what was asked is known, so nothing is asked
        self._sessions = sessions
        self._requests = requests
        self._pace = pace
        self._take = take
        self._wall = wall
        self._now = wall

    def wall(self) -> float:
        """Unix time, now or then."""
        return self._now()

    def relive(self, past: Past, most: int) -> Relived:
        """Go through `past`; of the outcomes `most`, the newest, are told again."""
        outcomes = deque[RuleOutcome](maxlen=most)
        course = Course(past)
        self.asks = False
        before = past.read(*INPUT_TYPES, LLMResponse)
        for at, message in before:
            self._learn(course.until(self._sessions.numbers.inputs))
            if course.over:
                before = chain([Journalled(at, message)], before)
                break
            with self._at(at), suppress(Rejected):  # it was told then
                sent = self._take_again(message)
                outcomes += [rules for rules in sent if isinstance(rules, RuleOutcome)]
        self._learn(course.until(self._sessions.numbers.inputs))
        self.asks = True
        return Relived(outcomes, course.open, self._unsure(before))

    def _unsure(self, before: Iterator[Journalled]) -> Iterator[Message]:
        self.again = True
        for at, message in before:
            self._now = partial(float, at)
            if isinstance(message, LLMResponse):
                self._take_again(message)
            else:
                yield message
        self._now, self.again = self._wall, False

    def _take_again(self, message: Message) -> Iterable[Message]:
        if not isinstance(message, LLMResponse):
            return self._take(message)
        if message.outcome != "rejected":
            self._requests.answered(message)
        return []

    @contextmanager
    def _at(self, wall_s: float) -> Iterator[None]:
        """What is done now was done then."""
        self._now, self.again = partial(float, wall_s), True
        try:
            yield
        finally:
            self._now, self.again = self._wall, False

    def _learn(self, events: Iterable[PromptJob | Learned]) -> None:
        for event in events:
            asking = self._sessions.find(session_of(event))
            if isinstance(event, PromptJob):
                self._pace.asked += 1
                if asking is not None:
                    asking.asked(event, self._pace.asked)
            else:
                self._pace.learn(event.cost_s)
                if asking is not None:
                    asking.learn(event.verdict)
        for asking in self._sessions:
            self._sessions.forget_if_over(asking)
