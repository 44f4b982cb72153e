"""Ids behind names and cues in a line that a model is shown."""

import pytest

from pipeline.config import resolve
from stages.prompt.cues import PhaseCues
from stages.prompt.language import load_language
from stages.prompt.links import Links
from stages.surgery import Machine, Phase, Surgery, load_surgeries

ROOM = Surgery(
    "Ear",
    "Ear Surgery",
    "OR 4",
    (Phase("P1", "All"),),
    (
        Machine(id="K1", name="Operating Microscope (Zeiss)", category="Imaging", aliases=("scope", "pentero")),
        Machine(id="K2", name="C-Arm", category="Imaging", aliases=("x-ray", "scope light")),
        Machine(id="K3", name="Suction Pump", category="Fluid", aliases=("suction", "pump")),
        Machine(id="K4", name="Infusion", category="Drugs", aliases=("pump",), triggers=("start drip", "drip on")),
    ),
)
LANGUAGE = load_language()
LINKS = Links(ROOM, PhaseCues(ROOM, LANGUAGE))
DAY = Surgery(
    "Day",
    "Day Surgery",
    "OR 5",
    (
        Phase("A1", "Setup", "Time-out, drapes", cues=("drape", "side is marked")),
        Phase("A2", "Stone Removal", "Basket, wash", cues=("stone", "stone basket", "sheath is in")),
        Phase("A3", "Wash & Closing", "Clear view", cues=("stone free", "sheath out", "flush bag")),
    ),
    (Machine(id="K1", name="Flush Bag Pump", category="Fluid", aliases=("flush",)),),
)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Switch the Pentero on, and the suction off.", "Switch the Pentero (K1) on, and the suction (K3) off."),
        ("Is the operating microscope here?", "Is the operating microscope (K1) here?"),
        ("c arm in, C-ARM out, xray, X-Rays", "c arm (K2) in, C-ARM (K2) out, xray, X-Rays (K2)"),
        ("both scopes please", "both scopes (K1) please"),
        ("scope light and scope", "scope light (K2) and scope (K1)"),
        ("suction pump", "suction pump (K3)"),
        ("start drip, then drip off", "start drip (K4), then drip (K4) off"),
    ],
)
def test_a_name_has_its_machines_id_behind_it(said: str, shown: str) -> None:
    assert LINKS.link(said).text == shown


@pytest.mark.parametrize("said", ["the pump", "microscopes", "scoped, telescope, suctioning", "resuction", "", "K1 K3"])
def test_what_is_no_name_or_that_of_two_machines_stays_as_it_is(said: str) -> None:
    assert LINKS.link(said).text == said


@pytest.mark.parametrize("surgery", load_surgeries(resolve("configs/machines")).values(), ids=lambda it: it.surgery)
def test_every_alias_of_a_shipped_surgery_leads_to_its_machine(surgery: Surgery) -> None:
    link = Links(surgery, PhaseCues(surgery, LANGUAGE)).link
    for machine in surgery.machines:
        for alias in machine.aliases:
            shown = link(f"now the {alias} please").text
            assert shown.startswith(f"now the {alias} ({machine.id}) ")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("There's the stone.", "There's the stone (A2)."),
        ("Stones, all STONES", "Stones (A2), all STONES (A2)"),  # by their stems
        ("the stone basket please", "the stone basket (A2) please"),  # the longest
        ("we are stone free, sheath out", "we are stone free (A3), sheath out (A3)"),
        ("the sheath is in now", "the sheath is in (A2) now"),  # small words in between
        ("so the sheath. Out with you", "so the sheath. Out with you"),  # not over the end of a clause
        ("flush bag please", "flush (K1) bag (A3) please"),
        ("this is phase three", "this is phase three (A3)"),  # by its number
        ("the wash", "the wash"),  # one word of a name is no cue
        ("extubate", "extubate"),  # of a phase that this surgery does not have
        ("closing now", "closing now (A3)"),  # said in every closing
    ],
)
def test_a_cue_has_its_phases_id_behind_it(said: str, shown: str) -> None:
    assert Links(DAY, PhaseCues(DAY, LANGUAGE)).link(said).text == shown


def test_a_cue_in_a_name_has_its_id_behind_the_name() -> None:
    phases = (Phase("A1", "Setup"), Phase("A2", "Flow", cues=("flush",)))
    room = Surgery("B", "B", "OR", phases, (Machine(id="K1", name="Flush Pump", category="Fluid"),))
    assert Links(room, PhaseCues(room, LANGUAGE)).link("Flush pump, flush").text == "Flush pump (K1) (A2), flush (A2)"


def test_a_surgery_without_names_links_nothing() -> None:
    bare = Surgery("Bare", "Bare", "OR", ROOM.phases, (Machine(id="K1", name="(none)", category="Any"),))
    assert Links(bare, PhaseCues(bare, LANGUAGE)).link("suction on").text == "suction on"
