"""What a prompt shows, as the configuration and the model say."""

from typing import Any

import pytest
from prompt_room import SURGERIES, Room, job

from pipeline.config import Config, InferenceSection, PromptSection
from pipeline.messages import LLMRequest, ModelChanged, SessionStart, Transcript
from stages.prompt.prompts import shared_part
from stages.prompt.stage import PromptStage, create
from stages.prompt.taught import Taught


def test_the_prompt_shows_as_many_examples_as_the_configuration_says() -> None:
    def shown(**section: Any) -> int:
        room = Room(**section)
        room.start()
        return job(room.say(1.0, "suction on")).prompt.shared.count("Transcript:\n")

    assert 1 == shown(examples="none") < shown(examples="few") < shown(examples="many")


@pytest.mark.parametrize(("linked", "shown"), [(True, "Suction (M06) on."), (False, "Suction on.")])
def test_names_have_ids_behind_them_for_a_model_that_was_taught_so(linked: bool, shown: str) -> None:
    stage = PromptStage(PromptSection(), SURGERIES, "completion", "small", taught=Taught(links=linked))
    list(stage.handle(ModelChanged(state="ready", error="")))
    list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
    asked = job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="Suction on."))))
    assert asked.prompt.transcript == f"[1.0s] {shown}\n"
    assert asked.rules.toggles[0].machine_id == "M06"
    request = LLMRequest(request_id="r1", surgery="PCNL", transcript_context="Suction on.", session_time_s=3.0)
    assert shown in job(list(stage.handle(request))).prompt.transcript


@pytest.mark.parametrize(
    ("taught", "shown"),
    [
        (Taught(links=True, hints=True), "Suction (M06) on, it is dark (M09?)."),
        (Taught(links=True), "Suction (M06) on, it is dark."),
        (Taught(hints=True), "Suction on, it is dark."),
    ],
)
def test_hints_have_ids_too_for_a_model_that_was_taught_so(taught: Taught, shown: str) -> None:
    stage = PromptStage(PromptSection(), SURGERIES, "completion", "small", taught=taught)
    list(stage.handle(ModelChanged(state="ready", error="")))
    request = LLMRequest(
        request_id="r1", surgery="PCNL", transcript_context="Suction on, it is dark.", session_time_s=3.0
    )
    asked = job(list(stage.handle(request)))
    assert asked.prompt.transcript == f"[3.0s] {shown}\n"
    hinted = ("M09",) if taught.links else ()
    assert asked.rules.hinted == hinted
    list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
    asked = job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="It is dark."))))
    assert asked.rules.hinted == hinted


@pytest.mark.parametrize(("model", "shown"), [("gemma-3-270m-taught", "(M06)"), ("gemma-3-270m", "Suction on")])
def test_the_manifest_says_whether_names_have_ids_behind_them(model: str, shown: str) -> None:
    stage = create(Config(inference=InferenceSection(model=model)))
    list(stage.handle(ModelChanged(state="ready", error="")))
    request = LLMRequest(request_id="r1", surgery="PCNL", transcript_context="Suction on.", session_time_s=3.0)
    assert shown in job(list(stage.handle(request))).prompt.transcript


@pytest.mark.parametrize("examples", ["none", "few", "many"])
def test_the_prompt_shows_what_the_model_needs_where_the_configuration_leaves_it_to_the_model(examples: Any) -> None:
    def shared(section: PromptSection) -> str:
        stage = PromptStage(section, SURGERIES, "completion", "small", taught=Taught(examples))
        list(stage.handle(ModelChanged(state="ready", error="")))
        list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
        return job(list(stage.handle(Transcript(session="s1", seq=2, t=1.0, text="suction on")))).prompt.shared

    assert shared(PromptSection()) == shared_part(SURGERIES["PCNL"], "completion", "small", examples)
    assert "Transcript:" in shared(PromptSection(examples="few"))


def test_the_prompt_shows_as_many_lines_as_the_model_was_taught_on_unless_the_configuration_says_how_many() -> None:
    def shown(section: PromptSection) -> list[str]:
        stage = PromptStage(section, SURGERIES, "completion", "small", taught=Taught(window_lines=4))
        list(stage.handle(SessionStart(session="s1", seq=1, t=0.0, surgery="PCNL")))
        said = [Transcript(session="s1", seq=at, t=float(at), text=f"line {at}") for at in range(2, 9)]
        for line in said[:-1]:
            list(stage.handle(line))
        list(stage.handle(ModelChanged(state="ready", error="")))
        asked = job(list(stage.handle(said[-1])))
        return [line.split("s] ")[1] for line in asked.prompt.transcript.splitlines()]

    assert shown(PromptSection()) == ["line 5", "line 6", "line 7", "line 8"]  # cut at one go when line 6 came
    assert len(shown(PromptSection(window_lines=60))) == 7
