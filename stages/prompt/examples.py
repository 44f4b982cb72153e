"""Questions with their answers, made from a surgery's own machines and phases. Runs in the prompt process.

They have the form that the question itself has: a base model goes on with the pattern. `many` show each kind of thing
that is said, `few` a command, talk and a negation; with many, the embedded base model was right more often. `none` are
shown to a model that was taught the job.
"""

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.messages import Action
from stages.answer import AnswerForm
from stages.prompt.tail import Moment, PromptForm, tail_part
from stages.prompt.window import format_line
from stages.surgery import Machine, Surgery

Examples = Literal["none", "few", "many"]

FEW: Final = 3
_ELSEWHERE: Final = ("microscope", "laser", "tourniquet", "drill")  # devices, of which most rooms have not all


@dataclass(frozen=True, slots=True)
class Case:
    """What is said, after another line perhaps, and what it switches.

    `stage`: 0 to 2, the early, middle or late third of the phases. `confidence`: in the full form only.
    """

    stage: int
    said: str
    why: str
    switched: tuple[tuple[Machine, Action], ...] = ()
    running: tuple[Machine, ...] = ()
    before: str = ""
    tip: str = ""
    confidence: float = 0.9


def examples(surgery: Surgery, form: PromptForm, answer: AnswerForm, shown: Examples) -> list[str]:
    """The examples of a surgery, each as the text of its question and answer. `few` are the last of the `many`."""
    if shown == "none":
        return []
    cases = _cases(surgery)
    if shown == "few":
        cases = cases[-FEW:]
    return [_text(surgery, form, answer, 120.0 * number + 31.5, case) for number, case in enumerate(cases)]


def _cases(surgery: Surgery) -> list[Case]:
    one, other = _two(surgery)
    on, off = (machine.aliases[0] if machine.aliases else machine.name for machine in (one, other))
    elsewhere = _elsewhere(surgery)
    return [
        Case(
            stage=1,
            said=f"stop the {on} and start the {off}",
            why=f"The {on} is stopped, the {off} is started.",
            switched=((one, "OFF"), (other, "ON")),
        ),
        Case(
            stage=1,
            said=f"is the {off} on?",
            why="A question switches nothing.",
            confidence=0.3,
        ),
        Case(
            stage=0,
            said=f"in five minutes we will need the {on}",
            why=f"The {on} is for later.",
            tip=f"Have the {on} ready",
            confidence=0.5,
        ),
        Case(
            stage=1,
            said=f"leave the {on} on, don't stop it",
            why=f"The {on} shall stay on.",
            switched=((one, "ON"),),
        ),
        Case(
            stage=1,
            said=f"turn on the {on}, no sorry, the {off}",
            why=f"It was corrected: the {off} is meant.",
            switched=((other, "ON"),),
        ),
        Case(
            stage=2,
            said=f"put the {on} on standby",
            why=f"The {on} is on standby.",
            switched=((one, "STANDBY"),),
        ),
        Case(
            stage=1,
            said=f"switch on the {elsewhere}",
            why=f"There is no {elsewhere} in this room.",
            confidence=0.3,
        ),
        Case(
            stage=2,
            said=f"last week the {on} broke in the middle of a case",
            why="A story of another case.",
            confidence=0.3,
        ),
        Case(
            stage=1,
            before="all right",
            said=f"turn on the {on} please",
            why=f"The surgeon asks for the {on}.",
            switched=((one, "ON"),),
        ),
        Case(
            stage=0,
            said="good morning, is everybody here?",
            why="Only talk, nothing is switched.",
            confidence=0.3,
        ),
        Case(
            stage=2,
            said=f"no {off} for now",
            why=f"The {off} shall stay off.",
            switched=((other, "OFF"),),
            running=(one,),
            confidence=0.8,
        ),
    ]


def _two(surgery: Surgery) -> tuple[Machine, Machine]:
    """A machine of the middle phases, and of few others, and another one, both off by default if there are such."""
    middle = surgery.phases[len(surgery.phases) // 3].id
    waiting = [m for m in surgery.machines if m.default_state == "OFF"] or list(surgery.machines)
    fitting = [m for m in waiting if middle in m.phase_usage] or waiting
    one = min(fitting, key=lambda m: len(m.phase_usage))
    return one, next((m for m in reversed(waiting) if m is not one), one)


def _elsewhere(surgery: Surgery) -> str:
    """A device that this surgery does not have."""
    here = " ".join(words for m in surgery.machines for words in (m.name, *m.aliases, *m.triggers)).casefold()
    return next((device for device in _ELSEWHERE if device not in here), "robot")


def _text(surgery: Surgery, form: PromptForm, answer: AnswerForm, t: float, case: Case) -> str:
    """One question with its answer.

    A base model fills "why" with what it finds in the examples or right before the cue, whatever was said; so in
    the completion form "why" names the phases, which it gets right.
    """
    phase = surgery.phases[len(surgery.phases) * case.stage // 3].id
    machines: dict[str, Action] = {machine.id: machine.default_state for machine in surgery.machines}
    machines |= {machine.id: "ON" for machine in case.running}
    machines |= {machine.id: action for machine, action in case.switched}
    moment = Moment(t=t + 1.5, phase=phase, machines=machines)
    nearest = surgery.phase(surgery.phase_after(phase))
    then = f"{nearest.id} {nearest.name}" if nearest is not None else "the end"
    why = f"It is {phase}, then comes {then}." if form == "completion" else case.why
    tips = [case.tip or f"Prepare {then}"]
    said = _small(surgery, moment, case, why, tips) if answer == "small" else _full(surgery, moment, case, why, tips)
    lines = [(t - 3.0, "Nurse", case.before)] if case.before else []
    transcript = "".join(format_line(*line) + "\n" for line in [*lines, (t, "Surgeon", case.said)])
    answered = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    return f"Transcript:\n{transcript}{tail_part(surgery, moment, form)}{answered}"


def _small(surgery: Surgery, moment: Moment, case: Case, why: str, tips: list[str]) -> dict[str, Any]:
    return {
        "on": [m.id for m, action in case.switched if action == "ON"],
        "off": [m.id for m, action in case.switched if action != "ON"],
        "phase": moment.phase,
        "next": surgery.phase_after(moment.phase) or moment.phase,
        "why": why,
        "tips": tips,
    }


def _full(surgery: Surgery, moment: Moment, case: Case, why: str, tips: list[str]) -> dict[str, Any]:
    following = surgery.phase_after(moment.phase) or moment.phase
    toggles = [
        {"machine_id": m.id, "name": m.name, "action": action, "confidence": case.confidence, "match_type": "llm"}
        for m, action in case.switched
    ]
    return {
        "metadata": {"phase": moment.phase, "next_phase": following, "reasoning": why},
        "machines": {
            "0": [i for i, action in moment.machines.items() if action != "ON"],
            "1": [i for i, action in moment.machines.items() if action == "ON"],
        },
        "details": {"toggles": toggles},
        "suggestions": tips,
        "confidence": case.confidence,
        "source": "model",
    }
