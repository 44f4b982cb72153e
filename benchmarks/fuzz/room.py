"""A prompt stage and a parse stage with a model between them, in one process: what they say is checked on its way."""

from collections.abc import Iterable
from itertools import count
from typing import Final

import msgspec
from msgspec.structs import replace

from benchmarks.fuzz.answers import check_response, check_state
from benchmarks.fuzz.target import Unvalidated
from pipeline.codec import decode_inner, decode_input, encode
from pipeline.config import Config, ParseSection
from pipeline.errors import Rejected
from pipeline.messages import (
    Cancel,
    Completion,
    JobLost,
    Learned,
    LLMRequest,
    LLMResponse,
    Message,
    ModelChanged,
    PromptJob,
    RuleOutcome,
    SessionEnd,
    SurgeryState,
    Verdict,
)
from stages.parse.contract import Contract, load_schema
from stages.parse.stage import ParseStage
from stages.prompt.site_words import Vocabulary
from stages.prompt.stage import PromptStage

MAX_BYTES: Final = 262_144
USUAL: Final = '{"on":["M06"],"off":[],"phase":"Phase2","next":"Phase3","why":"it was said","tips":["Check it"]}'
ANSWER, MODEL, LOST, LATER = b"~", b"!", b"#", b"+"  # what a line that is no message begins with


class Room:
    """Lines go in; states and responses are checked, and kept in `states` until somebody takes them.

    A line is a message from outside, or `~text`: what the model writes next (`~` and nothing: it does not answer);
    `!state`: the model changes; `#`: the job at work is lost; `+seconds`: the clock goes on.
    """

    def __init__(self, vocabulary: Vocabulary, *, apply: bool = False) -> None:
        self.now = 1_000_000_000
        self.refused: list[Rejected] = []
        self.states: list[SurgeryState] = []
        self.responses: list[LLMResponse] = []
        self._prompt = PromptStage(
            Config().prompt,
            vocabulary.surgeries,
            "completion",
            "small",
            language=vocabulary.language,
            clock=self._clock,
            wall=lambda: 1.7e9,
        )
        self._parse = ParseStage(
            vocabulary.surgeries, load_schema(), ParseSection(apply_model_toggles=apply), self._clock
        )
        self._contract = Contract(vocabulary.surgeries, load_schema())
        self._answer = USUAL
        self._inputs = 0
        self._jobs: dict[str, PromptJob] = {}
        self._enders = count(1)
        self._model("ready")

    def take(self, line: bytes) -> None:
        """One line. Raises Unvalidated, and whatever the stages raise but Rejected."""
        kind, rest = line[:1], line[1:]
        if kind == ANSWER:
            self._answer = rest.decode("utf-8", "replace")
            self._answer_all()
        elif kind == MODEL:
            self._model(rest.decode("utf-8", "replace"))
        elif kind == LOST:
            for job in list(self._jobs.values())[:1]:
                self._send(JobLost(job=job, error=rest.decode("utf-8", "replace")))
        elif kind == LATER:
            self.now += int(rest[:9]) * 1_000_000_000 if rest.isdigit() else 0
            self._deliver(self._prompt.step())
        else:
            try:
                message = decode_input([line], MAX_BYTES)
            except Rejected as error:
                self.refused.append(error)
                return
            if isinstance(message, LLMRequest):  # an id of an input before would get that one's answer
                message = replace(message, request_id=f"{message.request_id[:40]}.{self._inputs}")
            self._send(message)
            self._answer_all()

    def send(self, message: Message) -> None:
        """One message from outside."""
        self.take(encode(message))

    def end(self) -> None:
        """All sessions end and all questions are answered: what is still held then leaks. The model is ready again."""
        self._answer = self._answer or USUAL
        for session in {state.session for state in self.states}:
            self._send(SessionEnd(session=session, seq=next(self._enders), t=1e7, publisher="the end"))
        self._answer_all()
        self.states.clear()
        self.responses.clear()
        self.refused.clear()
        self._answer, self._inputs = USUAL, self._inputs + 1
        left = self._prompt.counters()
        for name in ("sessions_open", "questions_open", "requests_open"):
            if left[name]:
                raise Unvalidated(f"{name}: {left[name]:g} when all is over")
        self._model("ready")

    def _clock(self) -> int:
        return self.now

    def _model(self, state: str) -> None:
        name, _, error = state.partition(" ")
        if name in ("loading", "ready", "unavailable", "down"):
            self._send(msgspec.convert({"type": "ModelChanged", "state": name, "error": error}, ModelChanged))

    def _send(self, message: Message) -> None:
        try:
            self._deliver(self._prompt.handle(message))
        except Rejected as error:
            self.refused.append(error)

    def _deliver(self, sent: Iterable[Message]) -> None:
        """From the prompt stage, over the hop."""
        for message in sent:
            if isinstance(message, LLMResponse):
                check_response(self._contract, message, self._surgery(message))
                self.responses.append(message)
                continue
            if isinstance(message, Learned):  # the journal's
                continue
            arrived = decode_inner(encode(message))
            if isinstance(arrived, RuleOutcome | Completion):
                self._to_parse(arrived)
            elif isinstance(arrived, PromptJob):
                self._jobs[arrived.job_id] = arrived
            elif isinstance(arrived, Cancel) and arrived.job_id in self._jobs:
                self._complete(self._jobs[arrived.job_id], outcome="expired")

    def _to_parse(self, message: RuleOutcome | Completion) -> None:
        for sent in self._parse.handle(message):
            if isinstance(sent, SurgeryState):
                check_state(self._contract, sent, sent.state["metadata"]["surgery"])
                self.states.append(sent)
            else:
                verdict = decode_inner(encode(sent))
                if isinstance(verdict, Verdict):
                    self._jobs.pop(verdict.job_id, None)
                self._send(verdict)

    def _answer_all(self) -> None:
        """Each question gets the answer of the moment; "" is none."""
        for _ in range(100):
            if not (self._answer and self._jobs):
                return
            self._complete(next(iter(self._jobs.values())), outcome="ok", text=self._answer)
        raise Unvalidated("100 answers, and there is still a question")

    def _complete(self, job: PromptJob, outcome: str, text: str = "") -> None:
        self._jobs.pop(job.job_id)
        fields = {"job_id": job.job_id, "kind": job.kind, "rules": job.rules, "outcome": outcome, "text": text}
        completion = Completion(**fields, model="m", label="m", stamps=job.stamps)  # type: ignore[arg-type]
        arrived = decode_inner(encode(completion))
        assert isinstance(arrived, Completion)
        self._to_parse(arrived)

    @staticmethod
    def _surgery(response: LLMResponse) -> str:
        return "" if response.output is None else str(response.output["metadata"]["surgery"])
