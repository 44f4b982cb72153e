"""The prompt: a shared part that never changes, and a tail that tells the moment."""

import json
import re
from itertools import product
from typing import get_args

import jsonschema_rs
import pytest
from msgspec import structs

from pipeline.config import resolve
from pipeline.messages import Action
from stages.answer import AnswerForm, answer_schema
from stages.prompt.examples import FEW
from stages.prompt.prompts import Prompts, shared_part
from stages.prompt.tail import Moment, PromptForm, tail_part
from stages.surgery import Machine, Phase, Surgery, load_surgeries

SURGERIES = load_surgeries(resolve("configs/machines"))
PCNL = SURGERIES["PCNL"]
FORMS = list(product(SURGERIES, get_args(PromptForm), get_args(AnswerForm)))


def moment(**states: Action) -> Moment:
    machines: dict[str, Action] = {machine.id: machine.default_state for machine in PCNL.machines}
    return Moment(t=200.9, phase="Phase3", machines={**machines, **states})


@pytest.mark.parametrize(("surgery", "form", "answer"), FORMS)
def test_the_shared_part_has_the_whole_dictionary_and_stays_small(
    surgery: str, form: PromptForm, answer: AnswerForm
) -> None:
    shared = shared_part(SURGERIES[surgery], form, answer)
    for machine in SURGERIES[surgery].machines:
        assert f"{machine.id} {machine.name}" in shared
    for phase in SURGERIES[surgery].phases:
        assert f"{phase.id} {phase.name}: {phase.description}" in shared
    assert len(shared) < {"small": 6500, "full": 10_000}[answer]


@pytest.mark.parametrize(("surgery", "form", "answer"), FORMS)
def test_every_example_is_an_answer_that_the_schema_takes(surgery: str, form: PromptForm, answer: AnswerForm) -> None:
    schema = answer_schema(SURGERIES[surgery], answer)
    shared = shared_part(SURGERIES[surgery], form, answer)
    examples = [line.removeprefix("JSON:") for line in shared.splitlines() if line.startswith("JSON:")]
    assert len(examples) > FEW
    for example in examples:
        jsonschema_rs.validate(schema, json.loads(example))
        assert list(json.loads(example)) == list(schema["properties"])


def test_the_few_examples_are_a_command_a_line_of_talk_and_a_negation() -> None:
    shared = shared_part(PCNL, "completion", "small", "few")
    answers = [json.loads(line.removeprefix("JSON:")) for line in shared.splitlines() if line.startswith("JSON:")]
    switched = [(bool(said["on"]), bool(said["off"])) for said in answers]
    assert switched == [(True, False), (False, False), (False, True)]


def test_the_many_examples_end_with_the_few() -> None:
    few, many = (re.findall(r"Surgeon: (.*)", shared_part(PCNL, "chat", "small", shown)) for shown in ("few", "many"))
    assert len(few) == FEW
    assert many[-FEW:] == few


@pytest.mark.parametrize(
    ("said", "switched"),
    [
        ("stop the fluoroscopy and start the camera", (["M08"], ["M04"])),
        ("is the camera on?", ([], [])),
        ("in five minutes we will need the fluoroscopy", ([], [])),
        ("leave the fluoroscopy on, don't stop it", (["M04"], [])),
        ("turn on the fluoroscopy, no sorry, the camera", (["M08"], [])),
        ("put the fluoroscopy on standby", ([], ["M04"])),
        ("switch on the microscope", ([], [])),
        ("last week the fluoroscopy broke in the middle of a case", ([], [])),
        ("turn on the fluoroscopy please", (["M04"], [])),
        ("no camera for now", ([], ["M08"])),
    ],
)
def test_a_chat_is_shown_each_kind_of_thing_that_is_said(said: str, switched: tuple[list[str], list[str]]) -> None:
    [text] = [
        text for text in shared_part(PCNL, "chat", "small").split("Transcript:\n") if f"Surgeon: {said}\n" in text
    ]
    answer = json.loads(text.split("JSON:")[1].splitlines()[0])
    assert (answer["on"], answer["off"]) == switched


