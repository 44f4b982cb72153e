"""What the page keeps of sessions: who set what and why, the past, suggestions, the model's health. All bounded."""

from typing import Any

import pytest

from pipeline.messages import Input, Override, SessionEnd, SessionStart, SurgeryState, Transcript
from pipeline.page import lines, room
from pipeline.page.room import Room
from pipeline.page.view import Dictionary, Named, View

PCNL = Dictionary(
    "Stone", (Named("P1", "First"), Named("P2", "Second")), (Named("M05", "Pump"), Named("M06", "Suction"))
)


class Told:
    """A room that is told of one session."""

    def __init__(self) -> None:
        self.room = Room({"PCNL": PCNL})
        self.seq = self.states = 0

    def hear(self, kind: Any, t: float, **fields: Any) -> Input:
        self.seq += 1
        message: Input = kind(session="or1", seq=self.seq, t=t, **fields)
        self.room.hear(message)
        return message

    def state(
        self,
        t: float,
        *,
        on: tuple[str, ...] = (),
        outcome: Any = "ok",
        source: str = "rule",
        phase: str = "P1",
        **more: Any,
    ) -> None:
        self.states += 1
        metadata = {
            "surgery": "PCNL",
            "phase": phase,
            "next_phase": "P2",
            "degraded": outcome != "ok",
            "outcome": outcome,
        }
        state = {
            "metadata": metadata,
            "machines": {"0": [one for one in ("M05", "M06") if one not in on], "1": list(on)},
            "details": {key: more[key] for key in more if key != "suggestions"},
            "suggestions": list(more.get("suggestions", ())),
            "confidence": 0.5,
            "source": source,
        }
        self.room.take(
            SurgeryState(
                session="or1",
                seq=self.states,
                t=t,
                based_on=self.seq,
                outcome=outcome,
                degraded=outcome != "ok",
                state=state,
            )
        )

    def view(self, t: float | None = None) -> View:
        view = self.room.view(self.room.sessions["or1"], t)
        assert view is not None
        return view


@pytest.fixture
def told() -> Told:
    return Told()


def toggle(machine: str, action: str, words: str, trigger: str) -> dict[str, Any]:
    return {"machine_id": machine, "name": machine, "action": action, "words": words, "trigger": trigger}


def test_a_machine_shows_who_set_it_when_why_and_that_it_is_held(told: Told) -> None:
    told.hear(SessionStart, 0.0, surgery="PCNL")
    told.hear(Override, 5.0, machine="M06", action="STANDBY", reason="bag full", operator="Kim")
    more = {"standby": ["M06"], "held": ["M06"], "set_by": {"M06": "override"}, "set_at": {"M06": 5.0}}
    told.state(5.0, on=("M05",), **more)
    pump, suction = told.view().machines
    assert (pump.name, pump.state, pump.held) == ("Pump", "ON", False)
    assert (suction.state, suction.by, suction.at, suction.held) == ("STANDBY", "override", 5.0, True)
    assert (suction.reason, suction.operator) == ("bag full", "Kim")


def test_the_past_is_what_was_published_last_until_then(told: Told) -> None:
    for t, on in ((10.0, ()), (20.0, ("M06",)), (20.0, ("M05", "M06")), (30.0, ())):
        told.state(t, on=on)
    states = {
        t: [machine.id for machine in told.view(t).machines if machine.state == "ON"]
        for t in (10.0, 19.9, 20.0, 25.0, 30.0, 99.0)
    }
    assert states == {10.0: [], 19.9: [], 20.0: ["M05", "M06"], 25.0: ["M05", "M06"], 30.0: [], 99.0: []}
    assert told.room.view(told.room.sessions["or1"], 9.9) is None


def test_a_state_that_is_known_from_the_journal_is_not_taken_twice(told: Told) -> None:
    told.state(10.0, on=("M06",))
    told.states = 0
    told.state(10.0)
    assert told.view().machines[1].state == "ON"


def test_words_of_an_earlier_line_are_marked_there(told: Told) -> None:
    told.hear(Transcript, 1.0, text="The suction, please.", speaker="Surgeon")
    told.hear(Transcript, 2.0, text="Yes, turn it on.", speaker="Surgeon")
    told.state(2.0, on=("M06",), toggles=[toggle("M06", "ON", "turn it on", "suction")])
    first, second = told.room.sessions["or1"].lines.since(-1)
    assert [part.text for part in second.parts if part.machines] == ["turn it on"]
    assert second.changes == {"M06": "ON"}
    assert not first.changes


