"""What the stages say to each other: questions and their outcomes. Sent between our own processes only."""

from typing import Literal

import msgspec

from pipeline.messages.fields import Action, MachineId, Message, ModelState, NonNegative, Outcome, Seq, SessionId, Unit
from pipeline.messages.outputs import LLMResponse


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the model in three parts, by how often each changes.

    `shared` is the same for every session of a surgery, `transcript` only grows, `tail` is new each time.
    """

    form: Literal["chat", "completion"]  # whether the model is given turns or a text to continue
    shared: str  # dictionary, phases, examples
    transcript: str  # lines of the window
    tail: str  # phase, time, machines, and the question

    def text(self) -> str:
        """The prompt as one completion string."""
        return f"{self.shared}{self.transcript}{self.tail}"

    def chat(self) -> list[dict[str, str]]:
        """The prompt as chat messages: a system message and a user message."""
        return [
            {"role": "system", "content": self.shared},
            {"role": "user", "content": f"{self.transcript}{self.tail}"},
        ]


class Toggle(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One machine set by one cause; the form is the contract's `details.toggles` entry.

    `trigger` is the phrase for the machine, `words` all that was said of it, `rule` the construction that they are.
    """

    machine_id: MachineId  # the machine
    name: str  # its name
    action: Action  # what it was set to
    trigger: str = ""  # the phrase for the machine; `seen`: by a video process
    confidence: Unit = 0.0  # of the rule, the observation or the model
    reliability: Unit = 0.0  # how often, at least, such a change by the model is right; not there: not measured
    # by which of its names the machine was meant; `llm`: by the model
    match_type: Literal["", "trigger", "alias", "name", "llm"] = ""
    rule: str = ""  # the construction
    words: str = ""  # all that was said of it


