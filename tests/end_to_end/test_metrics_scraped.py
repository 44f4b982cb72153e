"""Metrics of a pipeline that runs, scraped as Prometheus does, and the dashboard that is drawn from them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.client import Client, Sidecar
from pipeline.messages import LLMRequest, SessionStart, Status, Transcript
from pipeline.segment import remove_orphans

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, str(ROOT / "run_pipeline.py"))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@contextmanager
def metrics(requests: str) -> Iterator[str]:
    """The address of a `metrics` command."""
    command = [*PROGRAM, "metrics", "--listen", "127.0.0.1:0", "--to", requests, "--with-launcher"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        yield served(process.stderr)
    finally:
        process.stdin.close()
        assert process.wait(60) == 0
        process.stderr.close()


def served(said: IO[str]) -> str:
    """The address at which metrics are served, from what is said of it."""
    return next(
        found[1] for line in said if (found := re.fullmatch(r"metrics: (http://127\.0\.0\.1:\d+)/metrics\n", line))
    )


def scrape(address: str) -> Samples:
    with urlopen(f"{address}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    assert all(family.documentation for family in families)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def until(address: str, holds: Callable[[Samples], bool]) -> Samples:
    """Scrape until it holds: the test's own time limit ends it."""
    while not holds(samples := scrape(address)):
        pass
    return samples


def value(samples: Samples, name: str, /, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


def body(address: str) -> tuple[int, dict[str, object]]:
    answer: HTTPResponse | HTTPError
    try:
        answer = urlopen(address)
    except HTTPError as error:
        answer = error
    with answer:
        return answer.status or 0, json.loads(answer.read())


@pytest.fixture
def requests(run_folder: Path) -> str:
    return f"ipc://{run_folder}/requests"


@pytest.fixture
def sidecar(settings: tuple[str, ...], requests: str) -> Iterator[Sidecar]:
    with Sidecar(model="stub", settings=(*settings, f"ingress.requests={requests}")) as sidecar:
        assert sidecar.wait_model()
        yield sidecar


def talk(client: Client, session: str, lines: int) -> None:
    """A session of so many lines, each of which is answered by the model; one more refused."""
    states = client.states(session)
    client.publish(SessionStart(session=session, seq=1, t=0.0, surgery="PCNL"))
    for seq in range(2, lines + 2):
        client.publish(Transcript(session=session, seq=seq, t=5.0 * seq, text="Suction on."))
        next(state for state in states if state.based_on == seq and state.state["source"] != "rule")
    client.publish(SessionStart(session=session, seq=lines + 2, t=100.0, surgery="No such"))


def test_a_scrape_says_what_the_status_says_and_how_long_each_part_took(sidecar: Sidecar, requests: str) -> None:
    with metrics(requests) as address:
        until(address, lambda samples: value(samples, "orstate_stage_ready", process="parse") == 1)
        talk(sidecar.client, "or1", 3)
        sidecar.submit(LLMRequest(request_id="r1", surgery="PCNL", transcript_context="Suction on."))
        seen = until(address, lambda s: value(s, "orstate_answers_total", outcome="ok") == 1)
        status: Status = sidecar.status()
        assert value(seen, "orstate_up") == 1
        assert value(seen, "orstate_degraded") == 0
        assert value(seen, "orstate_model_state", state="ready") == 1
        assert value(seen, "orstate_model_info", name="stub", label=status.label) == 1
        assert value(seen, "orstate_inputs_total") == status.inputs
        assert value(seen, "orstate_states_total", outcome="ok") == status.outcomes["ok"]
        assert value(seen, "orstate_dead_letters_total", process="prompt", reason="unknown_surgery") == 1
        assert value(seen, "orstate_sessions_open") == 1
        assert value(seen, "orstate_batch_size_count") == sum(status.work.batches.values()) == 4
        assert value(seen, "orstate_batch_size_bucket", le="1") == 4
        assert value(seen, "orstate_model_busy_seconds_total") == status.work.busy_s > 0
        assert value(seen, "orstate_memory_bytes", process="supervisor") > 1e6
        for part in ("prompt", "wait", "inference", "parse", "total"):
            assert value(seen, "orstate_latency_seconds_count", part=part, by="model") == 3
        assert 0 < value(seen, "orstate_latency_seconds_sum", part="total", by="rule") < 60
        assert body(f"{address}/healthz") == (200, {"pipeline": "answers"})
        code, told = body(f"{address}/readyz")
        assert (code, told["ready"], told["model"]) == (200, True, {"name": "stub", "state": "ready", "error": ""})
        assert body(f"{address}/other")[0] == 404


def test_the_dashboard_uses_only_metrics_and_labels_that_a_scrape_has(sidecar: Sidecar, requests: str) -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    with metrics(requests) as address:
        until(address, lambda samples: value(samples, "orstate_stage_ready", process="parse") == 1)
        talk(sidecar.client, "or1", 1)
        for seq in (2, 3, 9):  # the last one leaves a gap
            sidecar.publish(Transcript(session="or1", seq=seq, t=30.0, text="OK.", publisher="p"))
        late = {"orstate_dropped_total", "orstate_last_state_age_seconds", "orstate_last_answer_age_seconds"}
        scraped = until(address, lambda samples: late <= {name for name, _ in samples})
    labels: dict[str, set[str]] = {}
    for name, pairs in scraped:
        labels.setdefault(name, {"instance"}).update(label for label, _ in pairs)
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    used = set()
    for target in targets:
        names = re.findall(r"orstate_\w+", target["expr"])
        assert names, target
        assert set(names) <= labels.keys(), target
        used.update(names)
        asked = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) | set(re.findall(r'(\w+)=~?"', target["expr"]))
        assert asked <= set.union(*(labels[name] for name in names)), target
    shown = {re.sub("_(bucket|count|sum)$", "", name) for name in used}
    assert shown == {re.sub("_(bucket|count|sum)$", "", name) for name in labels if not name.endswith("_created")}


