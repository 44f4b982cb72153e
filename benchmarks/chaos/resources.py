"""What a pipeline lives on runs out: disk, shared memory, memory, the file of its model. It says so, and recovers."""

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import psutil

from benchmarks.chaos.confined import can_limit_memory, can_mount, fill, memory_limit, seen_by, with_tmpfs
from benchmarks.chaos.crashes import LINES, Speaker, undisturbed
from benchmarks.chaos.faulty import PROGRAM as FAULTY
from benchmarks.chaos.instance import Instance, unmet
from benchmarks.chaos.trial import Scenario, Trial
from models.fetch import ensure
from models.manifest import find_manifest
from pipeline import events
from pipeline.journal import read_records
from pipeline.launch import PROGRAM, Launch
from pipeline.messages import LLMRequest, Status
from pipeline.verify import Verified, verify

WRITERS: Final = ("prompt", "parse")
ANSWERED: Final = ("ok", "truncated", "parse_failed", "schema_failed", "unsafe")  # by a model, well or badly
NO_LIMIT: Final = resource.RLIM_INFINITY


def _journal_sums(status: Status) -> dict[str, float]:
    """The journals' counters, both stages together."""
    counters = [status.stages[name].counters for name in WRITERS]
    return {
        name: sum(found.get(name, 0.0) for found in counters)
        for name in ("journal_errors", "journal_lost", "journal_held_bytes_now")
    }


def _every_writer_fails(status: Status) -> bool:
    return all(status.stages[name].counters.get("journal_errors") for name in WRITERS)


def _nothing_is_held(status: Status) -> bool:
    return not any(status.stages[name].counters.get("journal_held_bytes_now") for name in WRITERS)


def _told(it: Instance) -> dict[str, list[bool]]:
    """What was told of each writer's journal, in order: True that it cannot be written, False that it is again."""
    changes = [event for event in it.launch.events if isinstance(event, events.JournalChanged)]
    return {name: [bool(event.error) for event in changes if event.stage == name] for name in WRITERS}


def _is_sound(found: list[Verified], lost: float) -> bool:
    return bool(found) and not any(one.faults for one in found) and sum(one.lost for one in found) == lost


def _journal(it: Instance, fault: str, stop: Callable[[], None], go_on: Callable[[], None], much: int) -> Trial:
    """The journal cannot be written between `stop` and `go_on`, while LINES and `much` more are said."""
    it.launch.wait_model(60)
    expected = undisturbed(it, LINES)
    speaker = Speaker(it, "speaker")
    stop()
    speaker.say(*LINES)
    heard = speaker.heard(by_model=True)
    it.until_status(_every_writer_fails)
    speaker.say(*(f"suction {'on' if n % 2 else 'off'}, {'x' * 3000} {n}" for n in range(much)))
    went_on = speaker.heard()
    go_on()
    status = it.until_status(_nothing_is_held)
    sums = _journal_sums(status)
    speaker.say("saline please")
    answered = speaker.seq in speaker.heard(by_model=True)
    code = it.finish()
    found = verify(Path(it.ready.journal))
    records = [record for file in Path(it.ready.journal).glob("*.mcap") for record in read_records(file)]
    said = sum(record.topic == "Transcript" for record in records)
    return Trial(
        fault=fault,
        problems=unmet(
            {
                "each journal is told once that it cannot be written, and once that it is": _told(it)
                == {name: [True, False] for name in WRITERS},
                "states go on without the journal": speaker.seq - 1 in went_on and answered,
                "verify finds every journal sound, and the losses that were counted": _is_sound(
                    found, sums["journal_lost"]
                ),
                "all that was said is in the journal, or lost and counted": sums["journal_lost"] > 0
                if much
                else sums["journal_lost"] == 0 and said == 2 * len(LINES) + 1,
                "no process died": not it.deaths(),
                "it ends with exit code 0": code == 0,
            }
        ),
        states_wrong=sum(heard.get(seq) != on for seq, on in expected.items()),
        leaks=it.leaks(),
    )


def _limit_files(it: Instance, size: int) -> None:
    """No file of prompt and parse may grow beyond so many bytes from now on."""
    for name in WRITERS:
        psutil.Process(it.pid(name)).rlimit(resource.RLIMIT_FSIZE, (size, NO_LIMIT))


