"""One answer to be written, and what is done for it in one step. Used by the inference process."""

from dataclasses import dataclass, field
from typing import Literal

from stages.inference.drafts import Drafts
from stages.inference.grammar import Guide
from stages.inference.sampling import Choice, Sampler
from stages.inference.sequences import Sequence

Ending = Literal["", "whole", "truncated", "late", "cancelled"]


@dataclass(slots=True, eq=False, kw_only=True)
class Task:
    """One answer to be written. The engine fills the fields from `answer` on."""

    name: str
    owner: str  # the session; "" if nobody will go on from there
    prompt: list[int]
    shared: int  # tokens of the prompt that all prompts of its kind begin with
    lasting: int  # and that the owner's next one begins with
    guide: Guide
    sampler: Sampler
    limit: int  # most tokens of the answer
    phases: tuple[str, ...] = ()  # that the answer may name
    deadline_ns: int
    answer: list[int] = field(default_factory=list)
    choices: list[tuple[int, Choice]] = field(default_factory=list)  # with their places in the answer
    reused: int = 0
    computed: int = 0  # of prompt and answer, at its ending; what was reused is counted
    started_ns: int = 0
    ending: Ending = ""
    cancelled: bool = False
    sequence: Sequence | None = None
    drafts: Drafts | None = None

    @property
    def reads(self) -> bool:
        """Whether some of the prompt is still to be computed."""
        return self.sequence is not None and len(self.sequence.tokens) < len(self.prompt)

    @property
    def reads_prefix(self) -> bool:
        """Whether some of the prefix is still to be computed: a step ends with it, so that it can be kept."""
        return self.sequence is not None and len(self.sequence.tokens) < self.shared < len(self.prompt)

    def pending(self) -> list[int]:
        """The tokens that are not computed yet; those of the prefix alone, if there are any."""
        assert self.sequence is not None
        done = len(self.sequence.tokens)
        if self.reads_prefix:
            return self.prompt[done : self.shared]
        return self.prompt[done:] + self.answer if done < len(self.prompt) else self.answer[done - len(self.prompt) :]


@dataclass(slots=True, eq=False)
class Turn:
    """What a task does in one step: compute `tokens`, and behind them a guess; choose from `row` on, if it may.

    `padding` rows behind those are for nothing but that it brings as many as the others.
    """

    task: Task
    tokens: list[int]
    chooses: bool  # these are all that is pending
    guess: list[int] = field(default_factory=list)
    padding: int = 0
    wanted: list[bool] = field(default_factory=list)  # of each token of the guess: whether a choice follows it
    row: int = 0  # of the last of `tokens`

    @property
    def rows(self) -> int:
        """How many it brings."""
        return len(self.tokens) + len(self.guess) + self.padding

    @property
    def spare(self) -> int:
        """How many more its answer has room for."""
        return self.task.limit - len(self.task.answer) - len(self.guess) - 1

    @property
    def number(self) -> int:
        """Of the sequence."""
        assert self.task.sequence is not None
        return self.task.sequence.number
