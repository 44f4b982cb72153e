"""A peer: what the earlier design did for each update. Runs in a child process.

One chat of system and user part, built anew and given whole to llama-cpp-python each time: the role, the dictionary
(names, categories, descriptions, no aliases), a skeleton of the contract and six rules; then surgery, phase, time, the
last 20 lines, no machine states, and four questions. The answer is the full contract, of at most 1024 tokens. What is
better here than it was: a grammar made from the contract's schema, where it asked for any JSON object.
"""

from pathlib import Path
from typing import Any

from llama_cpp.llama_chat_format import ChatFormatterResponse, chat_formatter_to_chat_completion_handler

from benchmarks.bounds import Bounds, fix, fixed
from benchmarks.peers.library import OneByOne, open_plain
from benchmarks.workload import Question
from stages.answer import answer_schema
from stages.surgery import Machine, Surgery

MAX_TOKENS = 1024
LINES = 20
SKELETON = """{"metadata": {"phase": "PhaseN", "next_phase": "PhaseN", "reasoning": "brief explanation"},
 "machines": {"0": ["machine ids that are OFF"], "1": ["machine ids that are ON"]},
 "details": {"toggles": [{"machine_id": "M01", "name": "Machine name", "action": "ON|OFF|STANDBY",
                          "confidence": 0.0, "match_type": "llm"}]},
 "suggestions": ["short suggestion for the team"],
 "confidence": 0.0,
 "source": "medgemma"}"""
RULES = (
    "Answer with the JSON object only: no markdown, no explanation before or after it.",
    "Machine ids have the form M01 to M99.",
    "Use only the machines that are listed above for this surgery.",
    "Confidence is a number between 0.0 and 1.0.",
    "If you are not sure, keep the machines as they are and give a low confidence.",
    "Respect the phase: a machine is normally used only in the phases that are listed with it.",
)


def earlier(
    path: Path, surgeries: dict[str, Surgery], context: int, threads: int, bounds: Bounds | None = None
) -> OneByOne:
    """That peer, its model loaded. `bounds`: to which the answers are fixed."""
    if bounds is not None:
        fix(bounds)
    answered = {name: fixed(surgery, bounds) if bounds else surgery for name, surgery in surgeries.items()}
    schemas = {name: answer_schema(surgery, "full") for name, surgery in answered.items()}
    llama = open_plain(path, context, threads)
    llama.chat_handler = chat_formatter_to_chat_completion_handler(turns)

    def call(question: Question) -> tuple[str, Any]:
        completion: Any = llama.create_chat_completion(
            messages(surgeries[question.surgery], question),  # type: ignore[arg-type]
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            response_format={"type": "json_object", "schema": schemas[question.surgery]},
        )
        return completion["choices"][0]["message"]["content"], completion["usage"]

    return OneByOne(llama, call)


def turns(*, messages: list[Any], **_: Any) -> ChatFormatterResponse:
    """Gemma's turns (source: tokenizer.chat_template of Gemma 3), whatever template the file brings: it is code."""
    system, user = (message["content"] for message in messages)
    prompt = f"<bos><start_of_turn>user\n{system}\n\n{user}<end_of_turn>\n<start_of_turn>model\n"
    return ChatFormatterResponse(prompt=prompt, stop=["<eos>"], added_special=True)


def messages(surgery: Surgery, question: Question) -> list[dict[str, str]]:
    """The chat about a question: the system part, the same for all of a surgery, and the user part."""
    return [
        {"role": "system", "content": _system(surgery)},
        {"role": "user", "content": _user(surgery, question)},
    ]


def _system(surgery: Surgery) -> str:
    phases = "\n".join(f"- {p.id}: {p.name} - {p.description}" for p in surgery.phases)
    rules = "\n".join(f"{number}. {rule}" for number, rule in enumerate(RULES, 1))
    return (
        "You are an assistant that follows a simulated surgery by the transcript of what is said in the operating room."
        " For research only: a human confirms everything.\n\n"
        "Your task: 1. tell the state of the machines, 2. tell the phase of the surgery, 3. tell the next phase, "
        "4. explain briefly, 5. give suggestions for the team, 6. answer in JSON only.\n\n"
        f"Surgery: {surgery.surgery} ({surgery.full_name})\nEnvironment: {surgery.environment}\n\n"
        f"Phases:\n{phases}\n\nMachines:\n{chr(10).join(map(_machine, surgery.machines))}\n\n"
        f"Form of the answer:\n{SKELETON}\n\nRules:\n{rules}"
    )


def _machine(machine: Machine) -> str:
    return (
        f"- {machine.id}: {machine.name} [{machine.category}] - {machine.description} "
        f"(default: {machine.default_state}, phases: {', '.join(machine.phase_usage)})"
    )


def _user(surgery: Surgery, question: Question) -> str:
    rules = question.job.rules
    minutes, seconds = divmod(int(rules.t), 60)
    lines = question.job.prompt.transcript.splitlines()[-LINES:]
    said = "\n".join(lines)
    return (
        f"Surgery: {surgery.surgery}\nCurrent phase: {rules.phase or 'Unknown'}\n"
        f"Session time: {minutes}m {seconds}s\n\n"
        f"--- Transcript ({surgery.surgery}, {rules.phase}, last 180 s, {len(lines)} segments) ---\n"
        f"{said}\n--- End ---\n\n"
        "Current machine states: none available\n\n"
        "1. Which machines change their state?\n2. Which phase is it?\n3. Which phase comes next?\n"
        "4. Which suggestions are there for the team?\n\nAnswer with the JSON object only."
    )