def _no_room_for_the_journal(folder: Path, rng: Random, much: int) -> Trial:
    with Instance(folder) as it:
        size = rng.randrange(1, 3000)
        return _journal(
            it,
            f"no journal grows beyond {size} bytes, {len(LINES) + much} lines are said",
            lambda: _limit_files(it, size),
            lambda: _limit_files(it, NO_LIMIT),
            much,
        )


def no_room_for_the_journal(folder: Path, rng: Random) -> Trial:
    """For a moment: what was not written is held, and nothing is lost."""
    return _no_room_for_the_journal(folder, rng, 0)


def no_room_for_the_journal_for_long(folder: Path, rng: Random) -> Trial:
    """Longer than can be held: the loss is counted, and named in the journal."""
    return _no_room_for_the_journal(folder, rng, 3000)


def full_disk(folder: Path, rng: Random) -> Trial:
    """A file system without a free block, and then with some."""
    place = folder / "journal"
    place.mkdir(exist_ok=True)
    with Instance(folder, program=with_tmpfs(place, rng.randrange(200, 400), PROGRAM)) as it:
        filler: list[Path] = []
        seen = seen_by(it.launch.pid, place)

        def free_it() -> None:
            filler.pop().unlink()

        it.launch.wait_model(60)
        speaker = Speaker(it, "speaker")
        filler.append(fill(seen))
        for _ in range(3):
            speaker.say(*LINES)
        heard = speaker.heard(by_model=True)
        it.until_status(_every_writer_fails)
        free_it()
        status = it.until_status(_nothing_is_held)
        for stage in WRITERS:  # the mount is gone with the last process: the journal is looked at while they live
            psutil.Process(it.pid(stage)).suspend()
        copy = shutil.copytree(seen_by(it.launch.pid, Path(it.ready.journal)), folder / "copy")
        for stage in WRITERS:
            psutil.Process(status.stages[stage].pid).resume()
        code = it.finish()
        said = sum(record.topic == "Transcript" for record in read_records(copy / "inputs-1.mcap"))
        return Trial(
            fault="the journal's file system is full for a while",
            problems=unmet(
                {
                    "states go on without the journal": speaker.seq in heard,
                    "each journal is told once that it cannot be written, and once that it is": _told(it)
                    == {name: [True, False] for name in WRITERS},
                    "verify finds every journal sound": _is_sound(verify(copy), 0),
                    "all that was said is in the journal": said == 3 * len(LINES),
                    "it ends with exit code 0": code == 0,
                }
            ),
            leaks=it.leaks(),
        )


# --- shared memory ----------------------------------------------------------------------------------------

SHM: Final = Path("/dev/shm")


def too_little_shared_memory(folder: Path, rng: Random) -> Trial:
    """There is not enough to begin with: it does not start, says what it needs, and leaves nothing."""
    said = folder / "stderr"
    size = rng.randrange(16, 4096)
    with said.open("wb") as stderr:
        launch = Launch(
            model="stub",
            settings=(f"run.journal={str(folder / 'journal')!r}",),
            stderr=stderr,
            program=with_tmpfs(SHM, size, PROGRAM),
        )
        code = launch.stop()
    lines = said.read_text().splitlines()
    return Trial(
        fault=f"{size} kB of shared memory at the start",
        problems=unmet(
            {
                "it ends with exit code 1": code == 1,
                "one line says what is missing, and what to do": len(lines) == 1
                and "shared memory" in lines[0]
                and "lower queues.slot_bytes" in lines[0],
            }
        ),
    )


