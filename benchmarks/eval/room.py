"""The three stages without their processes: what one sends, the next one takes at once. Runs in the command's process.

It is the pipeline in lockstep: a session's next input waits for the answer to its question, so that the same inputs
and model give the same states as a replay at full speed. Several sessions may be under way, for the model answers
questions of several at one go.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

import stages.inference.stage
import stages.parse.stage
import stages.prompt.stage
from models.trust import Trust
from pipeline.config import Config
from pipeline.errors import OrstateError, Rejected
from pipeline.messages import Cancel, Completion, Input, Learned, Message, PromptJob, SurgeryState, Verdict
from pipeline.stage import Stage


@dataclass(slots=True)
class Course:
    """What came of a session: its states, the model's answers, and which inputs could not be taken."""

    name: str
    waiting: deque[Input]
    asked: bool = False  # a question is unanswered
    states: list[SurgeryState] = field(default_factory=list)
    answers: list[Completion] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return not (self.waiting or self.asked)


class Room:
    """A prompt, a parse and, unless the rules are alone, an inference stage; the prompt stage must be in lockstep."""

    def __init__(self, prompt: Stage, parse: Stage, inference: Stage | None = None, together: int = 1) -> None:
        """`together`: how many sessions may be under way. Raises OrstateError if the model cannot be loaded."""
        self._prompt = prompt
        self._parse = parse
        self._inference = inference
        self._together = together
        self._courses: dict[str, Course] = {}
        if inference is not None:
            model = inference.load()
            if model is None or model.state != "ready":
                raise OrstateError(model.error if model is not None else "there is no model")
            self._pass_on(prompt.handle(model))

    def run(self, sessions: Iterable[Sequence[Input]]) -> Iterator[Course]:
        """What comes of each session, in their order. Each must begin with its start and end with its end."""
        begun: deque[Course] = deque()
        numbered = enumerate(sessions)
        while True:
            while sum(not course.over for course in begun) < self._together and (session := next(numbered, None)):
                begun.append(self._begin(*session))
            if not begun:
                return
            for course in begun:
                while course.waiting and not course.asked:
                    self._publish(course, course.waiting.popleft())
            if self._inference is not None and any(course.asked for course in begun):
                self._pass_on(self._inference.step())
            while begun and begun[0].over:
                course = begun.popleft()
                del self._courses[course.name]
                yield course

    def close(self) -> None:
        for stage in (self._prompt, self._parse, self._inference):
            if stage is not None:
                stage.close()

    def _begin(self, number: int, session: Sequence[Input]) -> Course:
        """Under a name of its own: two logs may have the same."""
        name = f"eval-{number}"
        course = Course(name, deque(msgspec.structs.replace(message, session=name) for message in session))
        self._courses[name] = course
        return course

    def _publish(self, course: Course, message: Input) -> None:
        try:
            self._pass_on(self._prompt.handle(message))
        except Rejected as error:  # a dead letter: the pipeline goes on
            course.refused.append(str(error))

    def _pass_on(self, messages: Iterable[Message]) -> None:
        waiting = deque(messages)
        while waiting:
            message = waiting.popleft()
            if isinstance(message, SurgeryState):
                self._courses[message.session].states.append(message)
                continue
            if isinstance(message, PromptJob):
                self._courses[message.rules.session].asked = True
            elif isinstance(message, Completion):
                self._courses[message.rules.session].answers.append(message)
            elif isinstance(message, Verdict):
                self._courses[message.session].asked = False
            elif isinstance(message, Learned):  # for a journal
                continue
            waiting.extend(self._taker(message).handle(message))

    def _taker(self, message: Message) -> Stage:
        """The stage that takes it, as pipeline.wiring has it."""
        if isinstance(message, Verdict):
            return self._prompt
        if isinstance(message, PromptJob | Cancel) and self._inference is not None:
            return self._inference
        return self._parse


def open_room(config: Config, with_model: bool, trust: Trust | None = None) -> Room:
    """The stages of that configuration, which must be in lockstep. `trust`: in the model, in place of what is measured.

    Raises OrstateError if the model cannot be loaded, ConfigError for a configuration that is wrong.
    """
    prompt, parse = stages.prompt.stage.create(config), stages.parse.stage.create(config, trust=trust)
    if not with_model:
        return Room(prompt, parse)
    return Room(prompt, parse, stages.inference.stage.create(config), config.inference.batch)