class Deferred(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A machine that was told something for later; the form is the contract's `details.deferred` entry."""

    machine_id: MachineId  # the machine
    name: str  # its name
    action: Action  # what it is to be set to
    trigger: str = ""  # what was said of the machine
    waits_for: str = ""  # in the words that were said; "" if they did not say
    due_t: float | None = None  # message time, if it waits for a time


class RuleOutcome(Message, frozen=True, kw_only=True):
    """What is known of a session without the model, right after one input: a whole state, not a difference."""

    session: SessionId  # its session
    epoch: int  # counts the session's clean starts; an answer of an earlier epoch has expired
    number: int  # grows with each one that is sent, also over restarts; 0 in a request's
    place: int = 0  # inputs that the session took: counted on over restarts, as far as they are in the journal
    again: bool = False  # of an input that a process before this one took: it may have been sent
    seq: Seq  # of the input
    t: float  # message time of the input
    surgery: str  # its name
    started_at: float  # Unix time of t = 0
    machines: dict[str, Action]  # every machine of the surgery
    set_by: dict[str, str]  # default, rule, model, observation or override
    set_at: dict[str, float] = {}  # message time, of those that somebody set
    held: tuple[MachineId, ...] = ()  # those that a human holds, until the release
    phase: str  # the likeliest
    next_phase: str  # the one behind it; empty behind the last
    phase_belief: dict[str, float] = {}  # how likely each phase is, the model's opinion apart; empty: not known
    model: ModelState  # whether the model can be asked
    model_error: str = ""  # why not
    toggles: tuple[Toggle, ...] = ()  # what this input set
    negations: tuple[str, ...] = ()  # what was said with a no
    debounced: tuple[str, ...] = ()  # machines that were set too short a time before
    deferred: tuple[Deferred, ...] = ()  # all that wait
    unknown: tuple[str, ...] = ()  # devices that this surgery does not have
    matched_keywords: tuple[str, ...] = ()  # phrases that the rules knew
    mentioned: tuple[MachineId, ...] = ()  # machines that the rules heard of since the last question, switched or not
    hinted: tuple[MachineId, ...] = ()  # machines that words without their names may have meant, since then
    temporal: str = "none"  # the word of time that was said
    suggestions: tuple[str, ...] = ()  # for a human
    reasoning: str = ""  # one line on why
    confidence: Unit = 0.0  # the least of its toggles'
    buffer_entries: int = 0  # lines in the window
    buffer_duration_s: float = 0.0  # message time from its first line to its last
    overrides_applied: int = 0  # machines that a human has set
    stamps: dict[str, int] = {}  # by name: `received`, `asked`, `started`, `finished`


class PromptJob(Message, frozen=True, kw_only=True):
    """One question for the model. `rules` is what was known when it was asked."""

    job_id: str  # never comes twice
    kind: Literal["session", "request"]  # a session's question, or a client's
    rules: RuleOutcome  # what was known when it was asked
    prompt: Prompt  # the question
    answer: Literal["small", "full"]  # the form of the answer: a small object, or the whole contract
    deadline_ns: int | None = None  # monotonic; None: no limit but the stage's own
    alone: bool = False  # inference died with it, or with one of its kind: no other job shares its cycle
    stamps: dict[str, int] = {}  # see RuleOutcome


class Cancel(Message, frozen=True, kw_only=True):
    """Nobody waits any more for the answer to that question: it need not be computed."""

    job_id: str  # of the question


class Certainty(msgspec.Struct, frozen=True, kw_only=True):
    """How sure a model was of its answer, by the probabilities of what it chose among what the grammar allowed.

    `mean_logprob`: of all its choices, natural logarithm. `machines`: of each machine that it listed. `phases`: of
    each phase that it might have named, as far as that is known.
    """

    mean_logprob: float  # of all its choices, natural logarithm
    phase: Unit  # of the phase it named
    next_phase: Unit  # of the next phase it named
    machines: dict[MachineId, Unit]  # of each machine that it listed
    phases: dict[str, Unit] = {}  # of each phase that it might have named, as far as that is known


class Completion(Message, frozen=True, kw_only=True):
    """What became of one question: the model's raw text, or why there is none."""

    job_id: str  # of the question
    kind: Literal["session", "request"]  # see PromptJob
    rules: RuleOutcome  # see PromptJob
    # whether there is an answer, and why not
    outcome: Literal["ok", "timeout", "model_unavailable", "stage_crashed", "expired"]
    text: str = ""  # the raw answer
    truncated: bool = False  # it reached the limit of tokens before it was whole
    error: str = ""  # what went wrong, in words
    model: str = ""  # the manifest's name
    label: str = ""  # the manifest's label, as used in `source`
    prompt_tokens: int = 0  # of the prompt
    answer_tokens: int = 0  # of the answer
    certainty: Certainty | None = None  # of a whole answer, if the backend knows
    stamps: dict[str, int] = {}  # see RuleOutcome


class Verdict(Message, frozen=True, kw_only=True):
    """Parse tells prompt how a question ended, so that the session learns from it and may ask the next."""

    job_id: str  # of the question
    kind: Literal["session", "request"]  # see PromptJob
    session: SessionId  # its session
    epoch: int  # see RuleOutcome
    outcome: Outcome  # how it ended
    t: float  # message time of the question
    phase: str = ""  # of the answer
    evidence: dict[str, NonNegative] = {}  # how many times likelier it makes each phase, see stages/phases.py
    toggles: tuple[Toggle, ...] = ()  # applied model toggles, if the configuration applies them
    response: LLMResponse | None = None  # the answer, if a client asked


class Learned(Message, frozen=True, kw_only=True):
    """For the journal only: how a session's question ended, and where among the inputs that was heard of.

    `after`: inputs that the session had taken, so that a process started anew learns it at the same place. `cost_s`:
    seconds of the model; it is asked as often as that allows.
    """

    verdict: Verdict  # how the question ended
    after: int  # inputs that the session had taken, so that a process started anew learns it at the same place
    cost_s: float | None = None  # seconds of the model, by what it took and how many waited; None: not measured


class ModelChanged(Message, frozen=True, kw_only=True):
    """Inference tells the supervisor, and it the prompt stage: the model can be asked, or why it cannot."""

    state: ModelState  # whether it can be asked
    name: str = ""  # the manifest's name
    label: str = ""  # the manifest's label
    error: str = ""  # why it cannot


class JobLost(Message, frozen=True, kw_only=True):
    """Told to the prompt stage: inference died while it worked on this job, which is not sent again.

    `job.alone`: no other was at work, so it is this one that killed it.
    """

    job: PromptJob  # `job.alone`: no other was at work, so it is this one that killed it
    error: str  # how the process died