def full_shared_memory(folder: Path, rng: Random) -> Trial:
    """It fills up behind the start: every slot can be written all the same, and a stage can be started again."""
    settings = ("queues.slots=16", "queues.inline_bytes=0", "frames.rings=0")
    with Instance(folder, *settings, program=with_tmpfs(SHM, 64 << 10, PROGRAM)) as it:
        it.launch.wait_model(60)
        fill(seen_by(it.launch.pid, SHM))
        expected = undisturbed(it, LINES)
        speaker = Speaker(it, "speaker")
        speaker.say(*LINES)
        heard = speaker.heard(by_model=True)
        for n in range(40):  # more than there are slots
            speaker.say(f"{rng.choice('abc') * 3900} {n}")
        all_came = speaker.seq in speaker.heard(by_model=True)
        died_before = len(it.deaths())
        psutil.Process(it.pid("inference")).kill()
        it.until_status(lambda status: status.stages["inference"].restarts == 1 and status.model_state == "ready")
        speaker.say("saline please")
        answered = speaker.seq in speaker.heard(by_model=True)
        code = it.finish()
        return Trial(
            fault="shared memory fills up",
            problems=unmet(
                {
                    "every slot can be written": all_came and not died_before,
                    "a stage that died is started again": answered and len(it.deaths()) == 1,
                    "it ends with exit code 0": code == 0,
                }
            ),
            states_wrong=sum(heard.get(seq) != on for seq, on in expected.items()),
            leaks=it.leaks(),
        )


# --- memory -----------------------------------------------------------------------------------------------


def out_of_memory(folder: Path, rng: Random) -> Trial:
    """The kernel ends a process because the memory of their group is full: the model's, and no other."""
    with (
        memory_limit(rng.randrange(600, 800), FAULTY) as program,
        Instance(folder, "inference.strict=true", "inference.window_ms=5000", program=program) as it,
    ):
        it.launch.wait_model(60)
        guilty = rng.randrange(4)
        said = {f"q{n}": "fault eat" if n == guilty else LINES[n] for n in range(4)}
        it.asker.ask(LLMRequest(request_id=i, surgery="PCNL", transcript_context=text) for i, text in said.items())
        outcomes = {i: answers[0].outcome for i, answers in it.asker.wait().items() if answers}
        code = it.finish()
        expected = {i: "stage_crashed" if i == f"q{guilty}" else "ok" for i in said}
        return Trial(
            fault="one of 4 requests eats all memory of the group",
            problems=unmet(
                {
                    "the guilty one ends as stage_crashed, the others are answered": outcomes == expected,
                    "only the model's process is ended, twice, and the report says for want of memory": [
                        (death.stage, "want of memory" in death.how) for death in it.deaths()
                    ]
                    == [("inference", True)] * 2,
                    "it ends with exit code 0": code == 0,
                }
            ),
            requests_lost=it.asker.lost(),
            leaks=it.leaks(),
        )


# --- the model's file -------------------------------------------------------------------------------------


MODEL: Final = ("inference.retry_s=0.3", "prompt.examples=few")


def truncate(path: Path, rng: Random) -> None:
    """Cut the file off somewhere, in place."""
    os.truncate(path, rng.randrange(path.stat().st_size))


def scribble(path: Path, rng: Random) -> None:
    """Write over its beginning, in place: the size stays."""
    with path.open("r+b") as file:
        file.write(rng.randbytes(4096))


def remove(path: Path, rng: Random) -> None:
    """Remove the file."""
    path.unlink()


def damaged_at_the_start(folder: Path, rng: Random, weights: Path, damage: Callable[[Path, Random], None]) -> Trial:
    """The model's file is no good when the pipeline starts: the rules carry on, until the good file is there."""
    file = shutil.copyfile(weights, folder / "model.gguf")
    damage(file, rng)
    with Instance(folder, *MODEL, model=str(file)) as it:
        it.launch.wait_model(60)
        return _file(it, f"{damage.__name__} the model's file before the start", file, weights)


def damaged_in_use(folder: Path, rng: Random, weights: Path, damage: Callable[[Path, Random], None]) -> Trial:
    """The model's file is damaged under a running model, at a moment when it is at work or not."""
    file = shutil.copyfile(weights, folder / "model.gguf")
    with Instance(folder, *MODEL, model=str(file)) as it:
        it.launch.wait_model(60)
        it.asker.ask([LLMRequest(request_id="warm", surgery="PCNL", transcript_context=LINES[0], deadline_ms=60_000)])
        it.asker.wait()
        at_work = [LLMRequest(request_id=f"before{n}", surgery="PCNL", transcript_context=LINES[n]) for n in range(2)]
        it.asker.ask(at_work)
        if rng.random() < 0.5:
            it.asker.wait()
        else:
            it.until_status(lambda status: status.stages["inference"].counters.get("jobs", 0.0) > 1.0)
        damage(file, rng)
        it.asker.wait()  # who was at work may have died of it: what is cut off cannot be read
        it.asker.ask([LLMRequest(request_id="after", surgery="PCNL", transcript_context=LINES[0])])
        it.asker.wait()
        it.until_event(lambda event: isinstance(event, events.Model) and event.state == "unavailable")
        return _file(it, f"{damage.__name__} the model's file in use", file, weights)


