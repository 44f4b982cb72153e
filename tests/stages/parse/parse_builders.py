"""Rule outcomes, completions and stages for the tests of the parse stage."""

from itertools import count
from typing import Any

import msgspec

from pipeline.config import ROOT, ParseSection
from pipeline.messages import Completion, LLMResponse, RuleOutcome, SurgeryState, Toggle, Verdict
from stages.parse.contract import Contract, load_schema
from stages.parse.stage import ParseStage
from stages.surgery import Surgery, load_surgeries

SURGERIES = load_surgeries(ROOT / "configs" / "machines")
PCNL = SURGERIES["PCNL"]
HEPATECTOMY = SURGERIES["Partial Hepatectomy"]
SCHEMA = load_schema()
CONTRACT = Contract(SURGERIES, SCHEMA)
MS = 1_000_000
NUMBERS = count(1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: int = 10_000 * MS) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def make_rules(surgery: Surgery = PCNL, **changes: Any) -> RuleOutcome:
    """What is known at the start of `surgery`: its default machines, its first phase, a model that is ready.

    Each is newer than all that were made before it.
    """
    first = surgery.phases[0].id
    outcome = RuleOutcome(
        session="or-1",
        epoch=0,
        number=(number := next(NUMBERS)),
        place=number,
        seq=1,
        t=10.0,
        surgery=surgery.surgery,
        started_at=1_700_000_000.0,
        machines={machine.id: machine.default_state for machine in surgery.machines},
        set_by={machine.id: "default" for machine in surgery.machines},
        phase=first,
        next_phase=surgery.phase_after(first),
        model="ready",
        reasoning="normal",
    )
    return msgspec.structs.replace(outcome, **changes)


def with_machine(rules: RuleOutcome, machine_id: str, action: Any, set_by: str) -> RuleOutcome:
    return msgspec.structs.replace(
        rules, machines={**rules.machines, machine_id: action}, set_by={**rules.set_by, machine_id: set_by}
    )


def make_completion(answer: dict[str, Any] | str, rules: RuleOutcome | None = None, **changes: Any) -> Completion:
    """A completion whose text is `answer`, about `rules`."""
    text = answer if isinstance(answer, str) else msgspec.json.encode(answer).decode()
    completion = Completion(
        job_id="s/or-1/0/1",
        kind="session",
        rules=rules or make_rules(),
        outcome="ok",
        text=text,
        model="gemma-3-270m",
        label="gemma",
    )
    return msgspec.structs.replace(completion, **changes)


def small_answer(**changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "on": [],
        "off": [],
        "phase": "Phase4",
        "next": "Phase5",
        "why": "The stone is being broken.",
        "tips": ["Prepare the suction"],
        "conf": 0.8,
    }
    return answer | changes


def make_toggle(machine_id: str, action: Any = "ON", **changes: Any) -> Toggle:
    machine = PCNL.machine(machine_id)
    assert machine is not None
    return msgspec.structs.replace(Toggle(machine_id=machine_id, name=machine.name, action=action), **changes)


def make_stage(clock: Clock | None = None, **section: Any) -> ParseStage:
    """A stage with the schema and surgeries that are shipped."""
    return ParseStage(SURGERIES, SCHEMA, ParseSection(**section), clock or Clock())


def publish(stage: ParseStage, rules: RuleOutcome) -> SurgeryState:
    """The one state that a rule outcome gives, checked against the contract."""
    (state,) = stage.handle(rules)
    assert isinstance(state, SurgeryState)
    CONTRACT.check(state.state, rules.surgery)
    return state


def settle(stage: ParseStage, completion: Completion) -> tuple[SurgeryState, Verdict]:
    """The state and the verdict that a session's completion gives, the state checked against the contract.

    The rules it was asked with come before, if they did not yet; their own state is left out here.
    """
    list(stage.handle(completion.rules))
    state, verdict = stage.handle(completion)
    assert isinstance(state, SurgeryState)
    assert isinstance(verdict, Verdict)
    CONTRACT.check(state.state, state.state["metadata"]["surgery"])
    return state, verdict


def respond(stage: ParseStage, completion: Completion) -> LLMResponse:
    """The response that a request's completion gives, its output checked against the contract."""
    (verdict,) = stage.handle(completion)
    assert isinstance(verdict, Verdict)
    assert verdict.response is not None
    assert verdict.response.output is not None
    CONTRACT.check(verdict.response.output, completion.rules.surgery)
    return verdict.response