def test_no_count_goes_back_when_stages_are_killed(sidecar: Sidecar, requests: str) -> None:
    with metrics(requests) as address:
        until(address, lambda samples: value(samples, "orstate_up") == 1)
        talk(sidecar.client, "or1", 2)
        before = until(
            address, lambda s: value(s, "orstate_dead_letters_total", process="prompt", reason="unknown_surgery") == 1
        )
        counts = {key for key in before if key[0].endswith(("_total", "_count", "_bucket", "_sum"))}
        for restarts, stage in enumerate(("prompt", "parse", "inference"), start=1):
            os.kill(sidecar.status().stages[stage].pid, signal.SIGKILL)

            def is_back(samples: Samples, stage: str = stage, before: Samples = before) -> bool:
                assert all(samples[key] >= before[key] for key in counts & samples.keys())
                ready = value(samples, "orstate_stage_ready", process=stage) == 1
                return ready and value(samples, "orstate_restarts_total", process=stage) == 1

            after = until(address, is_back)
            assert counts <= after.keys()
            before = {**before, **after}
            assert restarts == sum(v for (name, _), v in after.items() if name == "orstate_restarts_total")


def test_ready_is_not_asked_of_the_model_and_healthy_ends_with_the_pipeline(
    settings: tuple[str, ...], requests: str
) -> None:
    with metrics(requests) as address:
        assert body(f"{address}/healthz") == (503, {"pipeline": "does not answer"})
        assert body(f"{address}/readyz")[0] == 503
        with Sidecar(model="/nowhere/none.gguf", settings=(*settings, f"ingress.requests={requests}")):
            until(address, lambda samples: value(samples, "orstate_model_state", state="unavailable") == 1)
            while body(f"{address}/readyz")[0] != 200:
                pass
            told = body(f"{address}/readyz")[1]
            assert "/nowhere/none.gguf" in str(told["degraded"])
            assert isinstance(told["model"], dict)
            assert told["model"]["state"] == "unavailable"
        until(address, lambda samples: value(samples, "orstate_up") == 0)
        assert body(f"{address}/healthz")[0] == 503


def test_run_starts_metrics_in_a_process_that_is_started_again_and_ends_with_it(run_folder: Path) -> None:
    process = subprocess.Popen(
        [
            *(*PROGRAM, "run", "--model", "stub", "--metrics", "127.0.0.1:0"),
            *("--set", f"run.directory={run_folder / 'tmp' / 'run'}", "--set", "run.journal="),
        ],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    address = served(process.stderr)
    until(address, lambda samples: value(samples, "orstate_stage_ready", process="prompt") == 1)
    children = psutil.Process(process.pid).children(recursive=True)
    (beside,) = [child for child in children if "metrics" in child.cmdline()]
    stages = [child for child in children if child != beside]
    os.kill(beside.pid, signal.SIGKILL)
    address = served(process.stderr)
    (beside,) = [child for child in psutil.Process(process.pid).children() if "metrics" in child.cmdline()]
    until(address, lambda samples: value(samples, "orstate_up") == 1)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    beside.wait(60)  # it ended, although nobody was left to end it
    for child in stages:
        child.wait(60)
    remove_orphans()
    shutil.rmtree(run_folder / "tmp" / "run")


@pytest.mark.parametrize("arguments", [("run", "--metrics", "here"), ("metrics", "--listen", "127.0.0.1:99999")])
def test_what_is_no_address_is_told(run_folder: Path, arguments: tuple[str, ...]) -> None:
    where = ("--set", f"run.directory={run_folder / 'tmp' / 'run'}")
    done = subprocess.run([*PROGRAM, *arguments, *where], text=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 2
    assert "no address to listen at; give HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
