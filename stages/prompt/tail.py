"""What changes from one question to the next, as the end of a prompt. Runs in the prompt process."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from pipeline.messages import Action
from stages.surgery import Surgery

PromptForm = Literal["chat", "completion"]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What changes from one question to the next. `t`: seconds since the session began; `phase`: "" tells none."""

    t: float
    phase: str
    machines: Mapping[str, Action]


def tail_part(surgery: Surgery, moment: Moment, form: PromptForm) -> str:
    """What stands between the transcript and the answer. Ends in the cue `JSON:`, which `{` follows at once.

    It is computed anew for each question, so it says nothing that the shared part can say: the question stands
    there, and machines that are not named are off. In the completion form the phases stand last and with their
    names, because a small model copies best what it read last; a larger one finds them in the dictionary.
    """
    minutes, seconds = divmod(int(moment.t), 60)
    time, states = f"{minutes}:{seconds:02d}", _states(moment.machines)
    if form == "chat":
        return f"{f'{time} {moment.phase}'.rstrip()}. {states}\nJSON:"
    if not moment.phase:
        return f"Time {time}. {states}\nJSON:"
    following = surgery.phase_after(moment.phase) or moment.phase
    return (
        f"Time {time}. {states}\n"
        f"Phase now: {_phase_words(surgery, moment.phase)}. Next: {_phase_words(surgery, following)}.\nJSON:"
    )


def _phase_words(surgery: Surgery, phase_id: str) -> str:
    phase = surgery.phase(phase_id)
    return phase_id if phase is None else f"{phase.id} {phase.name}"


def _states(machines: Mapping[str, Action]) -> str:
    on, standby = ([i for i, action in machines.items() if action == state] for state in ("ON", "STANDBY"))
    waiting = f" Standby: {' '.join(standby)}." if standby else ""
    return f"On: {' '.join(on) or 'none'}.{waiting}"