def test_a_device_that_the_surgery_has_is_no_example_of_one_that_it_has_not() -> None:
    scope = Machine(id="M01", name="Operating Microscope", category="Imaging", default_state="OFF")
    surgery = Surgery("Ear", "Ear", "ENT", (Phase("Only", "Only"),), (scope,))
    assert "switch on the microscope" not in shared_part(surgery, "chat", "small")
    assert "switch on the laser" in shared_part(surgery, "chat", "small")


def test_a_machine_is_shown_with_its_other_names() -> None:
    assert "M07 Lithotripter (lithotripsy, stone breaker, stone crusher)" in shared_part(PCNL, "completion", "small")


def test_the_shared_part_is_the_same_object_for_every_session_of_a_surgery() -> None:
    prompts = Prompts("completion", "small")
    one = prompts.build(PCNL, "[1.0s] a\n", moment())
    other = prompts.build(PCNL, "[2.0s] b\n", moment(M06="ON"))
    assert one.shared is other.shared
    assert prompts.build(SURGERIES["Lobectomy"], "", moment()).shared != one.shared


def test_the_tail_tells_phase_time_and_states_and_ends_in_the_cue() -> None:
    tail = tail_part(PCNL, moment(M06="ON", M05="STANDBY"), "completion")
    assert "Time 3:20. On: M01 M06 M09. Standby: M05.\n" in tail
    assert "Phase now: Phase3 Access & Tract Creation. Next: Phase4 Stone Management." in tail
    assert tail.endswith("\nJSON:")


@pytest.mark.parametrize(
    ("form", "tail"),
    [("completion", "Time 3:20. On: M01 M09.\nJSON:"), ("chat", "3:20. On: M01 M09.\nJSON:")],
)
def test_the_tail_of_a_moment_without_a_phase_speaks_of_none(form: PromptForm, tail: str) -> None:
    assert tail_part(PCNL, structs.replace(moment(), phase=""), form) == tail


def test_the_tail_of_a_chat_leaves_out_what_stands_in_the_dictionary() -> None:
    assert tail_part(PCNL, moment(M06="ON", M05="STANDBY"), "chat") == (
        "3:20 Phase3. On: M01 M06 M09. Standby: M05.\nJSON:"
    )


def test_a_completion_goes_on_with_the_pattern_of_its_examples() -> None:
    prompt = Prompts("completion", "small").build(PCNL, "[1.0s] Surgeon: suction on\n", moment())
    example, own = prompt.text().split("Transcript:\n")[1:][-2:]
    assert own == "[1.0s] Surgeon: suction on\n" + prompt.tail
    asked, shown = own.splitlines()[-3:], example.rstrip().splitlines()[-3:]
    assert [line.partition(" ")[0] for line in asked[:2]] == [line.partition(" ")[0] for line in shown[:2]]
    assert asked[2] == "JSON:"
    assert shown[2].startswith("JSON:{")


def test_a_chat_says_what_to_do_in_the_system_message_and_shows_the_room_in_the_user_message() -> None:
    system, user = Prompts("chat", "small").build(PCNL, "[1.0s] suction on\n", moment()).chat()
    assert "Answer with its JSON object only." in system["content"]
    assert user["content"].startswith("[1.0s] suction on\n")


def test_a_surgery_of_one_phase_and_one_machine_gets_a_prompt_too() -> None:
    lamp = Machine(id="M01", name="Lamp", category="Lighting", default_state="ON")
    surgery = Surgery("Suture", "Suture", "Ward", (Phase("Only", "Only"),), (lamp,))
    shared = shared_part(surgery, "completion", "small")
    for line in shared.splitlines():
        if line.startswith("JSON:"):
            jsonschema_rs.validate(answer_schema(surgery, "small"), json.loads(line.removeprefix("JSON:")))
