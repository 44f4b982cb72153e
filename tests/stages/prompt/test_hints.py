"""Words that speak of a machine and are not its name, in a line that a model is shown."""

import msgspec
import pytest

from pipeline.config import resolve
from stages.prompt.cues import PhaseCues
from stages.prompt.hints import MOST, Hints, kind_of
from stages.prompt.language import Device, load_language
from stages.prompt.links import Links
from stages.prompt.names import names
from stages.surgery import Machine, Phase, Surgery, load_surgeries

LANGUAGE = msgspec.structs.replace(
    load_language(),
    devices={
        "gas": Device(names=("gas machine",), hints=("sevo", "too light", "burn")),
        "lights": Device(names=("theatre lights", "lamp"), hints=("dark", "glare", "too bright")),
        "knife": Device(names=("bovie",), hints=("burn", "smoke", "wake up", "lamp oil")),
        "pump": Device(names=("pump",), hints=("drip rate", "per hour", "flow")),
    },
)
SHIPPED = load_surgeries(resolve("configs/machines"))


def machine(number: int, name: str, *aliases: str, hints: tuple[str, ...] = ()) -> Machine:
    return Machine(id=f"K{number}", name=name, category="Any", aliases=aliases, hints=hints)


def linked(text: str, *machines: Machine) -> str:
    phases = (Phase("A1", "Start"), Phase("A2", "Wake up", cues=("wake up",)))
    room = Surgery("B", "B", "OR 1", phases, machines)
    return Links(room, PhaseCues(room, LANGUAGE), Hints(room, LANGUAGE)).link(text).text


GAS, LAMP, KNIFE = machine(1, "Gas Machine"), machine(2, "Lamp", "theatre light"), machine(3, "Bovie", "cautery")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("More sevo, please.", "More sevo (K1?), please."),
        ("Sevo on the gas machine", "Sevo (K1?) on the gas machine (K1)"),
        ("it is DARK, it darkens, darkness", "it is DARK (K2?), it darkens, darkness"),
        ("he is too light, too bright", "he is too light (K1?), too bright (K2?)"),
        ("too. Light it", "too. Light it"),  # not over the end of a clause
        ("smoking, smoked, smokes", "smoking (K3?), smoked (K3?), smokes (K3?)"),
        ("burn it", "burn (K1?) (K3?) it"),  # it may be either
        ("a lamp oil", "a lamp (K2) oil"),  # the name in it is one
        ("now wake up", "now wake up (K3?) (A2)"),
        ("the drip rate per hour", "the drip rate per hour"),  # there is no pump
        ("", ""),
    ],
)
def test_a_hint_has_its_machines_id_with_a_question_mark(said: str, shown: str) -> None:
    assert linked(said, GAS, LAMP, KNIFE) == shown


def test_a_word_of_any_order_hints_at_nothing() -> None:
    gas = machine(1, "Gas Machine", hints=("put under", "wake", "per hour", "pull", "put to sleep"))
    assert (
        linked("Put it in, wake it in an hour, and pull it out", gas)
        == "Put it in, wake it in an hour, and pull it out"
    )
    assert linked("put him to sleep", gas) == "put him to sleep"
    assert linked("put to sleep", gas) == "put to sleep (K1?)"


def test_a_line_tells_which_machines_it_only_hints_at() -> None:
    room = Surgery("B", "B", "OR 1", (Phase("A1", "Start"),), (GAS, LAMP, KNIFE))
    link = Links(room, PhaseCues(room, LANGUAGE), Hints(room, LANGUAGE)).link
    assert link("dark, burn it, more sevo").hinted == ("K1", "K2", "K3")
    assert link("sevo on the gas machine, it is dark").hinted == ("K2",)
    assert link("gas machine off").hinted == ()


def test_a_model_that_was_not_taught_to_read_hints_is_shown_none_of_what_a_line_hints_at() -> None:
    room = Surgery("B", "B", "OR 1", (Phase("A1", "Start"),), (GAS, LAMP, KNIFE))
    link = Links(room, PhaseCues(room, LANGUAGE), Hints(room, LANGUAGE), shows_hints=False).link
    assert link("sevo on the gas machine, it is dark") == ("sevo on the gas machine (K1), it is dark", ("K2",))
    assert link("dark, burn it, more sevo") == ("dark, burn it, more sevo", ("K1", "K2", "K3"))


def test_what_hints_at_more_machines_than_may_be_meant_hints_at_none() -> None:
    pumps = [machine(number, f"Pump {number}") for number in range(1, MOST + 2)]
    assert linked("the flow", *pumps[:MOST]) == "the flow (K1?) (K2?)"
    assert linked("the flow", *pumps) == "the flow"


def test_a_dictionary_may_have_hints_of_its_own() -> None:
    assert linked("more juice", machine(7, "Blackbox", hints=("juice",))) == "more juice (K7?)"


def test_a_machine_is_of_the_kind_that_has_most_of_its_names_or_whose_name_is_in_one() -> None:
    def kind(name: str, *aliases: str) -> str:
        return kind_of(names(machine(1, name, *aliases)), LANGUAGE)

    assert kind("Bovie") == "knife"
    assert kind("Syringe Pump 7") == "pump"
    assert kind("Pump Lamp", "lamp") == "lights"
    assert kind("Theatre Light") == "lights"
    assert kind("Pumpkin") == ""


@pytest.mark.parametrize("surgery", SHIPPED.values(), ids=lambda surgery: surgery.surgery)
def test_every_machine_of_a_shipped_surgery_is_of_a_kind_of_its_own(surgery: Surgery) -> None:
    kinds = [kind_of(names(machine), load_language()) for machine in surgery.machines]
    assert "" not in kinds
    assert len(set(kinds)) == len(kinds)


def test_without_hints_a_line_has_names_and_cues_only() -> None:
    room = Surgery("B", "B", "OR 1", (Phase("A1", "Start"),), (GAS,))
    assert Links(room, PhaseCues(room, LANGUAGE)).link("sevo, gas machine").text == "sevo, gas machine (K1)"
