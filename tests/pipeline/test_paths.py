"""Names and links that somebody else may have put in a folder lead nowhere else."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pipeline.codec import INPUT_TYPES, decode_input, encode
from pipeline.errors import OrstateError, Rejected
from pipeline.export import export
from pipeline.frames import FrameWriter
from pipeline.journal import JournalWriter, input_files, open_next, read_records
from pipeline.messages import SessionStart, Transcript
from pipeline.redact import redact
from pipeline.restore import Journal
from pipeline.retention import prune
from pipeline.rundir import RunDirectory
from pipeline.segment import Segment
from pipeline.verify import verify

NAME = "20260101T080000.000Z"
SECRET = "of another room"


def journal(folder: Path, session: str = "or1", text: str = "") -> Path:
    folder.mkdir(parents=True)
    writer = open_next(folder, "inputs")
    writer.write("SessionStart", encode(SessionStart(session=session, seq=1, t=0.0, surgery="PCNL")), 0.0, 1)
    writer.write("Transcript", encode(Transcript(session=session, seq=2, t=1.0, text=text)), 1.0, 2)
    writer.close()
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A journal elsewhere."""
    return journal(tmp_path / "elsewhere" / NAME, "theirs", SECRET) / "inputs-1.mcap"


@pytest.fixture
def ours(tmp_path: Path, theirs: Path) -> Path:
    """A journal with links in it that lead to another one, and with names that no run makes."""
    folder = journal(tmp_path / "journal" / NAME, "ours")
    for name in ("inputs-2.mcap", "outputs-1.mcap", "..mcap", "inputs-x.mcap"):
        (folder / name).symlink_to(theirs)
    (folder / "inputs-y.mcap").write_bytes(b"")
    os.mkfifo(folder / "inputs-3.mcap")
    return folder


def test_a_replay_and_a_restart_follow_no_link_in_a_journal(ours: Path) -> None:
    assert input_files(ours) == [ours / "inputs-1.mcap"]
    known = list(Journal(ours, 100_000).read(*INPUT_TYPES))
    assert {entry.message.session for entry in known} == {"ours"}  # type: ignore[attr-defined]


def test_an_export_has_nothing_from_behind_a_link(ours: Path, tmp_path: Path) -> None:
    (ours / "inputs-y.mcap").unlink()
    assert export(ours, "jsonl", tmp_path / "out.jsonl", lambda _: None) == 2
    assert SECRET not in (tmp_path / "out.jsonl").read_text()


def test_a_redacted_journal_has_nothing_from_behind_a_link_and_stays_in_its_folder(ours: Path, tmp_path: Path) -> None:
    (ours / "inputs-y.mcap").unlink()
    assert redact(ours, tmp_path / "out", lambda _: None) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["inputs-1.mcap"]
    assert len(list(read_records(tmp_path / "out" / "inputs-1.mcap"))) == 2


def test_verify_tells_of_a_link(ours: Path) -> None:
    found = {finding.file: finding for finding in verify(ours)}
    assert found["inputs-1.mcap"].faults == ()
    for name in ("inputs-2.mcap", "inputs-3.mcap", "outputs-1.mcap"):
        assert found[name].faults[-1] == "is a link, or no file: no run has made it"


def test_retention_removes_links_and_not_what_they_lead_to(ours: Path, theirs: Path, tmp_path: Path) -> None:
    (ours.parent / "20250101T080000.000Z").symlink_to(theirs.parent)
    (ours.parent / "20240101T080000.000Z").mkdir()
    (ours.parent / "20240101T080000.000Z" / "more").symlink_to(theirs.parent)
    removed = prune(ours.parent, 1.0, 0.0, ours.stat().st_mtime + 10 * 86_400)
    assert set(removed) == {ours, ours.parent / "20240101T080000.000Z"}
    assert theirs.exists()
    assert (ours.parent / "20250101T080000.000Z").is_symlink()


