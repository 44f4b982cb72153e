"""A session as it goes on, and the lessons on its way. Used by training only.

It knows how the room truly is. What a prompt tells of it is what the rules believe, or what the model itself
answered before: where rules run, the newest line is mostly in effect already; where the model is alone, it is not.
Both are taught, so that an answer follows from what is said. The phase that the rules tell may be behind, or another
one altogether. A model that is alone is told none: it would be its own answer, and it would agree with itself.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from models.training.apart import is_apart
from models.training.lesson import NEWEST_S, Answer, Lesson, Line, shown
from models.training.mishear import misheard
from models.training.reasons import tips, why
from models.training.rooms import Room
from models.training.said import Said
from models.training.talk import Talker
from pipeline.messages import Action
from stages.prompt.tail import Moment
from stages.prompt.window import SEEN

_TRIES: Final = 20
_TEAMS: Final = (
    ("Surgeon", "Nurse", "Anesthetist", "Assistant", "Circulator"),
    ("Surgeon", "Scrub Nurse", "Anesthetist", "Resident"),
    ("Surgeon", "Nurse", "Anesthesia nurse", "Anesthetist"),
    ("Dr Weber", "Nurse Kim", "Dr Osman", "Lee"),
    ("surgeon", "nurse", "anesthetist", "technician"),
    ("Operator", "Perfusionist", "Surgeon", "Nurse"),
)
_SEEN: Final = (
    "instrument grasper",
    "event people 5",
    "instrument scissors",
    "event door open",
    "event hands washing",
    "instrument needle holder",
)


class Course:
    """One session in one room."""

    def __init__(self, rng: Random, room: Room, most_lines: int) -> None:
        self._rng = rng
        self._room = room
        self._most = most_lines
        self._talker = Talker(rng, room)
        self._alone = rng.random() < 0.5  # no rules: what a prompt tells was answered by the model before
        self._team = rng.choice(_TEAMS) if rng.random() < 0.65 else ("",)
        self._noise = rng.choice((0.0, 0.1, 0.25, 0.8))
        self._between = rng.choice((0, 0, 1, 2, 4))  # lines of talk, at most, before the next lesson
        self._lines: list[Line] = []
        self._t = round(rng.uniform(1.0, 9.0), 1)
        self._machines: dict[str, Action] = {m.id: m.default_state for m in room.surgery.machines}
        self._phase = self._believed = room.surgery.phase_ids[0]
        self._shown_at = 0  # the line that told the phase, while the belief is behind
        self._evidence: list[int] = []  # lines from which the phase can be told
        self._fresh = rng.random() < 0.4  # lessons at the beginning of a session
        if not self._fresh and rng.random() < 0.6:
            self._join_later()

    def lessons(self) -> Iterator[Lesson]:
        """One lesson a turn, until the session ends."""
        for _ in range(self._rng.randint(1, 4) if self._fresh else self._rng.randint(6, 30)):
            self._talk()
            yield self._lesson(self._said())

    def _join_later(self) -> None:
        """As if the session had gone on for a while."""
        self._phase = self._believed = self._rng.choice(self._room.surgery.phase_ids)
        self._t = round(self._rng.uniform(60.0, 5000.0), 1)
        for machine in self._room.surgery.machines:
            usual = self._phase in machine.phase_usage
            chance = self._rng.random()
            if chance < 0.6:
                self._machines[machine.id] = "ON" if usual and chance < 0.45 else machine.default_state
            elif chance < 0.63:
                self._machines[machine.id] = "STANDBY"

    def _talk(self) -> None:
        """Lines that nothing is taught of: they only stand in the window."""
        for _ in range(self._rng.randint(0, self._between)):
            said = self._between_lines()
            self._hear(said.text, self._rng.choice(self._team))
            self._note(said)
        if len(self._lines) - self._shown_at >= self._most - 3:
            self._believed = self._phase

    def _between_lines(self) -> Said:
        for _ in range(_TRIES):
            said = self._talker.between(self._phase)
            if is_apart(said.text):
                return said
        return Said("chatter", "Okay.")

    def _tells_another_phase(self, text: str) -> bool:
        told = {phase for phase in self._room.surgery.phase_ids if f" ({phase})" in shown(self._room.surgery, text)}
        return bool(told - {self._phase})

    def _said(self) -> Said:
        for _ in range(_TRIES):
            said = self._talker.say(self._machines, self._phase)
            if self._tells_another_phase(said.text) and (
                said.kind == "written" or (said.effects and self._rng.random() < 0.9)
            ):
                continue  # who closes or wakes somebody up is in that phase, and what is written does not say in which
            if is_apart(said.text) and all(is_apart(line.text) for line in said.before):
                return said
        return Said("chatter", "Okay.")

    # --- one turn -----------------------------------------------------------------------------------------

    def _lesson(self, said: Said) -> Lesson:
        rng = self._rng
        if rng.random() < 0.06:
            self._lines.append(
                Line(self._pause(), "", f"{SEEN} {rng.choice(_SEEN)} {rng.choice((0.5, 0.6, 0.72, 0.8, 0.9))}")
            )
        asked_by = rng.choice(self._team)
        for line in said.before:
            self._hear(line.text, rng.choice(self._team) if rng.random() < 0.3 else asked_by)
            self._machines |= line.effects
        before = dict(self._machines)
        speaker = said.speaker or (rng.choice(self._team) if rng.random() < 0.3 and not said.before else asked_by)
        self._hear(said.text, speaker)
        self._machines |= said.effects
        self._enter(said)
        self._note(said)
        newest = said
        if rng.random() < 0.08:  # two lines at once
            newest = Said("chatter", self._apart(self._talker.chatter))
            self._hear(newest.text, rng.choice(self._team), round(rng.uniform(0.4, NEWEST_S - 0.1), 1))
        told = before if self._alone or rng.random() < 0.08 else dict(self._machines)
        effects = dict(said.effects)
        if newest is not said:
            effects = {i: action for i, action in effects.items() if told[i] != action}
        return self._written(
            said if effects or newest is said else newest,
            self._lines[-1].speaker,
            told,
            effects,
            len(said.before) + 1 + (newest is not said),
        )

    def _written(
        self, said: Said, speaker: str, told: dict[str, Action], effects: dict[str, Action], least: int
    ) -> Lesson:
        rng, surgery = self._rng, self._room.surgery
        phase, decided_by = self._told_phase()
        shown = max(least, self._window(), decided_by)
        t = round(self._lines[-1].t + rng.choice((0.0, 0.0, 0.0, 0.4, 1.0, 1.5)), 1)
        moment = Moment(t=t, phase=phase, machines=told)
        after = told | effects
        while True:
            reason = why(rng, self._room, said, effects, self._phase, speaker)
            prepare = tips(rng, self._room, said, after, self._phase)
            if all(map(is_apart, (reason, *prepare))):
                break
        answer = Answer(
            on=tuple(i for i, action in effects.items() if action == "ON"),
            off=tuple(i for i, action in effects.items() if action != "ON"),
            phase=self._phase,
            next=surgery.phase_after(self._phase) or self._phase,
            why=reason,
            tips=prepare,
        )
        lesson = Lesson(surgery, tuple(self._lines[-shown:]), moment, answer, said.kind)
        self._catch_up()
        old = max(0, len(self._lines) - 2 * self._most)
        del self._lines[:old]
        self._shown_at -= old
        self._evidence = [at - old for at in self._evidence if at >= old]
        return lesson

    def _window(self) -> int:
        chance = self._rng.random()
        if chance < (0.25 if self._alone else 0.35):
            return 1
        return self._rng.randint(2, 4) if chance < (0.5 if self._alone else 0.7) else self._rng.randint(5, self._most)

    # --- the phase ----------------------------------------------------------------------------------------

    def _told_phase(self) -> tuple[str, int]:
        """What the prompt says of the phase, "" for nothing, and how many lines it takes to find the true one."""
        decided_by = self._decided_by()
        if self._alone:
            return "", decided_by if self._rng.random() < 0.7 else 0
        if self._believed != self._phase:
            return self._believed, len(self._lines) - self._shown_at
        if decided_by and self._rng.random() < (0.3 if decided_by == 1 else 0.2):
            return self._mistaken(), decided_by
        return self._believed, 0

    def _enter(self, said: Said) -> None:
        if said.phase and said.phase != self._phase:
            self._phase = said.phase
            self._shown_at = len(self._lines) - 1
            self._evidence = []
            if self._rng.random() < 0.6:
                self._believed = said.phase

    def _note(self, said: Said) -> None:
        """Remember the newest line if the phase can be told from it."""
        if said.phase == self._phase:
            self._evidence.append(len(self._lines) - 1)

    def _decided_by(self) -> int:
        """How many lines are to be shown for the phase to be told from them alone; 0 if even the most will not do.

        The newest line is enough; lines further back are if there are two.
        """
        newest = len(self._lines) - 1
        enough = [at for at in self._evidence if at == newest] or self._evidence[-2:-1]
        shown = len(self._lines) - enough[0] if enough else 0
        return shown if shown <= self._most else 0

    def _mistaken(self) -> str:
        """A belief that is wrong: an earlier phase, whose end was missed, or a later one, begun too early; mostly near.

        What rules missed they are never told again, and what they began too early they tell each time.
        """
        phases = self._room.surgery.phase_ids
        at = phases.index(self._phase)
        sides = [side for side in (phases[:at][::-1], phases[at + 1 :]) if side]
        side = self._rng.choice(sides)
        return side[0] if self._rng.random() < 0.7 else self._rng.choice(side)

    def _catch_up(self) -> None:
        """The belief follows, at the latest (see _talk) before what told it leaves the window."""
        if self._rng.random() < 0.35:
            self._believed = self._phase

    # --- lines --------------------------------------------------------------------------------------------

    def _hear(self, text: str, speaker: str, pause_s: float | None = None) -> None:
        heard = misheard(text, self._rng) if self._rng.random() < self._noise else text
        self._lines.append(Line(self._pause(pause_s), speaker, heard if is_apart(heard) else text))

    def _pause(self, pause_s: float | None = None) -> float:
        chance = self._rng.random()
        longer = self._rng.uniform(2.6, 8.0) if chance < 0.8 else self._rng.uniform(8.0, 40.0)
        self._t = round(self._t + (longer if pause_s is None else pause_s), 1)
        return self._t

    def _apart(self, line: Callable[[], str]) -> str:
        """A line that stands in no evaluation set."""
        for _ in range(_TRIES):
            if is_apart(text := line()):
                return text
        return "Okay."
