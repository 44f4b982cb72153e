"""How the pipeline is doing, in one message: what every surface shows. Built by the supervisor, published by parse.

A surface needs nothing but these fields: no name of a counter, no arithmetic but sums over the stages.
"""

from typing import Final, Literal

import msgspec

from pipeline.messages.fields import Message, ModelState

DROPS: Final[dict[str, str]] = {
    "gap": "inputs that a publisher counted and that never came: ZeroMQ drops them where a publisher is too fast",
    "frame_overwritten": "frames whose slot was written again before they were looked at",
    "frame_unknown": "frames in a ring that this instance does not have, or of another shape",
    "answer_without_asker": "answers whose asker is no longer known",
    "answer_unreachable": "answers whose asker has gone, or does not read",
    "late_verdict": "verdicts on a question that was closed already",
    "late_completion": "answers to a question that was answered already",
    "repeated_outcome": "outcomes of the rules that came twice, as they may when a process was started again",
    "repeated_delivery": "messages of a queue that came twice, as they may when a process was started again",
    "damaged": "messages of a queue whose checksum was wrong",
    "answer_part": "parts of the model's answers that name nothing of the surgery",
    "deferred": "machines that were told something for later, and were forgotten because too many of a session wait",
    "early_answer": "answers that came before their session, and were forgotten because too many did",
    "subscriber_full": "times that subscribers' queues were found full; what each then misses, it counts by `seq`",
    "notice": "dead letters that were counted and journalled, but not told one by one because there were many",
    "report": "reports of a stage that the supervisor did not read in time",
    "event": "events that the launcher did not read in time",
}
"""Why something is dropped, and in words what. What is refused is a dead letter instead."""


class StageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One stage as the supervisor sees it. All counts are since the start of the instance, over restarts."""

    # `down`: it died and is started again; `drained`: its work is done, at the end
    state: Literal["starting", "ready", "down", "drained", "stopped"]
    pid: int  # its process
    restarts: int  # how often it was started again
    queue_depth: int = 0  # messages of other stages that wait for it, or that it has not finished
    memory_bytes: int = 0  # resident, shared pages too; 0: not known
    dropped: dict[str, int] = {}  # by cause: the keys of DROPS
    dead_letters: dict[str, int] = {}  # what was refused, by reason
    counters: dict[str, float]  # all that it counts, by its own names: for a closer look


class ModelWork(msgspec.Struct, frozen=True, kw_only=True):
    """What the model has done since the start of the instance, over restarts."""

    jobs: int = 0  # that were admitted to it
    batches: dict[int, int] = {}  # cycles, by how many jobs each had
    prompt_tokens: int = 0  # of the jobs that ended, those included that were reused
    reused_tokens: int = 0  # of the prompts', those that had not to be computed: the prefix cache
    answer_tokens: int = 0  # of the jobs that ended
    guessed_tokens: int = 0  # that were computed ahead of the answer
    right_tokens: int = 0  # of these, those that the answer had
    prefixes_loaded: int = 0  # beginnings of prompts that were read from disk
    prefixes_saved: int = 0  # that were written to disk
    busy_s: float = 0.0  # in its steps, seconds


class Status(Message, frozen=True, kw_only=True):
    """The pipeline as a whole, published each `supervision.status_s` and once at the end (`final`)."""

    model: str  # the manifest's name
    label: str  # the manifest's label, as states have it in `source`
    model_state: ModelState  # `down`: the process that has it
    model_error: str  # why it is not ready
    stages: dict[str, StageStatus]  # prompt, inference and parse
    degraded: str = ""  # why states lack the model's part, or do not come at all; "": they are whole
    degraded_since: float | None = None  # Unix time
    inputs: int = 0  # that arrived, refused ones too
    outcomes: dict[str, int] = {}  # published states, by outcome
    answers: dict[str, int] = {}  # answers to requests, by outcome
    last_state_age_s: float | None = None  # since a state was published; None: none yet
    last_answer_age_s: float | None = None  # since the model answered; None: not yet
    work: ModelWork = ModelWork()  # what the model did, added up over all starts of its process
    sessions_open: int = 0  # that have begun and are not over
    questions_open: int = 0  # sessions that wait for the model
    requests_open: int = 0  # of clients, without an answer
    dropped: dict[str, int] = {}  # by the supervisor itself, by cause
    memory_bytes: int = 0  # of the supervisor; each stage has its own
    started_at: float = 0.0  # Unix time
    uptime_s: float = 0.0  # since the start of the instance
    journal: str = ""  # the run's folder; "": none is kept
    journal_bytes: int = 0  # of all its files
    final: bool = False  # nothing more comes

    @property
    def all_dropped(self) -> dict[str, int]:
        """By cause, of all processes; a cause that did not occur is left out."""
        return _summed(self.dropped, *(stage.dropped for stage in self.stages.values()))

    @property
    def all_dead_letters(self) -> dict[str, int]:
        """By reason, of all stages."""
        return _summed(*(stage.dead_letters for stage in self.stages.values()))


def _summed(*counts: dict[str, int]) -> dict[str, int]:
    names = sorted({name for count in counts for name in count})
    sums = {name: sum(count.get(name, 0) for count in counts) for name in names}
    return {name: number for name, number in sums.items() if number}
