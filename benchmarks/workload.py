"""The questions of the model benchmarks: sessions that grow line by line, asked about as the prompt stage asks.

Runs in the benchmark's own process. The same arguments always give the same questions, so that every engine, in
whatever process, is asked the same.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Literal

from pipeline.config import ROOT, PromptSection
from pipeline.messages import Observation, Prompt, PromptJob, SessionStart, Transcript
from stages.answer import AnswerForm
from stages.prompt.change import Change
from stages.prompt.cues import PhaseCues
from stages.prompt.language import load_language
from stages.prompt.links import link_for
from stages.prompt.prompts import Prompts
from stages.prompt.rules import RuleEngine
from stages.prompt.session import Session
from stages.prompt.tail import PromptForm
from stages.prompt.taught import UNTAUGHT, Taught
from stages.surgery import Surgery

EXAMPLE = ROOT / "examples" / "pcnl_session.jsonl"
EXAMPLE_SURGERY = "PCNL"
FIRST_LINES = 8  # of a session's transcript when its first question is asked
LINES_EACH = (1, 2)  # that come before each further question
LINES_A_PHASE = 8
PAUSE_S = (4.0, 11.0)  # of message time between two lines
SPEAKERS = ("Surgeon", "Surgeon", "Nurse", "Anesthetist", "Assistant")
COMMANDS = ("Turn on the {0} please.", "{0} off, thank you.", "Start the {0}.", "We do not need the {0} yet.")
TALK = (
    "Pressure is one ten over seventy, all stable.",
    "Can you tilt the table a little to the left?",
    "Is the {0} working?",
    "Count is complete, nothing is missing.",
    "A bit more traction here, hold it like this.",
    "We will need the {0} in a few minutes.",
)

Mix = Literal["mixed", "same"]  # sessions of all surgeries, or all of one


@dataclass(frozen=True, slots=True)
class Question:
    """The `number`-th question of a session. `text` is the prompt as one string, template's markers included."""

    session: int
    number: int
    text: str
    job: PromptJob

    @property
    def surgery(self) -> str:
        return self.job.rules.surgery


def questions(
    surgeries: Sequence[Surgery],
    form: PromptForm,
    answer: AnswerForm,
    sessions: int,
    each: int,
    lines_each: Sequence[int] = LINES_EACH,
    first_lines: int = FIRST_LINES,
    taught: Taught = UNTAUGHT,
) -> list[list[Question]]:
    """`each` questions of each session, in the order in which they must be asked. Sessions take turns in surgeries.

    `lines_each`: how many lines may come before each further question; drawn anew for each. `first_lines`: how many
    come before the first. `taught`: what a prompt shows, as the model's manifest says.
    """
    prompts = Prompts(form, answer, taught.examples)
    return [
        list(_session(number, surgery, prompts, answer, each, lines_each, first_lines, taught))
        for number, surgery in zip(range(sessions), cycle(surgeries), strict=False)
    ]


def choose(surgeries: Sequence[Surgery], mix: Mix) -> Sequence[Surgery]:
    """The surgeries of that variant of the workload; the one of the shipped example comes first."""
    ordered = sorted(surgeries, key=lambda surgery: surgery.surgery != EXAMPLE_SURGERY)
    return ordered if mix == "mixed" else ordered[:1]


def as_text(prompt: Prompt) -> str:
    """The whole prompt as one string, for engines that take such; a chat with Gemma's turns."""
    if prompt.form == "completion":
        return prompt.text()
    said = f"{prompt.shared.strip()}\n\n{prompt.transcript}{prompt.tail.rstrip()}"
    return f"<start_of_turn>user\n{said}<end_of_turn>\n<start_of_turn>model\n"


def lines(surgery: Surgery, seed: str) -> Iterator[tuple[str, str]]:
    """Speaker and words, without end: templates about the surgery's machines, and what the shipped example says."""
    draw = random.Random(seed)
    said = _example() if surgery.surgery == EXAMPLE_SURGERY else []
    at = draw.randrange(len(said)) if said else 0
    while True:
        if said and draw.random() < 0.6:
            yield said[at % len(said)]
            at += 1
            continue
        machine = draw.choice(surgery.machines)
        template = draw.choice(draw.choice((COMMANDS, TALK)))
        words = template.format(draw.choice(machine.aliases or (machine.name,)))
        yield draw.choice(SPEAKERS), words[0].upper() + words[1:]


def _session(
    number: int,
    surgery: Surgery,
    prompts: Prompts,
    answer: AnswerForm,
    each: int,
    lines_each: Sequence[int],
    first_lines: int,
    taught: Taught,
) -> Iterator[Question]:
    draw = random.Random(f"times {number}")
    engine = RuleEngine(surgery)
    cues = PhaseCues(surgery, load_language())
    link = link_for(taught, surgery, cues, load_language())
    said = lines(surgery, f"lines {number}")
    start = SessionStart(session=f"bench{number}", seq=1, t=0.0, surgery=surgery.surgery, started_at=0.0)
    session = Session(start, surgery, cues, PromptSection(), 0.0, taught)
    for at in range(each):
        change = Change()
        for _ in range(draw.choice(lines_each) if at else first_lines):
            speaker, words = next(said)
            seq, t = session.seq + 1, round(session.t + draw.uniform(*PAUSE_S), 1)
            line = Transcript(session=session.name, seq=seq, t=t, speaker=speaker, text=words)
            session.take(line)
            linked = link(words)
            change = session.hear(line, engine.read(words), linked.hinted)
            session.window.append(t, speaker, words, linked.text)
            if seq % LINES_A_PHASE == 0:
                session.observe(_phase_after(session))
        prompt = prompts.build(surgery, session.window.transcript, session.moment())
        job = PromptJob(
            job_id=f"s/{session.name}/{at}",
            kind="session",
            rules=session.snapshot(change, "ready", "", {}),
            prompt=prompt,
            answer=answer,
        )
        yield Question(number, at, as_text(prompt), job)


def _phase_after(session: Session) -> Observation:
    label = session.surgery.phase_after(session.phase) or session.phase
    return Observation(session=session.name, seq=session.seq, t=session.t, kind="phase", label=label)


def _example() -> list[tuple[str, str]]:
    said = [json.loads(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    return [(line["speaker"], line["text"]) for line in said if "text" in line]
