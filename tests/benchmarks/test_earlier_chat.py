from benchmarks.peers.earlier import messages
from benchmarks.workload import questions
from pipeline.config import ROOT
from stages.surgery import load_surgeries

SURGERY = load_surgeries(ROOT / "configs" / "machines")["PCNL"]


def test_the_earlier_designs_chat_has_the_dictionary_without_aliases_and_the_last_lines() -> None:
    [own] = questions([SURGERY], "completion", "small", 1, 20, (1,))
    longest = max(own, key=lambda question: question.job.prompt.transcript.count("\n"))
    system, user = messages(SURGERY, longest)
    assert all(machine.name in system["content"] for machine in SURGERY.machines)
    assert "stone crusher" not in system["content"]
    assert user["content"].count("s] ") == min(20, longest.job.prompt.transcript.count("\n"))
    assert longest.job.prompt.transcript.splitlines()[-1] in user["content"]
    assert messages(SURGERY, own[0])[0] == system  # the library can use what it computed of it
