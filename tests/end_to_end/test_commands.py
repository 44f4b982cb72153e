"""The command line, as a person or a script uses it."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
import zmq

from pipeline.journal import input_files, read_records
from pipeline.messages import SessionStart, Transcript
from pipeline.wire_format import frames_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "pcnl_session.jsonl"


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "run_pipeline.py"), *arguments],
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
        **options,  # type: ignore[call-overload]
    )


def test_states_on_standard_output_are_json_lines_and_nothing_else(run_folder: Path) -> None:
    result = command(
        "replay", str(EXAMPLE), "--model", "stub", "--states", "-", "--journal", str(run_folder / "journal")
    )
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) > 40
    assert all(set(line) == {"session", "seq", "t", "based_on", "outcome", "degraded", "state"} for line in lines)
    assert "accounted for" in result.stderr
    assert str(run_folder / "journal") in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["replay", "/nowhere.jsonl"], 2, "orstate: Invalid value for 'log': path '/nowhere.jsonl' does not exist"),
        (["replay", str(EXAMPLE), "--speed", "quick"], 2, "--speed quick"),
        (["replay", str(EXAMPLE), "--surgery", "Tonsillectomy"], 2, "Partial Hepatectomy"),
        (["replay", str(EXAMPLE), "--model", "nobody"], 2, "gemma-3-270m"),
        (["run", "--set", "prompt.window=3"], 2, "prompt.window"),
        (["run", "--config", "/nowhere.toml"], 2, "/nowhere.toml"),
        (["run", "--set", "ingress.bind=udp://x:1"], 2, "ingress.bind = 'udp://x:1': udp:// is no transport"),
        (["run", "--set", "ingress.requests=localhost:5555"], 2, "'localhost:5555': it names no transport"),
        (["replay", str(EXAMPLE), "--set", "egress.states=tcp://*:70000"], 2, "a port from 1 to 65535"),
        (["replay", str(EXAMPLE), "--set", "ingress.connect=['tcp://*:1']"], 2, "an address other than *"),
        (["check", "--set", "ingress.bind=tcp://x"], 2, "ingress.bind = 'tcp://x'"),
        (["check", "--set", "ingress.bind=tcp://*:1"], 2, "keys generate"),
        (["record", "out.mcap", "--bind", "tcp://*:1"], 2, "keys generate"),
        (["record", "out.mcap"], 2, "--connect"),
        (["record", "out.mcap", "--connect", "x:1"], 2, "--connect = 'x:1': it names no transport"),
        (["record", "out.mcap", "--bind", "ipc:///nowhere/x"], 2, "--bind = 'ipc:///nowhere/x': cannot be bound"),
        (["models", "path", "nobody"], 2, "nobody"),
        (["models", "trim", "nobody"], 2, "nobody"),
        (["models", "trim", "gemma-3-270m"], 1, "orstate: model gemma-3-270m is trimmed already"),
        (["models", "trim", "/nowhere.gguf"], 1, "orstate: /nowhere.gguf: there is no such file"),
        (["models", "trim", "/nowhere.gguf", "--words", "/nowhere.txt"], 2, "orstate: --words: "),
        (["models", "trim", __file__], 2, "give one of"),
        (["export", "/nowhere", "--to", "csv", "-o", "/tmp/none"], 2, "path '/nowhere' does not exist"),
        (["export", "/proc/self/fd", "--to", "csv", "-o", "/tmp/none"], 1, "orstate: /proc/self/fd: no journal"),
        (["export", "/proc/self/fd", "--to", "xml", "-o", "/tmp/none"], 2, "foxglove, jsonl, parquet, csv"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_wrong_use_is_one_clear_line_and_an_exit_code(
    run_folder: Path, arguments: list[str], code: int, told: str
) -> None:
    result = command(*arguments)
    assert result.returncode == code, result.stderr
    assert told in result.stderr
    assert result.stderr.startswith("orstate: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_an_unknown_key_of_a_configuration_file_names_file_and_key(run_folder: Path) -> None:
    path = run_folder / "mine.toml"
    path.write_text("[inference]\nbatch = 'four'\n")
    result = command("check", "--config", str(path))
    assert result.returncode == 2
    assert str(path) in result.stderr
    assert "inference.batch" in result.stderr


def test_check_says_what_would_fail_and_why(run_folder: Path) -> None:
    good = command("check", "--model", "stub", "--set", f"run.directory={run_folder / 'tmp' / 'run'}")
    assert good.returncode == 0, good.stdout
    assert "FAIL" not in good.stdout
    bad = command(
        "check",
        "--model",
        "/nowhere/none.gguf",
        "--set",
        f"run.directory={run_folder / 'tmp' / 'run'}",
        "--set",
        "queues.slot_bytes=67108864",
        "--set",
        "queues.slots=4096",
        "--set",
        "egress.states=ipc:///nowhere/states",
    )
    assert bad.returncode == 1
    failed = [line for line in bad.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split(":")[0] for line in failed] == ["FAIL model", "FAIL shared memory", "FAIL endpoint"]
    assert "/nowhere/none.gguf" in failed[0]
    assert "egress.states = 'ipc:///nowhere/states': cannot be bound" in failed[2]


def test_check_says_where_page_and_metrics_will_be_and_for_whom(run_folder: Path) -> None:
    token = run_folder / "page.token"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"

        def told(*settings: str) -> list[str]:
            given = (f"run.directory={run_folder / 'tmp' / 'run'}", *settings)
            options = [part for setting in given for part in ("--set", setting)]
            return command("check", "--model", "stub", *options).stdout.splitlines()[-2:]

        assert told("page.listen=127.0.0.1:0", "metrics.listen=127.0.0.1:0") == [
            "ok   page: http://127.0.0.1:0/ for every account of this machine, without a token",
            "ok   metrics: http://127.0.0.1:0/metrics for whoever reaches that address, without a token",
        ]
        page, metrics = told("page.listen=0.0.0.0:0", f"page.token={token}", f"metrics.listen={taken}")
        assert page == f"ok   page: http://0.0.0.0:0/ for who has the token in {token}, which is made"
        assert not token.exists()
        assert metrics.startswith(f"FAIL metrics: {taken}: cannot be listened at: Address already in use")
        page, metrics = told(f"page.listen={taken}", "metrics.listen=here")
        assert page.startswith(f"FAIL page: page address {taken}: cannot be bound: Address already in use")
        assert metrics.startswith("FAIL metrics: 'here': no address to listen at; give HOST:PORT")
        assert "set page.token" in told("page.listen=0.0.0.0:0")[1]


def test_check_and_the_list_of_models_are_json_for_programs(run_folder: Path) -> None:
    where = ["--set", f"run.directory={run_folder / 'tmp' / 'run'}", "--json"]
    good = command("check", "--model", "stub", *where)
    assert all(finding["ok"] for finding in json.loads(good.stdout))
    bad = command("check", "--model", "/nowhere/none.gguf", *where)
    assert bad.returncode == 1
    (failed,) = [finding for finding in json.loads(bad.stdout) if not finding["ok"]]
    assert failed["what"] == "model"
    assert "/nowhere/none.gguf" in failed["detail"]
    listed = {model["name"]: model for model in json.loads(command("models", "list", "--json").stdout)}
    assert listed["gemma-3-270m"]["path"] == command("models", "path", "gemma-3-270m").stdout.strip()
    assert listed["medgemma-4b-it-q3_k_m"]["label"].startswith("medgemma")


def test_run_tells_events_as_json_lines_and_drains_on_a_signal(run_folder: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "run_pipeline.py"), "run", "--model", "stub", "--events"),
            *("--set", f"run.directory={run_folder / 'tmp' / 'run'}"),
            *("--set", f"run.journal={run_folder / 'journal'}"),
        ],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    events = []
    for line in process.stdout:
        events.append(json.loads(line))
        if {"ready", "model"} <= {event["event"] for event in events}:
            process.send_signal(signal.SIGTERM)
            break
    rest, _ = process.communicate(timeout=60)
    events += [json.loads(line) for line in rest.splitlines()]
    assert process.returncode == 0
    assert events[-1]["event"] == "stopped"
    assert events[-1]["failure"] == ""
    assert not (run_folder / "tmp" / "run").exists()


def test_a_second_instance_of_one_run_directory_is_told_who_holds_it(run_folder: Path) -> None:
    where = ["--model", "stub", "--set", f"run.directory={run_folder / 'tmp' / 'run'}", "--set", "run.journal="]
    first = subprocess.Popen(
        [sys.executable, str(ROOT / "run_pipeline.py"), "run", "--events", *where], stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline()
    second = command("run", *where)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)
    assert second.returncode == 1
    assert f"in use by process {first.pid}" in second.stderr


@pytest.mark.parametrize("key", ["ingress.bind", "ingress.requests", "egress.states"])
def test_an_address_in_use_ends_a_run_at_once_with_the_key_and_what_to_do(run_folder: Path, key: str) -> None:
    where = ["--model", "stub", "--set", f"run.directory={run_folder / 'tmp' / 'run'}", "--set", "run.journal="]
    with zmq.Context() as context, context.socket(zmq.REP) as other:
        endpoint = f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}"
        result = command("run", "--events", *where, "--set", f"{key}={endpoint}")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    (death,) = [event for event in told if event["event"] == "stage_died"]  # it is not started in vain again
    assert result.returncode == 1
    clear = f"{key} = '{endpoint}': cannot be bound: Address already in use; stop what listens there, or choose another"
    assert death["log"] == [f"{death['stage']}: {clear}"]
    assert told[-1]["failure"] == f"{death['stage']} is not started again (exit code 2: {death['stage']}: {clear})"


def test_a_replay_into_an_address_in_use_says_so_in_one_line(run_folder: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as other:
        endpoint = f"tcp://127.0.0.1:{other.bind_to_random_port('tcp://127.0.0.1')}"
        journal = ["--journal", str(run_folder / "journal")]
        result = command("replay", str(EXAMPLE), "--model", "stub", *journal, "--set", f"egress.states={endpoint}")
    assert result.returncode == 1
    assert f"egress.states = '{endpoint}': cannot be bound: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_recording_of_a_publisher_replays(run_folder: Path) -> None:
    endpoint = f"ipc://{run_folder}/pub"
    out = run_folder / "case.mcap"
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        publisher.bind(endpoint)
        recorder = subprocess.Popen(
            [sys.executable, str(ROOT / "run_pipeline.py"), "record", str(out), "--connect", endpoint]
        )
        assert publisher.poll(30_000)
        assert publisher.recv() == b"\x01"
        publisher.send_multipart(frames_of(SessionStart(session="or7", seq=1, t=0.0, surgery="PCNL")))
        publisher.send(msgspec.json.encode(Transcript(session="or7", seq=2, t=3.0, text="suction on")))
        publisher.send(b"{broken")
        publisher.send_multipart(frames_of(Transcript(session="or7", seq=3, t=9.0, text="camera on")))
        _until_recorded(out, 4)
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(30) == 0
    result = command("replay", str(out), "--model", "stub", "--states", "-", "--journal", str(run_folder / "journal"))
    assert result.returncode == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["session"] == "or7"
    assert {"M06", "M08"} <= set(last["state"]["machines"]["1"])


def test_models_list_verify_and_path_know_the_embedded_model() -> None:
    listed = command("models", "list")
    assert "gemma-3-270m" in listed.stdout
    assert "medgemma-4b-it-q3_k_m" in listed.stdout
    assert command("models", "fetch", "gemma-3-270m").returncode == 0
    path = Path(command("models", "path", "gemma-3-270m").stdout.strip())
    assert path.is_file()
    assert "sha256 is the expected one" in command("models", "verify", "gemma-3-270m").stdout


def test_a_model_is_trimmed_and_it_is_said_how_to_use_it(run_folder: Path) -> None:
    full = Path(command("models", "fetch", "gemma-3-270m-full").stdout.strip())
    mine = run_folder / "mine.gguf"
    mine.symlink_to(full)
    words = run_folder / "words.txt"
    words.write_text("turn on the suction")
    sizes = [full.stat().st_size]
    for chosen in ([], ["--words", str(words)]):
        result = command("models", "trim", str(mine), *chosen)
        assert result.returncode == 0, result.stderr
        path = Path(result.stdout.strip())
        assert f" of 262,144 tokens kept; use it with --model {path}" in result.stderr
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert {entry.name for entry in run_folder.glob("mine*")} == {"mine-ascii.gguf", "mine-words.gguf", "mine.gguf"}


def test_the_video_host_example_runs_from_any_folder_and_what_it_sees_moves_the_state(run_folder: Path) -> None:
    result = video_host(run_folder)
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert "M05" in last  # said
    assert "M06" not in last
    assert "M09" not in last  # seen: nobody speaks of the lights
    assert "t= 6.0 s  seen: instrument marked instrument in view" in result.stdout
    (journal,) = input_files(next((run_folder / "journal").iterdir()))
    seen = [msgspec.msgpack.decode(r.payload) for r in read_records(journal) if r.topic == "Observation"]
    assert [(o["label"], o["frame"]["shape"]) for o in seen] == [
        (label, [240, 320, 3]) for label in ("M09", "M09", "marked instrument in view")
    ]


def test_the_video_host_example_says_in_one_line_that_a_file_is_no_video(run_folder: Path) -> None:
    result = video_host(run_folder, str(EXAMPLE))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(f"video_host: {EXAMPLE}: not read as a video: ")
    assert "Traceback" not in result.stderr


def video_host(run_folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "examples" / "video_host.py")
    return subprocess.run(
        [sys.executable, script, *arguments, "--set", f"run.journal={run_folder / 'journal'}"],
        cwd=run_folder / "tmp",
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )


def _until_recorded(path: Path, count: int) -> None:
    """Wait until the recorder has flushed so many records: it does so each time its socket is empty."""
    done = threading.Event()
    for _ in range(300):
        if path.exists() and path.stat().st_size > 8 and len(list(read_records(path))) >= count:
            return
        done.wait(0.1)
    raise AssertionError(f"{path}: fewer than {count} records")
