"""Lessons: what the generator claims is true, checked by other readings of the same lines."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random

import jsonschema_rs
import pytest

from models.training.generate import lessons
from models.training.idle import BYSTANDERS
from models.training.invent import invented_room
from models.training.lesson import NEWEST_S, Lesson, Line
from models.training.phase_lines import PhaseLines
from models.training.rooms import Room, Thing, shipped_room, split
from models.training.said import Said
from models.training.speech import Speech
from models.training.talk import Talker
from models.training.vocabulary import table
from pipeline.config import resolve
from pipeline.messages import Action
from stages.answer import answer_schema
from stages.parse.safety import find_violations, not_advisory
from stages.prompt.cues import PhaseCues
from stages.prompt.hints import Hints, kind_of
from stages.prompt.language import load_language, plain
from stages.prompt.links import Links
from stages.prompt.prompts import Prompts
from stages.prompt.rules import RuleEngine
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
LESSONS = list(lessons(7, 3600))
IDLE = {"question", "mention", "part", "amounts", "story", "elsewhere", "deferred", "unreal", "bystander", "decoy",
        "near", "chatter", "work", "phase"}  # fmt: skip
NAMED = {"command", "bare", "want", "long", "courtesy", "numbers", "fact", "keep", "mixed", "three", "first", "last",
         "correction"}  # fmt: skip
NOT_ON = re.compile(
    r"not (?:yet|start|use|activate|run|(?:turn|switch|put) on)|no need|skip|do without|stay off|leave [^,.]* off"
)
NOT_OFF = re.compile(
    r"not (?:stop|kill|touch|end|(?:turn|switch|shut) off)|stays? on|hold off (?:stopping|turning off)"
    r"|keep [^,]* on(?=[,.]| for| a while)"
)


def rooms() -> list[Room]:
    rng = Random(5)
    return [*map(shipped_room, SURGERIES.values()), *(invented_room(rng, number, "train") for number in range(25))]


def lines(per_room: int) -> list[tuple[Room, Said]]:
    """What is said in rooms at the beginning of a session, as it is said, not as it is heard."""
    said = []
    for number, room in enumerate(rooms()):
        talker = Talker(Random(number), room)
        machines: dict[str, Action] = {machine.id: machine.default_state for machine in room.surgery.machines}
        said += [(room, talker.say(machines, room.surgery.phase_ids[0])) for _ in range(per_room)]
    return said


SAID = lines(240)


def is_named(thing: Thing, text: str) -> bool:
    plain = re.sub(r"[^\w\s/()-]", " ", text)
    words = f" {' '.join(split(plain))} "
    return any(f" {' '.join(split(name))} " in words for name in (*thing.spoken, thing.machine.name))


def place(thing: Thing, room: Room, text: str) -> int | None:
    """Where the line names the thing; None where it does so twice ("my phone camera"), or may name another one."""
    others = {name for other in room.things if other is not thing for name in other.spoken}
    others.add("vent")  # of what people do to each other, too
    own = [name for name in thing.spoken if not any(name in other or other in name for other in others)]
    any_name = "|".join(map(re.escape, sorted(own, key=len, reverse=True)))
    found = [at.start() for at in re.finditer(rf"\b(?:{any_name})\b", text, re.IGNORECASE)] if own else []
    return found[0] if len(found) == 1 else None


def settled(lesson: Lesson) -> bool:
    """Whether the last line is the only new one."""
    return len(lesson.lines) == 1 or lesson.lines[-1].t - lesson.lines[-2].t > NEWEST_S


def test_the_same_seed_gives_the_same_lessons() -> None:
    assert list(lessons(7, 200)) == LESSONS[:200]


def test_another_seed_gives_other_lessons() -> None:
    assert not {lesson.transcript(True) for lesson in lessons(8, 200)} & {lesson.transcript(True) for lesson in LESSONS}


def test_every_answer_is_one_that_the_grammar_of_its_surgery_allows() -> None:
    for lesson in LESSONS:
        jsonschema_rs.validate(answer_schema(lesson.surgery, "small"), json.loads(lesson.answer.text()))


def test_an_answer_has_its_keys_in_the_order_of_the_grammar() -> None:
    for lesson in LESSONS[:200]:
        written = list(json.loads(lesson.answer.text()))
        assert written == answer_schema(lesson.surgery, "small")["required"]


def test_no_machine_goes_on_and_off_and_none_stands_twice() -> None:
    for lesson in LESSONS:
        ids = (*lesson.answer.on, *lesson.answer.off)
        assert len(ids) == len(set(ids)), lesson


def test_what_is_switched_stands_in_the_order_in_which_it_is_said() -> None:
    checked = 0
    for room, said in SAID:
        if said.kind not in ("mixed", "three", "command", "bare", "want", "fact", "keep") or said.before:
            continue
        places = [place(thing, room, said.text) for i in said.effects for thing in room.things if thing.id == i]
        if len(places) > 1 and None not in places:
            checked += 1
            assert places == sorted(places), said
    assert checked > 200


def test_an_answer_keeps_that_order(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_backwards(talker: Talker, machines: Mapping[str, Action], phase: str) -> Said:
        return Said("three", "All of it.", dict.fromkeys(reversed(machines), "ON"))

    monkeypatch.setattr(Talker, "say", all_backwards)
    kept = [lesson for lesson in lessons(3, 20) if settled(lesson)]
    assert kept
    for lesson in kept:
        assert lesson.answer.on == tuple(reversed(lesson.surgery.machine_ids))


def test_next_is_the_phase_that_follows() -> None:
    for lesson in LESSONS:
        assert lesson.answer.next == (lesson.surgery.phase_after(lesson.answer.phase) or lesson.answer.phase)


def test_the_lines_stand_in_time_and_the_moment_is_not_before_them() -> None:
    for lesson in LESSONS:
        times = [line.t for line in lesson.lines]
        assert times == sorted(times)
        assert lesson.moment.t >= times[-1]


def test_the_moment_tells_of_every_machine() -> None:
    for lesson in LESSONS:
        assert tuple(lesson.moment.machines) == lesson.surgery.machine_ids


def test_what_is_asked_told_or_for_later_switches_nothing() -> None:
    kinds = Counter(lesson.kind for lesson in LESSONS)
    assert set(kinds) >= IDLE
    for lesson in LESSONS:
        if lesson.kind in IDLE and settled(lesson):
            assert (lesson.answer.on, lesson.answer.off) == ((), ()), lesson.transcript(True)


def test_an_order_switches_only_machines_that_its_line_names() -> None:
    checked = 0
    for room, said in SAID:
        if said.kind in NAMED and not said.before:
            for machine in said.effects:
                checked += 1
                thing = next(thing for thing in room.things if thing.id == machine)
                assert is_named(thing, said.text), (machine, said.text)
    assert checked > 1000


@pytest.mark.parametrize(("denied", "never"), [(NOT_ON, "ON"), (NOT_OFF, "OFF")])
def test_what_is_denied_is_not_done(denied: re.Pattern[str], never: Action) -> None:
    """By the words alone: of a line that only denies."""
    texts = [
        said for _, said in SAID if said.kind == "keep" and denied.search(said.text.lower().replace("n't", " not"))
    ]
    assert len(texts) > 20
    assert [said.text for said in texts if never in said.effects.values()] == []


def test_of_a_correction_only_what_was_said_last_counts() -> None:
    checked = 0
    for room, said in SAID:
        if said.kind == "correction" and not said.before:
            places = {
                thing.id: max(said.text.lower().rfind(name.lower()) for name in thing.spoken) for thing in room.things
            }
            first_switched = min(places[machine] for machine in said.effects)
            others = [
                place for machine, place in places.items() if machine not in said.effects and place > first_switched
            ]
            longer = [p for p in others if not any(p >= places[m] for m in said.effects)]
            checked += 1
            assert longer == [], said
    assert checked > 40


def test_a_device_that_is_not_in_the_room_is_none_of_its_machines() -> None:
    for room, said in SAID:
        if said.kind == "unknown" and not said.effects:
            assert not any(said.topic == name for thing in room.things for name in thing.spoken), said


def test_nobody_outside_of_the_team_gives_orders() -> None:
    spoken = [lesson for lesson in LESSONS if lesson.lines[-1].speaker in BYSTANDERS]
    assert spoken
    assert all(not (lesson.answer.on or lesson.answer.off) for lesson in spoken if settled(lesson))


def test_an_earlier_line_counts_only_if_it_is_not_in_effect_yet() -> None:
    counted = 0
    for lesson in LESSONS:
        if not settled(lesson):
            states = lesson.moment.machines
            for ids, action in ((lesson.answer.on, "ON"), (lesson.answer.off, "OFF")):
                for machine in ids:
                    counted += 1
                    told = " ".join(line.text.lower() for line in lesson.lines[-3:-1])  # "the pump as well" follows one
                    rests = re.search(r"stand ?by|paus|suspend|hold|rest", told)
                    assert states[machine] != action or rests, lesson
    assert counted > 20


def test_a_wrong_belief_is_told_only_where_the_lines_that_are_shown_tell_the_phase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told_by: dict[str, set[str]] = {}

    def marked(lines: PhaseLines, phase_id: str) -> str:
        """A line that tells nothing but the phase, and that is never misheard."""
        told_by.setdefault(text := f"q{len(told_by)}q", set()).add(phase_id)
        return text

    def begins(lines: PhaseLines) -> Said:
        phase = lines._later_phase().phase.id
        return Said("phase", marked(lines, phase), phase=phase)

    monkeypatch.setattr(PhaseLines, "said_in", marked)
    monkeypatch.setattr(PhaseLines, "_case", lambda lines: marked(lines, lines._speech.phase))
    for name in ("_begins", "_implied", "_phase_back"):
        monkeypatch.setattr(PhaseLines, name, begins)
    far, sides = 0, Counter[str]()
    for lesson in lessons(9, 6000):
        phases = lesson.surgery.phase_ids
        if lesson.moment.phase not in ("", lesson.answer.phase):
            texts = {text for line in lesson.lines for text in re.findall(r"q\d+q", line.text.lower())}
            assert any(lesson.answer.phase in told_by[text] for text in texts), lesson
            ahead = phases.index(lesson.moment.phase) - phases.index(lesson.answer.phase)
            far += abs(ahead) > 1
            sides["ahead" if ahead > 0 else "behind"] += 1
    assert far > 30
    assert min(sides["ahead"], sides["behind"]) > 60, sides


def test_half_of_the_lessons_tell_no_phase_and_many_of_those_show_what_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PhaseLines, "said_in", lambda lines, phase_id: f"told {lines._at(phase_id)} told")
    monkeypatch.setattr(PhaseLines, "_case", lambda lines: lines.said_in(lines._speech.phase))
    untold = [lesson for lesson in lessons(9, 2000) if not lesson.moment.phase]
    assert 900 < len(untold) < 1200
    shown = [
        f"told {lesson.surgery.phase_ids.index(lesson.answer.phase)} told" in lesson.transcript(True).lower()
        for lesson in untold
    ]
    assert 0.35 < sum(shown) / len(shown) < 0.9  # others show lines such as "we start with ...", or nothing at all


def test_a_phase_that_begins_is_mostly_the_next_one() -> None:
    room = shipped_room(SURGERIES["PCNL"])
    kinds = PhaseLines(speech := Speech(Random(3), room)).kinds
    speech.phase = room.surgery.phase_ids[0]
    begun = Counter(kinds["implied"][1]().phase for _ in range(300))
    assert begun[room.surgery.phase_ids[1]] > 250
    assert len(begun) > 2


def test_what_is_said_in_a_shipped_phase_of_its_own_is_said_in_its_lessons() -> None:
    rooms = {name: shipped_room(surgery) for name, surgery in SURGERIES.items()}
    for place, talk in table("shipped").items():
        surgery, phase = place.split("/")
        assert set(talk["said"]) < set(rooms[surgery].phase_talk(phase).said), place
    assert len(table("shipped")) == sum(len(room.phases) for room in rooms.values())


def newest_tells(lesson: Lesson) -> set[str]:
    """Phases whose ids stand in the newest line, as the prompt shows it."""
    newest = lesson.transcript(True).splitlines()[-1]
    return {phase for phase in lesson.surgery.phase_ids if f" ({phase})" in newest}


def test_a_cue_of_another_phase_tells_nothing_where_it_is_only_talked_about() -> None:
    room = shipped_room(SURGERIES["PCNL"])
    kinds = PhaseLines(speech := Speech(Random(3), room)).kinds
    link, with_id = Links(room.surgery, PhaseCues(room.surgery, load_language())).link, 0
    for speech.phase in room.surgery.phase_ids[1:-1]:
        for _ in range(60):
            said = kinds["cue_decoy"][1]()
            assert said.topic != speech.phase
            assert (said.phase, said.effects) == ("", {})
            with_id += f"({said.topic})" in link(said.text).text
    assert with_id > 120  # so what is learned is not to trust every id


def test_who_switches_a_machine_seldom_says_the_cue_of_another_phase() -> None:
    orders = [lesson for lesson in LESSONS if lesson.kind in NAMED | {"indirect"}]
    elsewhere = [lesson for lesson in orders if newest_tells(lesson) - {lesson.answer.phase}]
    assert len(orders) > 1000
    assert len(elsewhere) < len(orders) / 20


def test_most_phases_that_are_shown_have_their_id_behind_a_cue_and_many_have_not() -> None:
    shown = [lesson for lesson in LESSONS if lesson.kind == "phase" and settled(lesson)]
    told = sum(lesson.answer.phase in newest_tells(lesson) for lesson in shown)
    assert len(shown) / 4 < told < len(shown) * 0.85


def test_the_cues_of_an_invented_phase_are_said_in_it_and_mostly_in_no_other() -> None:
    without = others = checked = 0
    for number in range(60):
        room = invented_room(Random(number), number, "train")
        without += not any(talk.phase.cues for talk in room.phases)
        for talk in room.phases:
            own = " ".join((*talk.said, *talk.nouns)).casefold()
            rest = " ".join(line for other in room.phases if other is not talk for line in other.said).casefold()
            for cue in talk.phase.cues:
                checked += 1
                assert cue in own
                others += re.search(rf"\b{re.escape(cue)}\b", rest) is not None
    assert checked > 1000
    assert 0 < others < checked / 5
    assert 0 < without < 20


def test_the_rules_seldom_read_the_opposite() -> None:
    """Rules and generator were written apart from each other: where both see a switch, they agree on which."""
    language, opposite, same = load_language(), [], 0
    engines = {name: RuleEngine(surgery, SURGERIES.values(), language) for name, surgery in SURGERIES.items()}
    for room, said in SAID:
        if room.surgery.surgery in engines and said.kind in NAMED - {"correction", "first"} and not said.before:
            for toggle in engines[room.surgery.surgery].read(said.text, "Surgeon").toggles:
                told = said.effects.get(toggle.machine_id)
                same += told == toggle.action
                if told is not None and told != toggle.action and "hold off" not in said.text.lower():
                    opposite.append((said.text, toggle.name, toggle.action))
    assert same > 100
    assert len(opposite) <= same // 50, opposite


def test_the_rules_read_no_order_where_there_is_none() -> None:
    language, orders, lines_read = load_language(), [], 0
    engines = {name: RuleEngine(surgery, SURGERIES.values(), language) for name, surgery in SURGERIES.items()}
    for room, said in SAID:
        if room.surgery.surgery in engines and said.kind in IDLE - {"bystander"}:
            lines_read += 1
            if engines[room.surgery.surgery].read(said.text, "Surgeon").toggles:
                orders.append(said.text)
    assert lines_read > 100
    assert len(orders) <= lines_read // 12, orders


def test_the_surgeries_of_validation_are_not_those_of_training() -> None:
    shipped = {surgery.full_name for surgery in SURGERIES.values()}
    learned = {lesson.surgery.full_name for lesson in LESSONS}
    held_out = {lesson.surgery.full_name for lesson in lessons(7, 500, share_invented=1.0, part="validation")}
    assert learned > shipped
    assert held_out
    assert held_out.isdisjoint(learned)


def test_a_name_is_that_of_one_surgery_only() -> None:
    """Prompts keep what they begin with by the surgery's name."""
    dictionaries: dict[str, object] = {}
    for lesson in LESSONS:
        assert dictionaries.setdefault(lesson.surgery.surgery, lesson.surgery) == lesson.surgery


