"""What answers questions, as the inference stage sees it. Used by the inference process."""

from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.messages import Certainty, PromptJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a backend made of one job. `text` is the raw text, cut off if `truncated` or timed out."""

    job_id: str
    outcome: Literal["ok", "timeout", "model_unavailable", "expired"]
    started_ns: int
    text: str = ""
    truncated: bool = False  # the limit of tokens was reached before the text was whole
    error: str = ""
    prompt_tokens: int = 0
    reused_tokens: int = 0  # of the prompt's, those whose computation an earlier job had left
    answer_tokens: int = 0
    certainty: Certainty | None = None  # of a whole answer, if the backend knows


class Backend(Protocol):
    """A model at work on the jobs it has admitted."""

    @property
    def active(self) -> int:
        """How many admitted jobs are unanswered."""

    @property
    def at_work(self) -> tuple[str, ...]:
        """The ids of the admitted jobs that the next `step` works on."""

    def admit(self, job: PromptJob) -> None:
        """Take a job. Nothing is computed yet."""

    def cancel(self, job_id: str) -> None:
        """Nobody waits for that job any more: it is answered as expired by the next `step`, if it still runs."""

    def step(self) -> list[Answer]:
        """Do a piece of the work; the answers that it finished. A job that fails is answered with its error."""

    def abandon(self) -> None:
        """Forget all admitted jobs, after an exception of `step`."""

    def fault(self) -> str:
        """Why the model can be relied on no more; "" if it can. Asked before jobs are admitted and answers given."""

    def counters(self) -> dict[str, float]:
        """Totals and sizes, by name."""

    def close(self) -> None:
        """Give back the model. Called once more is no error."""
