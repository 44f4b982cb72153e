"""Words that crash the model's native code, or hang it: who said them is told, and nobody else suffers."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random

from benchmarks.chaos.faulty import PROGRAM
from benchmarks.chaos.instance import Instance, unmet
from benchmarks.chaos.trial import Scenario, Trial
from pipeline.client import States
from pipeline.messages import LLMRequest, SessionStart, SurgeryState, Transcript

BATCH = ("inference.strict=true", "inference.window_ms=5000")  # who asks at one time is at work at one time
CRASHES = ("abort", "segv", "admit")
LINES = ("turn on the suction", "camera on", "suction off", "tube is in, start the ventilator")


def _batch(folder: Path, fault: str, guilty: set[int], again: str, *settings: str) -> Trial:
    """Four requests in one batch, of which the guilty ones say the fault; each has the one answer that is its due.

    `again`: the outcome of the guilty ones.
    """
    with Instance(folder, *BATCH, *settings, program=PROGRAM) as it:
        it.launch.wait_model(60)
        said = {f"q{n}": fault if n in guilty else LINES[n] for n in range(4)}
        it.asker.ask(LLMRequest(request_id=i, surgery="PCNL", transcript_context=text) for i, text in said.items())
        outcomes = {i: answers[0].outcome for i, answers in it.asker.wait().items() if answers}
        code = it.finish()
        dead_letters = Counter(it.dead_letters())
        lost = [f"q{n}" for n in guilty] if again == "stage_crashed" else []
        return Trial(
            fault=f"{len(guilty)} of 4 requests at work say {fault!r}",
            problems=unmet(
                {
                    f"the guilty end as {again}": all(outcomes.get(f"q{n}") == again for n in guilty),
                    "the others are answered": all(outcomes.get(f"q{n}") == "ok" for n in range(4) if n not in guilty),
                    "each death names its jobs": all(death.at_work for death in it.deaths()),
                    "each guilty one is a dead letter": dead_letters == Counter(crashed_twice=len(lost)),
                    "it ends with exit code 0": code == 0,
                }
            ),
            requests_lost=it.asker.lost(),
            leaks=it.leaks(),
        )


def one_of_a_batch(folder: Path, rng: Random) -> Trial:
    """A request crashes the model while three others are at work."""
    return _batch(folder, f"fault {rng.choice(CRASHES)}", {rng.randrange(4)}, "stage_crashed")


def two_of_a_batch(folder: Path, rng: Random) -> Trial:
    """Two requests do."""
    return _batch(folder, f"fault {rng.choice(CRASHES)}", set(rng.sample(range(4), 2)), "stage_crashed")


def crash_that_does_not_come_again(folder: Path, rng: Random) -> Trial:
    """The job that crashed the model is answered when it is tried again, alone."""
    when = rng.choice(("once", "together"))
    return _batch(folder, f"fault {rng.choice(('abort', 'segv'))} {when}", {rng.randrange(4)}, "ok")


def hang_of_a_batch(folder: Path, rng: Random) -> Trial:
    """The model does not return from a call: that is a death too, by the supervisor."""
    return _batch(folder, "fault hang", {rng.randrange(4)}, "stage_crashed", "supervision.inference_busy_s=2.0")


def memory_of_a_batch(folder: Path, rng: Random) -> Trial:
    """A request needs more memory than there is: an exception, and no death."""
    return _batch(folder, "fault memory", {rng.randrange(4)}, "model_unavailable")


class Speaker:
    """Somebody in the room of one session, who starts it. A line is said 10 s of message time after the one before."""

    def __init__(self, it: Instance, session: str) -> None:
        self.session = session
        self.seq = 1
        self._it = it
        self._states: States = it.states(session)
        it.client.publish(SessionStart(session=session, seq=1, t=0.0, surgery="PCNL"))

    def say(self, *lines: str) -> None:
        """Say lines."""
        for text in lines:
            self.seq += 1
            self._it.client.publish(Transcript(session=self.session, seq=self.seq, t=10.0 * self.seq, text=text))

    def heard(self, *, by_model: bool = False) -> dict[int, list[str]]:
        """The machines that are on, after each input from where this was asked before to the newest.

        `by_model`: until the model's answer to the newest. What does not come within WAIT_S is missing.
        """
        on: dict[int, list[str]] = {}
        for state in self._states:
            on[state.based_on] = state.state["machines"]["1"]
            if state.based_on == self.seq and (_is_by_model(state) or not by_model):
                return on
        on.pop(self.seq, None)
        return on


def _is_by_model(state: SurgeryState) -> bool:
    source: str = state.state["source"]
    return source == "rule+stub"


def undisturbed(it: Instance, lines: Iterable[str]) -> dict[int, list[str]]:
    """What is on after each of these lines in a session of its own, while nothing is wrong."""
    speaker = Speaker(it, "undisturbed")
    speaker.say(*lines)
    return speaker.heard(by_model=True)


def _until_deaths(it: Instance, number: int) -> None:
    """Until so many processes died, and the one after them is ready."""
    it.until_status(
        lambda status: status.stages["inference"].restarts >= number and status.stages["inference"].state == "ready"
    )
    it.until_status(lambda status: status.model_state == "ready")


def _session(
    folder: Path, first: list[str], later: list[str], deaths_each: int, *settings: str, reason: str = "crashed_twice"
) -> Trial:
    """One session says `first`, then `later` line by line, each after the process died so often; a neighbour says
    LINES meanwhile. In the end both say something harmless, which the model must answer.
    """
    with Instance(folder, *settings, program=PROGRAM) as it:
        it.launch.wait_model(60)
        expected = undisturbed(it, LINES)
        guilty, neighbour = Speaker(it, "guilty"), Speaker(it, "neighbour")
        guilty.say(*first)
        neighbour.say(*LINES)
        deaths = deaths_each
        _until_deaths(it, deaths)
        for line in later:
            guilty.say(line)
            deaths += deaths_each
            _until_deaths(it, deaths)
        heard = neighbour.heard()
        neighbour.say("saline please")
        answered = neighbour.seq in neighbour.heard(by_model=True)
        guilty.say("saline please")
        known = guilty.heard(by_model=len(later) == 0 or reason == "crashed_late")
        code = it.finish()
        letters = it.dead_letters()  # too late is also who was at work beside the guilty one
        lost = 1 + len(later)
        return Trial(
            fault=f"a session says {[*first, *later]!r}",
            problems=unmet(
                {
                    "the model answers the neighbour's next words": answered,
                    "it answers the guilty session's next words, or the rules do while it rests": guilty.seq in known,
                    "no more processes died than promised": len(it.deaths()) == deaths,
                    f"each lost question is a dead letter, {reason}": set(letters) == {reason}
                    and (len(letters) == lost or (reason == "crashed_late" and len(letters) > lost)),
                    "it ends with exit code 0": code == 0,
                }
            ),
            states_wrong=sum(heard.get(seq) != on for seq, on in expected.items()),
            leaks=it.leaks(),
        )


def session_that_crashes_it(folder: Path, rng: Random) -> Trial:
    """What was said stays in the session's window: its next question must not crash the model again."""
    return _session(folder, [f"fault {rng.choice(CRASHES)}"], [], 2)


def session_that_goes_on_crashing_it(folder: Path, rng: Random) -> Trial:
    """It is asked less and less, so that the model is there for the others."""
    fault = f"fault {rng.choice(CRASHES)}"
    return _session(folder, [fault], [fault], 2)


def session_that_hangs_it_past_its_deadline(folder: Path, rng: Random) -> Trial:
    """Nobody waits any more for the question when the process is killed: it is found guilty all the same."""
    return _session(
        folder,
        ["fault hang"],
        [rng.choice(LINES)],
        1,
        "supervision.inference_busy_s=2.0",
        "prompt.request_timeout_s=1.0",
        reason="crashed_late",
    )


SCENARIOS: dict[str, Scenario] = {
    "a request crashes the model": one_of_a_batch,
    "two requests of a batch crash the model": two_of_a_batch,
    "a crash that does not come again": crash_that_does_not_come_again,
    "a request hangs the model": hang_of_a_batch,
    "a request needs more memory than there is": memory_of_a_batch,
    "a session crashes the model": session_that_crashes_it,
    "a session goes on crashing the model": session_that_goes_on_crashing_it,
    "a session hangs the model past its deadline": session_that_hangs_it_past_its_deadline,
}