def test_half_of_the_lessons_are_about_invented_surgeries() -> None:
    invented = sum(lesson.surgery.surgery not in SURGERIES for lesson in LESSONS)
    assert 0.35 < invented / len(LESSONS) < 0.65


def test_the_words_of_an_answer_are_safe_and_advise() -> None:
    for lesson in LESSONS:
        assert find_violations([lesson.answer.why, *lesson.answer.tips]) == ()
        assert not_advisory(lesson.answer.tips) == ()


def test_the_prompt_takes_every_lesson() -> None:
    prompts = Prompts("completion", "small", "few")
    for lesson in LESSONS[:100]:
        prompt = prompts.build(lesson.surgery, lesson.transcript(True), lesson.moment)
        cues, hints = PhaseCues(lesson.surgery, load_language()), Hints(lesson.surgery, load_language())
        shown = Links(lesson.surgery, cues, hints).link(lesson.lines[-1].text).text
        assert prompt.transcript.endswith(f"{shown}\n")


def test_a_transcript_without_hints_has_all_but_the_ids_with_a_question_mark() -> None:
    hinting = [lesson for lesson in LESSONS if "?)" in lesson.transcript(True)]
    assert len(hinting) > len(LESSONS) / 10
    for lesson in hinting:
        assert lesson.transcript(False) == re.sub(r" \(\w+\?\)", "", lesson.transcript(True))


def test_every_device_that_is_talked_of_is_one_that_has_hints() -> None:
    language = load_language()
    assert set(language.devices) == set(table("devices"))
    for key, device in table("devices").items():
        assert kind_of([plain(name) for name in (*device["names"], *device["spoken"])], language) == key


def test_what_was_seen_has_no_ids_as_in_a_run() -> None:
    line = Line(1.0, "", "(video) instrument suction 0.5")
    lesson = replace(LESSONS[0], surgery=SURGERIES["PCNL"], lines=(line, Line(2.0, "", "Suction on.")))
    assert lesson.transcript(True) == "[1.0s] (video) instrument suction 0.5\n[2.0s] Suction (M06) on.\n"


def test_lines_are_seldom_said_twice() -> None:
    assert len({lesson.lines[-1].text for lesson in LESSONS}) > 0.9 * len(LESSONS)
