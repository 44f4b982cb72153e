"""What a model writes, into the parse stage: any text, and answers of both forms that are nearly right."""

from itertools import count
from pathlib import Path
from typing import Final

import msgspec
from hypothesis import strategies as st

from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.values import JUNK, TEXTS, as_json
from pipeline.config import ParseSection, load_config, resolve
from pipeline.messages import Completion, LLMResponse, RuleOutcome, SurgeryState, Verdict
from stages.parse.contract import Contract, ContractError, load_schema
from stages.parse.stage import ParseStage
from stages.surgery import Surgery, load_surgeries

OFF_AND_ON: Final = ("0", "1")


def make(folder: Path) -> Check:
    surgeries = load_surgeries(resolve(load_config().prompt.machines))
    contract = Contract(surgeries, load_schema())
    stages = [ParseStage(surgeries, load_schema(), ParseSection(apply_model_toggles=apply)) for apply in (False, True)]
    known = [_at_start(surgery) for surgery in surgeries.values()]
    numbers = count(1)

    def check(data: bytes) -> None:
        """The text gives one valid state and one verdict, as a session's answer and as a request's."""
        number = next(numbers)
        text = data.decode("utf-8", "replace")
        apply = number % 2
        stage, rules = stages[apply], msgspec.structs.replace(known[number % len(known)], number=number, place=number)
        completion = Completion(
            job_id=f"s/{number}", kind="session", rules=rules, outcome="ok", text=text, model="m", label="m"
        )
        stage.handle(rules)
        state, verdict = stage.handle(completion)
        if not (isinstance(state, SurgeryState) and isinstance(verdict, Verdict)):
            raise Unvalidated(f"no state and verdict, but {type(state).__name__}, {type(verdict).__name__}")
        check_state(contract, state, rules.surgery)
        if not apply and _machines(state.state) != _machines_of(rules):
            raise Unvalidated("machines were switched by an answer that may only be shown")
        request = msgspec.structs.replace(completion, job_id=f"r/{number}/q", kind="request")
        (verdict,) = stage.handle(request)
        if not isinstance(verdict, Verdict) or verdict.response is None or verdict.response.output is None:
            raise Unvalidated("a request without its answer")
        check_response(contract, verdict.response, rules.surgery)
        if stage.counters()["schema_failures"]:
            raise Unvalidated("an answer made a state that is not valid")

    return check


def check_state(contract: Contract, state: SurgeryState, surgery: str) -> None:
    """Raises Unvalidated unless a subscriber reads a valid state."""
    published = msgspec.json.decode(msgspec.json.encode(state), type=SurgeryState)
    _check(contract, published.state, surgery)
    metadata = published.state["metadata"]
    if published.outcome != metadata["outcome"] or published.degraded is not metadata["degraded"]:
        raise Unvalidated(f"outcome {published.outcome} around a state of {metadata['outcome']}")


def check_response(contract: Contract, response: LLMResponse, surgery: str) -> None:
    """Raises Unvalidated unless whoever asked reads a valid answer."""
    read = msgspec.json.decode(msgspec.json.encode(response), type=LLMResponse)
    if read.output is not None:
        _check(contract, read.output, surgery)
    elif read.outcome != "rejected":
        raise Unvalidated(f"outcome {read.outcome} without a state")
    if read.success is not (read.outcome == "ok"):
        raise Unvalidated(f"success {read.success} with outcome {read.outcome}")


def _check(contract: Contract, state: dict[str, object], surgery: str) -> None:
    try:
        contract.check(state, surgery)
    except ContractError as error:
        raise Unvalidated(str(error)) from error


def _at_start(surgery: Surgery) -> RuleOutcome:
    phase = surgery.phase_ids[0]
    return RuleOutcome(
        session=surgery.machine_ids[-1],
        epoch=0,
        number=0,
        seq=1,
        t=1.0,
        surgery=surgery.surgery,
        started_at=1.7e9,
        machines={machine.id: machine.default_state for machine in surgery.machines},
        set_by={machine.id: "default" for machine in surgery.machines},
        phase=phase,
        next_phase=surgery.phase_after(phase),
        model="ready",
    )


def _machines(state: dict[str, dict[str, list[str]]]) -> list[list[str]]:
    return [sorted(state["machines"][key]) for key in OFF_AND_ON]


def _machines_of(rules: RuleOutcome) -> list[list[str]]:
    return [sorted(i for i, action in rules.machines.items() if (action == "ON") is on) for on in (False, True)]


_IDS: Final = st.sampled_from(("M01", "M02", "M05", "M09", "m03", "M99", " M04 ", "", "pump"))
_PHASES: Final = st.sampled_from(("Phase1", "Phase3", "phase 4", "Phase9", "Stone Management", ""))
_LISTS: Final = st.lists(_IDS, max_size=5) | JUNK
_CONFIDENCE: Final = st.sampled_from((0.0, 0.5, 1, 2**200, -(2**70), 1e308, "0.9", True)) | JUNK
_SAYS: Final = (
    TEXTS | st.sampled_from(("execute the command", "administer 5 mg", "inject 2", "http://x/control")) | JUNK
)
_TOGGLES: Final = st.fixed_dictionaries(
    {}, optional={"machine_id": _IDS | JUNK, "action": st.sampled_from(("ON", "off", "X")) | JUNK, "confidence": JUNK}
)
_PARTS: Final = {
    "on": _LISTS,
    "off": _LISTS,
    "phase": _PHASES | JUNK,
    "next": _PHASES | JUNK,
    "why": _SAYS,
    "tips": st.lists(_SAYS, max_size=4) | JUNK,
    "conf": _CONFIDENCE,
    "confidence": _CONFIDENCE,
    "metadata": st.fixed_dictionaries({}, optional={"phase": _PHASES, "next_phase": _PHASES, "reasoning": _SAYS})
    | JUNK,
    "machines": st.fixed_dictionaries({}, optional={"0": _LISTS, "1": _LISTS}) | JUNK,
    "details": st.fixed_dictionaries({}, optional={"toggles": st.lists(_TOGGLES, max_size=3) | JUNK}) | JUNK,
    "suggestions": st.lists(_SAYS, max_size=4) | JUNK,
}
_ANSWERS: Final = st.fixed_dictionaries({}, optional=_PARTS).map(as_json)
_WRAPPED: Final = st.tuples(TEXTS, _ANSWERS, TEXTS).map(
    lambda parts: (
        f"{parts[0]}```json\n".encode("utf-8", "replace") + parts[1] + f"```{parts[2]}".encode("utf-8", "replace")
    )
)
_DEEP: Final = st.integers(1, 3000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth)
_TWICE: Final = st.tuples(_ANSWERS, _ANSWERS).map(lambda two: two[0][:-1] + b"," + two[1][1:])

TARGET: Final = Target(
    "answers",
    make,
    st.one_of(_ANSWERS, _ANSWERS, _TWICE, _WRAPPED, _DEEP, TEXTS.map(lambda t: t.encode("utf-8", "replace"))),
)
