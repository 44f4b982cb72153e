"""The prompt for one question, in three parts by how often each changes. Runs in the prompt process.

`shared` (role, dictionary, phases, answer form, rules, examples) is the same text for every session of a
surgery, so that the engine computes it once. The examples are made from the surgery's own machines and have the
form that the question itself has: a base model goes on with the pattern.
"""

from pipeline.messages import Prompt
from stages.answer import AnswerForm
from stages.prompt.examples import Examples, examples
from stages.prompt.tail import Moment, PromptForm, tail_part
from stages.surgery import Machine, Surgery

QUESTION = (
    "The question is always: what do the newest lines change, which phase is it, what comes next, and what is to be "
    "prepared?"
)
_ALIASES_SHOWN = 3


class Prompts:
    """Builds prompts in one form; keeps the shared part of each surgery."""

    def __init__(self, form: PromptForm, answer: AnswerForm, shown: Examples = "many") -> None:
        self._form: PromptForm = form
        self._answer: AnswerForm = answer
        self._shown: Examples = shown
        self._shared: dict[str, str] = {}

    def build(self, surgery: Surgery, transcript: str, moment: Moment) -> Prompt:
        """The prompt that asks about `transcript`, whose lines each end with a newline."""
        shared = self._shared.get(surgery.surgery)
        if shared is None:
            shared = self._shared[surgery.surgery] = shared_part(surgery, self._form, self._answer, self._shown)
        return Prompt(
            form=self._form, shared=shared, transcript=transcript, tail=tail_part(surgery, moment, self._form)
        )


def shared_part(surgery: Surgery, form: PromptForm, answer: AnswerForm, shown: Examples = "many") -> str:
    """What all questions about a surgery begin with."""
    parts = [
        f"You follow a simulated {surgery.full_name} ({surgery.environment}) by what is said in the room. "
        "After each transcript you write one JSON object. It is a suggestion for humans and controls nothing.",
        "Machines (id, name, other names):\n" + "\n".join(map(_machine_line, surgery.machines)),
        "Phases:\n" + "\n".join(f"{p.id} {p.name}: {p.description}" for p in surgery.phases),
        f"Machines that are not named as on or on standby are off.\n{QUESTION}\n{_task(answer)}",
        *examples(surgery, form, answer, shown),
    ]
    if form == "chat":
        parts.append("Now the transcript of this room follows. Answer with its JSON object only.")
        return "\n\n".join(parts) + "\n"
    return "\n\n".join(parts) + "\n\nTranscript:\n"


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
