import pytest

from benchmarks.served import Run, Served, faster, figures, in_turn, overhead, percentile, valid
from benchmarks.workload import questions
from pipeline.config import ROOT
from stages.answer import answer_schema
from stages.surgery import load_surgeries

SURGERIES = load_surgeries(ROOT / "configs" / "machines")
SCHEMAS = {name: answer_schema(surgery, "small") for name, surgery in SURGERIES.items()}
GOOD = '{"on":["M05"],"off":[],"phase":"Phase3","next":"Phase4","why":"asked","tips":[]}'


def served(text: str = GOOD, seconds: float = 1.0, error: str = "", **tokens: int) -> Served:
    return Served(session=0, number=1, surgery="PCNL", text=text, seconds=seconds, error=error, **tokens)


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD[:-1],  # cut off
        GOOD + "}",
        GOOD.replace("M05", "M55"),
        GOOD.replace("Phase4", "Phase9"),
        GOOD.replace('"why":"asked",', ""),
        GOOD.replace("asked", "a" * 161),
        "[]",
    ],
)
def test_an_answer_that_is_not_what_the_schema_says_is_invalid(text: str) -> None:
    assert valid(GOOD, SCHEMAS["PCNL"])
    assert not valid(text, SCHEMAS["PCNL"])


def test_the_share_of_valid_answers_counts_errors_and_wrong_answers_out() -> None:
    run = Run([served(), served(error="timeout: late"), served("{}"), served()], 2.0)
    told = figures([run], SCHEMAS, {GOOD: 30, "{}": 1})
    assert told["valid"] == 0.5
    assert told["errors"] == ["timeout: late"]


def test_figures_are_those_of_all_rounds_and_rates_the_middle_one() -> None:
    rounds = [Run([served(seconds=s, prompt_tokens=100, reused_tokens=90)] * 2, s) for s in (1.0, 2.0, 4.0)]
    told = figures(rounds, SCHEMAS, {GOOD: 30})
    assert told["requests"] == 6
    assert told["requests_per_s"] == 1.0
    assert told["requests_per_s_rounds"] == [2.0, 1.0, 0.5]
    assert told["answer_tokens_per_s"] == 30.0
    assert told["latency_s"]["p50"] == 2.0
    assert (told["prompt_tokens_mean"], told["reused_tokens_mean"]) == (100.0, 90.0)


def test_what_an_engine_does_not_tell_is_not_made_up() -> None:
    assert figures([Run([served()], 1.0)], SCHEMAS, {GOOD: 30})["reused_tokens_mean"] is None


def test_a_percentile_lies_between_its_neighbours() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile([1.0], 99) == 1.0


def test_engines_are_compared_round_by_round() -> None:
    ours = [Run([served()], s) for s in (1.0, 10.0, 1.0)]  # the machine was slow in the second round, for both
    theirs = [Run([served()], s) for s in (2.0, 20.0, 2.0)]
    assert faster(ours, theirs) == 2.0


def test_the_overhead_is_what_a_step_takes_beside_decoding() -> None:
    before = {"decode_ms": 100.0, "step_ms": 150.0}
    assert overhead(before, {"decode_ms": 300.0, "step_ms": 370.0}) == pytest.approx(0.1)
    assert overhead({}, {}) is None
    assert overhead(before, before) is None


def test_a_single_asker_takes_the_sessions_in_turn() -> None:
    sessions = questions(list(SURGERIES.values()), "completion", "small", 2, 3)
    order = [(q.session, q.number) for q in in_turn([sessions[0], sessions[1][:2]])]
    assert order == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