def test_a_line_that_may_change_makes_way_for_the_final_one(told: Told) -> None:
    told.hear(Transcript, 1.0, text="Turn on", speaker="Surgeon", is_final=False)
    told.hear(Transcript, 1.2, text="Nurse here", speaker="Nurse")
    told.hear(Transcript, 1.5, text="Turn on the suction", speaker="Surgeon")
    assert [(line.text, line.final) for line in told.room.sessions["or1"].lines.since(-1)] == [
        ("Turn on the suction", True),
        ("Nurse here", True),
    ]


def test_a_browser_is_told_only_what_changed_since(told: Told) -> None:
    told.hear(Transcript, 1.0, text="One")
    told.hear(Transcript, 2.0, text="Turn on the suction")
    known = told.room.revision
    told.state(2.0, on=("M06",), toggles=[toggle("M06", "ON", "turn on the suction", "suction")])
    told.hear(Transcript, 3.0, text="Three")
    assert [line.text for line in told.room.sessions["or1"].lines.since(known)] == ["Turn on the suction", "Three"]


def test_suggestions_tell_who_made_them_and_a_newer_answer_replaces_those_of_the_model(told: Told) -> None:
    told.state(10.0, suggestions=("Check the pump",))
    told.state(10.0, suggestions=("Check the pump", "Consider A"), source="rule+stub")
    told.state(12.0)
    assert [(one.text, one.by, one.t) for one in told.view().suggestions] == [
        ("Check the pump", "rules", 10.0),
        ("Consider A", "stub", 10.0),
    ]
    told.state(14.0, suggestions=("Consider B",), source="rule+stub")
    assert [one.text for one in told.view().suggestions] == ["Consider B", "Check the pump"]
    told.state(14.1 + room.SUGGESTED_S)
    assert told.view().suggestions == ()


def test_degraded_stays_until_the_model_answers_or_is_there_again(told: Told) -> None:
    told.state(1.0, outcome="timeout")
    told.state(2.0)  # of an input, ahead of the model's answer to it
    assert (told.view().degraded, told.view().answer.t) == (True, 1.0)
    told.state(3.0, source="rule+stub")
    assert not told.view().degraded
    told.state(4.0, outcome="model_unavailable")
    told.state(5.0)
    assert not told.view().degraded
    assert [turn.degraded for turn in told.room.sessions["or1"].course] == [True, False, True, False]


def test_a_session_that_begins_again_behind_its_end_begins_anew(told: Told) -> None:
    told.hear(SessionStart, 0.0, surgery="PCNL")
    told.state(50.0, on=("M06",))
    told.hear(SessionEnd, 60.0)
    assert told.room.sessions["or1"].lines.over
    told.hear(SessionStart, 0.0, surgery="PCNL")
    told.state(0.0)
    session = told.room.sessions["or1"]
    assert [line.text for line in session.lines.since(-1)] == ["Session begins: PCNL"]
    assert (session.lines.first, len(session.moments), session.lines.over) == (2, 1, False)


def test_all_of_it_is_bounded(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_BYTES", 5_000)
    monkeypatch.setattr(lines, "MOST_LINES", 10)
    for t in range(100):
        told.hear(Transcript, float(t), text=f"Line {t}")
        told.state(float(t))
    session = told.room.sessions["or1"]
    assert session.bytes == sum(len(moment.state) for moment in session.moments) <= 5_000
    assert told.view().t == 99.0
    assert [line.text for line in session.lines.since(-1)] == [f"Line {t}" for t in range(90, 100)]
    assert len(session.lines._by_seq) == 10
    for number in range(2 * room.MOST_SESSIONS):  # refused ones, of which no state was published
        told.room.hear(Transcript(session=f"s{number}", seq=1, t=0.0, text="x"))
    assert len(told.room.sessions) == room.MOST_SESSIONS
    assert "or1" in told.room.sessions


def test_a_surgery_without_names_is_shown_by_its_ids(told: Told) -> None:
    told.room = Room({})
    told.state(1.0, on=("M06",))
    assert [(machine.name, machine.state) for machine in told.view().machines] == [("M05", "OFF"), ("M06", "ON")]
