"""The fuzzer itself: what it counts as a fault, and that it finds one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import msgspec
import psutil
import pytest
from hypothesis import strategies as st

from benchmarks.fuzz.codec import look_through
from benchmarks.fuzz.main import CORPUS, Fuzzed, _add, main
from benchmarks.fuzz.target import Check, Target, Unvalidated
from benchmarks.fuzz.targets import TARGETS
from benchmarks.fuzz.values import as_json, values
from benchmarks.fuzz.worker import Mutator, Seen, Structured, Watch
from pipeline.codec import AnyInput, decode_input
from pipeline.config import ROOT
from pipeline.errors import OrstateError, Rejected


def make_planted(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if data.startswith(b"crash"):
            raise KeyError("planted")
        if data.startswith(b"invalid"):
            raise Unvalidated("planted")

    return check


PLANTED = Target("planted", make_planted, st.binary())


def make_watch(folder: Path) -> Watch:
    (folder / "faults").mkdir()
    return Watch(PLANTED, 1000.0, folder, os.getppid())


def test_a_fault_is_noted_once_for_each_place_and_its_first_input_is_kept(tmp_path: Path) -> None:
    watch = make_watch(tmp_path)
    for data in (b"fine", b"crash 1", b"crash 2", b"invalid", b"fine"):
        watch.give(data)
    assert watch.seen.inputs == 5
    assert list(watch.seen.crashes.values()) == [2]
    assert list(watch.seen.unvalidated.values()) == [1]
    kept = {path.read_bytes() for path in (tmp_path / "faults").iterdir() if not path.suffix}
    assert kept == {b"crash 1", b"invalid"}
    assert "planted" in next((tmp_path / "faults").glob("*.txt")).read_text()


@pytest.mark.parametrize(
    ("left", "code", "counted"),
    [
        ("timeout-0123", 70, (0, 1, 0)),
        ("oom-0123", 71, (0, 0, 1)),
        ("crash-0123", -11, (1, 0, 0)),
        ("", None, (0, 1, 0)),
        ("", 0, (0, 0, 0)),
    ],
)
def test_a_process_that_did_not_end_by_itself_is_a_crash_a_hang_or_a_leak(
    tmp_path: Path, left: str, code: int | None, counted: tuple[int, int, int]
) -> None:
    (tmp_path / "faults").mkdir()
    (tmp_path / "output").write_text("the last words")
    if left:
        (tmp_path / "faults" / left).write_bytes(b"x")
    fuzzed = Fuzzed()
    _add(fuzzed, tmp_path, code)
    assert (fuzzed.crashes, fuzzed.hangs, fuzzed.leaks) == counted
    assert fuzzed.is_clean is (code == 0)


def test_memory_that_grows_after_the_first_part_is_a_leak(tmp_path: Path) -> None:
    seen = Seen(inputs=10, seconds=60.0, settled_mb=100.0, memory_mb=250.0)
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(seen))
    fuzzed = Fuzzed()
    _add(fuzzed, tmp_path, 0)
    assert (fuzzed.leaks, fuzzed.growth_mb) == (1, 150.0)


def test_structured_inputs_of_a_seed_are_always_the_same_and_differ_by_seed() -> None:
    made = [[Structured(TARGETS["codec"]).make(Random(seed)) for seed in range(20)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 10


def test_the_next_input_is_never_longer_than_it_may_be() -> None:
    mutator = Mutator(TARGETS["codec"], lambda data, most: data + b"!" * most)
    made = [mutator(b"one\ntwo\nthree", 50, seed) for seed in range(300)]
    assert max(map(len, made)) == 50
    assert len(set(made)) > 10


def test_most_messages_made_from_their_types_are_valid_and_some_are_not() -> None:
    taken: list[bool] = []
    structured = Structured(Target("messages", make_planted, values(AnyInput).map(as_json)))
    for seed in range(200):
        try:
            decode_input([structured.make(Random(seed))], 1 << 20)
            taken.append(True)
        except Rejected:
            taken.append(False)
    assert 20 < sum(taken) < 190


@pytest.mark.parametrize("value", [{"a": [float("nan")]}, [{"a": float("inf")}], {"a": "\x1b[2J"}])
def test_a_message_is_looked_through_for_what_no_message_may_have(value: object) -> None:
    with pytest.raises(Unvalidated):
        look_through(value)


def test_an_unknown_target_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match=r"no fuzz target 'codecs'; there are codec, "):
        main(1.0, ["codecs"], tmp_path, None)


def test_a_worker_fuzzes_until_its_time_is_over(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    told = ("codec", 1, tmp_path, CORPUS / "codec", os.getpid())
    command = [sys.executable, "-m", "benchmarks.fuzz.worker", *map(str, told)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    seen = msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Seen)
    assert seen.inputs > 100
    assert seen.seconds >= 1.0
    assert (seen.crashes, seen.unvalidated) == ({}, {})
    assert any((tmp_path / "new").iterdir()), "no input was found to reach new code"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_fuzzing_is_interrupted_or_killed(tmp_path: Path, number: int) -> None:
    pytest.importorskip("atheris")
    command = [sys.executable, "run_pipeline.py", "bench", "fuzz", "--minutes", "60", "--targets", "codec"]
    run = psutil.Popen([*command, "--faults", str(tmp_path)], cwd=ROOT, stdout=subprocess.DEVNULL)
    workers: list[psutil.Process] = []
    while not workers:
        workers = run.children()
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(number)
    run.wait(60)
    _, alive = psutil.wait_procs(workers, 60)
    assert alive == []