def test_the_size_of_what_a_link_leads_to_does_not_count(tmp_path: Path, theirs: Path) -> None:
    with theirs.open("ab") as file:
        file.truncate(3_000_000)
    folder = journal(tmp_path / "journal" / NAME)
    (folder / "outputs-1.mcap").symlink_to(theirs)
    assert prune(folder.parent, 0.0, 1.0) == []


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/nowhere")], ids=["file", "link"])
def test_a_journal_is_never_written_through_what_is_there(tmp_path: Path, make: Callable[[Path], None]) -> None:
    folder = journal(tmp_path / NAME)
    make(folder / "inputs-2.mcap")
    writer = open_next(folder, "inputs")
    writer.close()
    assert writer.path.name == "inputs-3.mcap"
    with pytest.raises(FileExistsError):
        JournalWriter(folder / "inputs-2.mcap")


def test_an_export_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder = journal(tmp_path / NAME)
    for target in (tmp_path / "precious", tmp_path / "not-there"):
        (tmp_path / "precious").write_text("dear")
        (tmp_path / "out").unlink(missing_ok=True)
        (tmp_path / "out").symlink_to(target)
        with pytest.raises(OrstateError, match="cannot be written"):
            export(folder, "jsonl", tmp_path / "out", lambda _: None)
        with pytest.raises(OrstateError, match="cannot be made"):
            redact(folder, tmp_path / "out", lambda _: None)
    assert (tmp_path / "precious").read_text() == "dear"
    assert not (tmp_path / "not-there").exists()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "orstate-1-../x", "x", "", ".", "orstate-1-a/b", "orstate-x-a", "orstate-1-a\n"]
)
def test_a_pipeline_cannot_have_its_client_write_pixels_into_a_file(tmp_path: Path, name: str) -> None:
    for attach in (lambda: Segment.attach(name), lambda: FrameWriter((name,))):
        with pytest.raises(OrstateError, match="is no name of shared memory"):
            attach()


def test_shared_memory_is_not_reached_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.segment.folder", lambda: tmp_path)
    (tmp_path / "precious").write_bytes(bytes(4096))
    (tmp_path / "orstate-1-frames0").symlink_to(tmp_path / "precious")
    with pytest.raises(OrstateError, match="cannot be attached"):
        Segment.attach("orstate-1-frames0")


def test_a_run_directory_whose_folder_others_can_exchange_is_refused(short_dir: Path) -> None:
    (short_dir / "shared").mkdir()
    (short_dir / "shared").chmod(0o777)
    with pytest.raises(
        OrstateError, match=r"shared: others can exchange what is in it \(mode 0777\); set run.directory"
    ):
        RunDirectory(short_dir / "shared" / "run")
    assert not (short_dir / "shared" / "run").exists()
    (short_dir / "shared").chmod(0o1777)  # as /tmp is: there nobody can remove what is another's
    RunDirectory(short_dir / "shared" / "run").remove()


@pytest.mark.parametrize("session", ["..", ".", "a..b", "...", ".hidden", "a:b", "-rf"])
def test_a_session_named_like_a_path_is_a_name_in_a_record_and_no_file(tmp_path: Path, session: str) -> None:
    folder = journal(tmp_path / "journal" / NAME, session)
    export(folder, "jsonl", tmp_path / "out.jsonl", lambda _: None)
    redact(folder, tmp_path / "redacted", lambda _: None)
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert made == [f"journal/{NAME}/inputs-1.mcap", "out.jsonl", "redacted/inputs-1.mcap"]


@pytest.mark.parametrize("session", ["../x", "a/b", "/etc", "a\0b", "", "a\\b", "a b", "x\n"])
def test_a_session_cannot_be_named_by_a_path(session: str) -> None:
    said = {"type": "SessionStart", "session": session, "seq": 1, "t": 0.0, "surgery": "PCNL"}
    with pytest.raises(Rejected, match="session"):
        decode_input([msgspec.json.encode(said)], 10_000)