def _file(it: Instance, fault: str, file: Path, weights: Path) -> Trial:
    """From the moment that the file is damaged: rules, then the good file, then the model again."""
    it.until_event(lambda event: isinstance(event, events.Model) and str(file) in event.error)
    status = it.until_status(lambda status: status.model_state == "unavailable" and str(file) in status.model_error)
    speaker = Speaker(it, "speaker")
    speaker.say("turn on the suction")
    heard = speaker.heard()
    it.asker.ask([LLMRequest(request_id="meanwhile", surgery="PCNL", transcript_context="camera on")])
    [meanwhile, *_] = it.asker.wait()["meanwhile"]
    good = shutil.copyfile(weights, file.with_name("good"))
    good.replace(file)
    it.until_status(lambda status: status.model_state == "ready")
    it.asker.ask([LLMRequest(request_id="again", surgery="PCNL", transcript_context="camera on", deadline_ms=60_000)])
    [again, *_] = it.asker.wait()["again"]
    code = it.finish()
    return Trial(
        fault=fault,
        problems=unmet(
            {
                "the reason names the file": str(file) in status.model_error,
                "the rules carry on": "M06" in heard.get(2, ()),
                "a request is answered by them at once": meanwhile.outcome == "model_unavailable"
                and meanwhile.output is not None
                and "M08" in meanwhile.output["machines"]["1"],
                "the model answers once its file is there again": again.outcome in ANSWERED,
                "it ends with exit code 0": code == 0,
            }
        ),
        requests_lost=it.asker.lost(),
        leaks=it.leaks(),
    )


def replaced_in_use(folder: Path, rng: Random, weights: Path) -> Trial:
    """Another file takes the place of the model's: the running one goes on with what it has."""
    file = shutil.copyfile(weights, folder / "model.gguf")
    with Instance(folder, *MODEL, model=str(file)) as it:
        it.launch.wait_model(60)
        other = folder / "other"
        other.write_bytes(rng.randbytes(1000))
        other.replace(file)
        it.asker.ask([LLMRequest(request_id="q1", surgery="PCNL", transcript_context="camera on", deadline_ms=60_000)])
        [answer, *_] = it.asker.wait()["q1"]
        code = it.finish()
        return Trial(
            fault="another file in the place of the model's",
            problems=unmet(
                {
                    "the model answers": answer.outcome in ANSWERED and not it.deaths(),
                    "it ends with exit code 0": code == 0,
                }
            ),
            requests_lost=it.asker.lost(),
            leaks=it.leaks(),
        )


def _of_the_model(scenario: Callable[..., Trial], *more: object) -> Scenario:
    return lambda folder, rng: scenario(folder, rng, ensure(find_manifest("gemma-3-270m")), *more)


SCENARIOS: dict[str, Scenario] = {
    "no room for the journal": no_room_for_the_journal,
    "no room for the journal, for long": no_room_for_the_journal_for_long,
    **(
        {
            "full disk": full_disk,
            "too little shared memory": too_little_shared_memory,
            "full shared memory": full_shared_memory,
        }
        if can_mount()
        else {}
    ),
    **({"out of memory": out_of_memory} if can_limit_memory() else {}),
    "the model's file is cut off at the start": _of_the_model(damaged_at_the_start, truncate),
    "the model's file is missing at the start": _of_the_model(damaged_at_the_start, remove),
    "the model's file is cut off in use": _of_the_model(damaged_in_use, truncate),
    "the model's file is written over in use": _of_the_model(damaged_in_use, scribble),
    "the model's file is replaced in use": _of_the_model(replaced_in_use),
}
