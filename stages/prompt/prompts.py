"""The prompt for one question, in three parts by how often each changes. Runs in the prompt process.

`shared` (role, dictionary, phases, answer form, rules, examples) is the same text for every session of a
surgery, so that the engine computes it once. The examples are made from the surgery's own machines and have the
form that the question itself has: a base model goes on with the pattern.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import msgspec

from pipeline.messages import Action, Prompt
from stages.answer import AnswerForm
from stages.prompt.window import format_line
from stages.surgery import Machine, Surgery

PromptForm = Literal["chat", "completion"]
QUESTION = (
    "The question is always: what do the newest lines change, which phase is it, what comes next, and what is to be "
    "prepared?"
)
_ALIASES_SHOWN = 3


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What changes from one question to the next. `t`: seconds since the session began."""

    t: float
    phase: str
    machines: Mapping[str, Action]


class Prompts:
    """Builds prompts in one form; keeps the shared part of each surgery."""

    def __init__(self, form: PromptForm, answer: AnswerForm) -> None:
        self._form: PromptForm = form
        self._answer: AnswerForm = answer
        self._shared: dict[str, str] = {}

    def build(self, surgery: Surgery, transcript: str, moment: Moment) -> Prompt:
        """The prompt that asks about `transcript`, whose lines each end with a newline."""
        shared = self._shared.get(surgery.surgery)
        if shared is None:
            shared = self._shared[surgery.surgery] = shared_part(surgery, self._form, self._answer)
        return Prompt(
            form=self._form, shared=shared, transcript=transcript, tail=tail_part(surgery, moment, self._form)
        )


def tail_part(surgery: Surgery, moment: Moment, form: PromptForm) -> str:
    """What stands between the transcript and the answer. Ends in the cue `JSON:`, which `{` follows at once.

    It is computed anew for each question, so it says nothing that the shared part can say: the question stands
    there, and machines that are not named are off. In the completion form the phases stand last and with their
    names, because a small model copies best what it read last; a larger one finds them in the dictionary.
    """
    minutes, seconds = divmod(int(moment.t), 60)
    time, states = f"{minutes}:{seconds:02d}", _states(moment.machines)
    if form == "chat":
        return f"{time} {moment.phase}. {states}\nJSON:"
    following = surgery.phase_after(moment.phase) or moment.phase
    return (
        f"Time {time}. {states}\n"
        f"Phase now: {_phase_words(surgery, moment.phase)}. Next: {_phase_words(surgery, following)}.\nJSON:"
    )


def shared_part(surgery: Surgery, form: PromptForm, answer: AnswerForm) -> str:
    """What all questions about a surgery begin with."""
    parts = [
        f"You follow a simulated {surgery.full_name} ({surgery.environment}) by what is said in the room. "
        "After each transcript you write one JSON object. It is a suggestion for humans and controls nothing.",
        "Machines (id, name, other names):\n" + "\n".join(map(_machine_line, surgery.machines)),
        "Phases:\n" + "\n".join(f"{p.id} {p.name}: {p.description}" for p in surgery.phases),
        f"Machines that are not named as on or on standby are off.\n{QUESTION}\n{_task(answer)}",
        *_examples(surgery, form, answer),
    ]
    if form == "chat":
        parts.append("Now the transcript of this room follows. Answer with its JSON object only.")
        return "\n\n".join(parts) + "\n"
    return "\n\n".join(parts) + "\n\nTranscript:\n"


def _phase_words(surgery: Surgery, phase_id: str) -> str:
    phase = surgery.phase(phase_id)
    return phase_id if phase is None else f"{phase.id} {phase.name}"


def _machine_line(machine: Machine) -> str:
    others = [alias for alias in machine.aliases if alias.casefold() not in machine.name.casefold()]
    line = f"{machine.id} {machine.name}"
    return f"{line} ({', '.join(others[:_ALIASES_SHOWN])})" if others else line


