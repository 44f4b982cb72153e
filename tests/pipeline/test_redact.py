"""A redacted journal holds nothing of what was said, and all that else happened."""

import json
from pathlib import Path

import pytest

from pipeline.codec import encode, encode_json
from pipeline.errors import OrstateError
from pipeline.journal import Record, open_next, read_records
from pipeline.log import Log
from pipeline.messages import Observation, Override, SessionStart, Transcript
from pipeline.redact import redact
from pipeline.verify import verify

SECRET = "Mrs Miller has an allergy"
START = SessionStart(session="or1", seq=1, t=0.0, surgery="PCNL")
SEEN = Observation(session="or1", seq=3, t=5.0, kind="machine", label="M06", value="ON", confidence=0.9)


def written(folder: Path) -> Path:
    """A journal with speech in every place where it can stand."""
    folder.mkdir()
    journal = open_next(folder, "inputs")
    journal.write("SessionStart", encode_json(START), 0.0, 1)
    journal.write(
        "Transcript", encode_json(Transcript(session="or1", seq=2, t=4.0, speaker=SECRET, text=SECRET)), 4.0, 2
    )
    journal.write("Observation", encode(SEEN), 5.0, 3)
    order = Override(session="or1", seq=4, t=6.0, machine="M09", action="OFF", reason=SECRET)
    journal.write("Override", encode(order), 6.0, 4)
    journal.write("DeadLetter", encode_json(START).replace(b"PCNL", SECRET.encode()) + b" broken", 7.0)
    journal.write("Frame", SECRET.encode(), 7.0)
    journal.close()
    outputs = open_next(folder, "outputs")
    state = {
        "type": "SurgeryState",
        "session": "or1",
        "seq": 1,
        "state": {
            "metadata": {"phase": "Phase2", "reasoning": SECRET, "matched_keywords": [SECRET]},
            "machines": {"0": ["M07"], "1": ["M06"]},
            "details": {
                "toggles": [{"machine_id": "M06", "trigger": SECRET, "words": SECRET}],
                "set_by": {"M06": "rule"},
            },
            "suggestions": [SECRET],
            "a later text": SECRET,
            "a later field": {"of": [SECRET]},
        },
    }
    outputs.write("SurgeryState", json.dumps(state).encode(), 7.0)
    outputs.close()
    return folder


def test_nothing_that_was_said_is_left_and_the_rest_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert redact(written(tmp_path / "run"), out, lambda _: None) == 6
    for file in out.iterdir():
        assert b"Miller" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
    (state,) = read_records(out / "outputs-1.mcap")
    left = json.loads(state.payload)["state"]
    assert left["machines"] == {"0": ["M07"], "1": ["M06"]}
    assert left["details"]["set_by"] == {"M06": "rule"}
    assert left["metadata"]["phase"] == "Phase2"
    assert left["details"]["toggles"][0]["machine_id"] == "M06"


def test_times_and_sequences_stay_and_it_replays(tmp_path: Path) -> None:
    run, out = written(tmp_path / "run"), tmp_path / "out"
    redact(run, out, lambda _: None)
    kept = [record for record in read_records(run / "inputs-1.mcap") if record.topic != "Frame"]
    redacted = list(read_records(out / "inputs-1.mcap"))
    assert [r._replace(payload=b"") for r in redacted] == [r._replace(payload=b"") for r in kept]
    replayed = Log(out).messages
    assert [type(message).__name__ for message in replayed[:2]] == ["SessionStart", "Transcript"]
    assert SEEN in replayed


def test_the_redacted_journal_has_a_sound_chain_of_its_own(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    for number in range(2, 12):  # as many processes that were started again
        journal = open_next(run, "inputs")
        journal.write("Observation", encode(SEEN), 5.0, number)
        journal.close()
    redact(run, tmp_path / "out", lambda _: None)
    found = verify(tmp_path / "out")
    assert len(found) == 12
    assert [finding.faults for finding in found if finding.faults] == []


def test_a_payload_that_cannot_be_read_is_left_empty(tmp_path: Path) -> None:
    journal = open_next(tmp_path, "inputs")
    journal.write("Transcript", b'{"a":' * 100_000, 1.0)
    journal.close()
    assert redact(journal.path, tmp_path / "out", lambda _: None) == 1
    (left,) = read_records(tmp_path / "out" / "inputs-1.mcap")
    assert left.payload == b"{}"


def test_a_folder_that_exists_is_not_written_to(tmp_path: Path) -> None:
    run = written(tmp_path / "run")
    with pytest.raises(OrstateError, match="give a new folder"):
        redact(run, run, lambda _: None)
    with pytest.raises(OrstateError, match="no journal"):
        redact(tmp_path, tmp_path / "out", lambda _: None)


def test_times_stay_to_the_nanosecond_and_what_is_nested_too_deep_goes(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    journal = open_next(run, "inputs")
    deep = b'{"text":"%s","more":%s%s}' % (SECRET.encode(), b"[" * 900, b"]" * 900)
    for at in (1, 1_700_000_000_123_456_789, 2**64 - 1):
        journal.append(Record("Transcript", deep, at, at, 7))
    journal.close()
    redact(run, out, lambda _: None)
    records = list(read_records(out / "inputs-1.mcap"))
    assert [record.message_ns for record in records] == [1, 1_700_000_000_123_456_789, 2**64 - 1]
    assert [record.wall_ns for record in records] == [1, 1_700_000_000_123_456_789, 2**64 - 1]
    assert all(SECRET.encode() not in record.payload for record in records)
    assert not [fault for found in verify(out) for fault in found.faults]
