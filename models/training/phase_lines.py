"""Lines that tell which phase it is, and such that only speak of one. Used by training only."""

import re
from typing import Final

from models.training.phrases import sentence, some
from models.training.rooms import PhaseTalk
from models.training.said import Kinds, Said
from models.training.speech import Slots, Speech
from models.training.vocabulary import table

_ENDED: Final = re.compile(r"[.?!](?:\s|$)")  # a line of several sentences, or a question


class PhaseLines:
    """What begins a phase, what is said in one, and what is not about now."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._rng = speech.rng
        self.kinds: Kinds = {
            "begins": (5, self._begins),
            "implied": (14, self._implied),
            "work": (36, self._work),
            "decoy": (5, self._decoy),
            "cue_decoy": (8, self._cue_decoy),
            "phase_back": (1, self._phase_back),
        }

    def _begins(self) -> Said:
        """Somebody says that a phase begins, mostly the next one."""
        talk = self._later_phase()
        template = self._rng.choice(table("compound")["phase"]["begins"])
        return Said(
            "phase",
            sentence(self._speech.say(template, self._phase_slots(talk.phase.id))),
            phase=talk.phase.id,
        )

    def _implied(self) -> Said:
        """What is said is said in another phase, so that one has come."""
        talk = self._later_phase()
        return Said("phase", self._of_phase(talk.said), phase=talk.phase.id)

    def _work(self) -> Said:
        first = self._at(self._speech.phase) == 0
        text = self._case() if first and self._rng.random() < 0.25 else self.said_in(self._speech.phase)
        return Said("work", text, phase=self._speech.phase)

    def _case(self) -> str:
        """What is planned for whom: it names the operation, which has not begun."""
        surgery = self._speech.room.surgery
        name = self._rng.choice((surgery.full_name, surgery.surgery)).split("(")[0].strip()
        template = self._rng.choice(table("compound")["phase"]["case"])
        return sentence(self._speech.say(template, {"case": lambda: name.lower()}))

    def said_in(self, phase_id: str) -> str:
        """A line of that phase. Raises NothingToSay."""
        return self._of_phase(self._speech.room.phase_talk(phase_id).said)

    def _of_phase(self, lines: tuple[str, ...]) -> str:
        template = some(self._rng, lines)
        ways = [template, template, template, "{open}, " + template, "{who}, " + template]
        if not _ENDED.search(template):
            ways.append(template + ", {clause}")
        wrapped = self._rng.choice(ways)
        return sentence(self._speech.say(wrapped, {}))

    def _decoy(self) -> Said:
        """Another phase is spoken of, but it is not now."""
        others = [talk for talk in self._speech.room.phases if talk.phase.id != self._speech.phase]
        talk = some(self._rng, others)
        template = self._rng.choice(table("compound")["phase"]["decoy"])
        text = sentence(self._speech.say(template, self._phase_slots(talk.phase.id)))
        return Said("decoy", text, topic=talk.phase.id)

    def _cue_decoy(self) -> Said:
        """A cue of another phase in a line that tells nothing of now: what is asked, planned, remembered, left over."""
        words = table("compound")["phase"]
        earlier = self._rng.random() < 0.4
        at = self._at(self._speech.phase)
        phases = self._speech.room.phases
        talk = some(self._rng, phases[:at] if earlier else phases[at + 1 :])
        cue = some(self._rng, talk.phase.cues or tuple(noun.removeprefix("the ") for noun in talk.nouns))
        lists = ("behind", "cue_leftover", "asked") if earlier else ("laid_out", "asked", "cue_decoy")
        template = self._rng.choice(
            words["announced" if at == 0 and self._rng.random() < 0.5 else some(self._rng, lists)]
        )
        text = sentence(self._speech.say(template, {"cue": lambda: cue}))
        return Said("decoy", text, topic=talk.phase.id)

    def _phase_back(self) -> Said:
        at = self._at(self._speech.phase)
        talk = some(self._rng, self._speech.room.phases[:at])
        words = table("compound")["phase"]
        if self._rng.random() < 0.4:
            template = self._rng.choice(words["back_wrapped"]) + some(self._rng, talk.said)
        else:
            template = self._rng.choice(words["back"])
        text = sentence(self._speech.say(template, self._phase_slots(talk.phase.id)))
        return Said("phase", text, phase=talk.phase.id)

    def _later_phase(self) -> PhaseTalk:
        at = self._at(self._speech.phase)
        later = self._speech.room.phases[at + 1 :]
        return later[0] if later and self._rng.random() < 0.92 else some(self._rng, later)

    def _phase_slots(self, phase_id: str) -> Slots:
        at = self._at(phase_id)
        before = self._speech.room.phases[max(0, at - 1)].phase.id
        numbers = table("compound")["phase"]["numbers"]
        return {
            "phase": lambda: self._speech.phase_name(phase_id),
            "before": lambda: self._speech.phase_name(before) if at else "the briefing",
            "number": lambda: numbers[at],
        }

    def _at(self, phase_id: str) -> int:
        return self._speech.room.surgery.phase_ids.index(phase_id)