def _task(answer: AnswerForm) -> str:
    if answer == "small":
        form = (
            'Keys: "on" and "off": ids that the newest lines switch; "phase" and "next": phase ids; '
            '"why": one short sentence; "tips": up to 3 short things to prepare.'
        )
    else:
        form = (
            'Keys: "metadata" with "phase", "next_phase" (phase ids), "reasoning" (one short sentence); '
            '"machines": "1" lists ids that are on, "0" all others; "details" with "toggles": what the newest '
            'lines switch; "suggestions": up to 3 short things to prepare; "confidence": 0.0 to 1.0; "source".'
        )
    return (
        f"{form}\nRules: JSON only. Only the ids above. Not sure, or only talk: no change. "
        "A question, or something for later, switches nothing."
    )


def _states(machines: Mapping[str, Action]) -> str:
    on, standby = ([i for i, action in machines.items() if action == state] for state in ("ON", "STANDBY"))
    waiting = f" Standby: {' '.join(standby)}." if standby else ""
    return f"On: {' '.join(on) or 'none'}.{waiting}"


def _examples(surgery: Surgery, form: PromptForm, answer: AnswerForm) -> list[str]:
    """A command, talk that changes nothing, and a negation, each in its own phase of this surgery."""
    machines: dict[str, Action] = {machine.id: machine.default_state for machine in surgery.machines}
    first, middle, late = (surgery.phases[len(surgery.phases) * third // 3].id for third in range(3))
    waiting = [m for m in surgery.machines if m.default_state == "OFF"] or list(surgery.machines)
    started = next((m for m in waiting if middle in m.phase_usage), waiting[0])
    stopped = next((m for m in reversed(waiting) if m is not started), started)
    running: dict[str, Action] = {**machines, started.id: "ON"}
    on, off = (m.aliases[0] if m.aliases else m.name for m in (started, stopped))
    made = partial(_example, surgery, form, answer)
    return [
        made(
            [(401.0, "Nurse", "all right"), (404.5, "Surgeon", f"turn on the {on} please")],
            Moment(t=405.0, phase=middle, machines=running),
            switched=[(started, "ON")],
            why=f"The surgeon asks for the {on}.",
            confidence=0.9,
        ),
        made(
            [(31.5, "Nurse", "good morning, is everybody here?")],
            Moment(t=33.0, phase=first, machines=machines),
            switched=[],
            why="Only talk, nothing is switched.",
            confidence=0.3,
        ),
        made(
            [(920.0, "Surgeon", f"no {off} for now")],
            Moment(t=922.0, phase=late, machines=running),
            switched=[(stopped, "OFF")],
            why=f"The {off} shall stay off.",
            confidence=0.8,
        ),
    ]


def _example(
    surgery: Surgery,
    form: PromptForm,
    answer: AnswerForm,
    lines: list[tuple[float, str, str]],
    moment: Moment,
    *,
    switched: list[tuple[Machine, Action]],
    why: str,
    confidence: float,
) -> str:
    """One question with its answer.

    A base model fills "why" with what it finds in the examples or right before the cue, whatever was said; so in
    the completion form "why" names the phases, which it gets right.
    """
    nearest = surgery.phase(surgery.phase_after(moment.phase))
    then = f"{nearest.id} {nearest.name}" if nearest is not None else "the end"
    if form == "completion":
        why = f"It is {moment.phase}, then comes {then}."
    tips = [f"Prepare {then}"]
    following = surgery.phase_after(moment.phase) or moment.phase
    said: dict[str, Any]
    if answer == "small":
        said = {
            "on": [m.id for m, action in switched if action == "ON"],
            "off": [m.id for m, action in switched if action == "OFF"],
            "phase": moment.phase,
            "next": following,
            "why": why,
            "tips": tips,
        }
    else:
        said = {
            "metadata": {"phase": moment.phase, "next_phase": following, "reasoning": why},
            "machines": {
                "0": [i for i, action in moment.machines.items() if action != "ON"],
                "1": [i for i, action in moment.machines.items() if action == "ON"],
            },
            "details": {
                "toggles": [
                    {
                        "machine_id": m.id,
                        "name": m.name,
                        "action": action,
                        "confidence": confidence,
                        "match_type": "llm",
                    }
                    for m, action in switched
                ]
            },
            "suggestions": tips,
            "confidence": confidence,
            "source": "model",
        }
    transcript = "".join(format_line(*line) + "\n" for line in lines)
    answered = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    return f"Transcript:\n{transcript}{tail_part(surgery, moment, form)}{answered}"
