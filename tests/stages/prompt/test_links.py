"""Ids behind the names of machines in a line that a model is shown."""

import pytest

from pipeline.config import resolve
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
LINKS = Links(ROOM)


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
    assert LINKS.link(said) == shown


@pytest.mark.parametrize("said", ["the pump", "microscopes", "scoped, telescope, suctioning", "resuction", "", "K1 K3"])
def test_what_is_no_name_or_that_of_two_machines_stays_as_it_is(said: str) -> None:
    assert LINKS.link(said) == said


@pytest.mark.parametrize("surgery", load_surgeries(resolve("configs/machines")).values(), ids=lambda it: it.surgery)
def test_every_alias_of_a_shipped_surgery_leads_to_its_machine(surgery: Surgery) -> None:
    link = Links(surgery).link
    for machine in surgery.machines:
        for alias in machine.aliases:
            assert link(f"now the {alias} please") == f"now the {alias} ({machine.id}) please"


def test_a_surgery_without_names_links_nothing() -> None:
    bare = Surgery("Bare", "Bare", "OR", ROOM.phases, (Machine(id="K1", name="(none)", category="Any"),))
    assert Links(bare).link("suction on") == "suction on"
