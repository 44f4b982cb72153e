"""A lesson as tokens: the prompt as the inference process lays it out, and the answer as its grammar leads it.

Only where the grammar leaves a choice is the model asked, so only there is anything to learn. Training only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from models.training.lesson import Lesson
from pipeline.config import InferenceSection
from pipeline.errors import OrstateError
from stages.inference.grammar import Grammars, Guide
from stages.inference.native import Model
from stages.inference.sampling import Words
from stages.inference.tokens import PromptTokens
from stages.prompt.prompts import Prompts
from stages.surgery import Surgery

Field = Literal["toggles", "phase", "words"]

_BEGINS: Final[dict[Field, str]] = {"phase": '"phase":', "words": '"why":'}  # what each field begins with, in order
_KEPT: Final = 64  # grammars of surgeries; lessons about one come together


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """`shared`: tokens of all questions about the surgery; `own`: those behind, the answer's but for the last included.

    `rows`: places in `own` whose next token is a choice; `targets`: the token that is to be chosen there; `fields`:
    what it belongs to; `allowed`: what the grammar lets through there, or none if that was not asked for.
    """

    lesson: Lesson
    shared: tuple[int, ...]
    own: list[int]
    rows: list[int]
    targets: list[int]
    fields: list[Field]
    allowed: list[Words]


class Encoder:
    """Encodes lessons for the weights of one file."""

    def __init__(self, path: Path, hints: bool = True) -> None:
        """`hints`: whether the lines of a lesson show them."""
        self._hints = hints
        self._model = Model(path)
        self.vocabulary = self._model.tokens
        settings = InferenceSection()
        self._layout = PromptTokens(self._model.tokenize, self._model.begin, settings.context - settings.max_tokens)
        self._grammar_tokenizer = self._model.grammar_tokenizer()
        self._grammars = lru_cache(_KEPT)(self._grammars_of)

    def encode(self, lesson: Lesson, with_allowed: bool = False, with_words: bool = True) -> Example:
        """With no words, the example ends at the last choice of its phases.

        Raises OrstateError for an answer that the grammar does not let through.
        """
        transcript = lesson.transcript(self._hints)
        prompt = Prompts("completion", "small", "none").build(lesson.surgery, transcript, lesson.moment)
        tokens = self._layout.lay_out(prompt)
        guide = self._grammars(lesson.surgery).guide(lesson.surgery.surgery, "small")
        own = tokens.prompt[tokens.shared :]
        rows: list[int] = []
        targets: list[int] = []
        fields: list[Field] = []
        allowed: list[Words] = []
        for token, field in self._path(guide, lesson.answer.text(), allowed if with_allowed else None):
            if field == "words" and not with_words:
                del own[rows[-1] + 2 :]
                break
            if field is not None:
                rows.append(len(own) - 1)
                targets.append(token)
                fields.append(field)
            own.append(token)
        return Example(lesson, tuple(tokens.prompt[: tokens.shared]), own[:-1], rows, targets, fields, allowed)

    def close(self) -> None:
        """Give back the model's memory."""
        self._model.close()

    def _grammars_of(self, surgery: Surgery) -> Grammars:
        return Grammars(self._grammar_tokenizer, self.vocabulary, {surgery.surgery: surgery})

    def _path(self, guide: Guide, text: str, allowed: list[Words] | None) -> Iterator[tuple[int, Field | None]]:
        """The tokens of an answer as the engine writes it, each with its field if it is chosen, None if it is forced.

        What is forced need not end where a token of the whole text does; the rest is then cut anew.
        """
        whole, done = text.encode(), 0
        begins = {field: whole.index(start.encode()) for field, start in _BEGINS.items()}
        planned: list[int] = []
        while True:
            forced = guide.forced()
            for token in forced:
                yield token, None
                done += len(self._model.piece(token))
            planned = planned[len(forced) :] if planned[: len(forced)] == forced else []
            if guide.over or done >= len(whole):
                break
            planned = planned or self._model.tokenize(whole[done:].decode(), False)
            token = planned.pop(0)
            if allowed is not None:
                allowed.append(guide.allowed().copy())
            try:
                guide.take(token)
            except OrstateError as error:
                raise OrstateError(f"the answer {text!r} is none that the grammar lets through: {error}") from error
            yield token, "words" if done >= begins["words"] else "phase" if done >= begins["phase"] else "toggles"
            done += len(self._model.piece(token))
        if done != len(whole):
            raise OrstateError(f"the grammar ends or goes on elsewhere than the answer {text!r}, at byte {done}")
