from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader, GGUFValueType, GGUFWriter

from benchmarks.gguf_fields import Field, read_fields
from pipeline.errors import OrstateError


def written(path: Path, fields: dict[str, Field]) -> Path:
    writer = GGUFWriter(path, "none")
    for key, field in fields.items():
        field.add_to(writer, key)
    writer.add_tensor("one", np.ones(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", ["tiny_gemma", "tiny_llama", "tiny_qwen"])
def test_fields_are_what_the_librarys_own_reader_finds(name: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(name)
    fields = read_fields(path)
    theirs = {key: field for key, field in GGUFReader(path).fields.items() if not key.startswith("GGUF.")}
    assert list(fields) == list(theirs)
    for key, field in fields.items():
        assert theirs[key].types == [kind for kind in (field.kind, field.item) if kind is not None]
        text = GGUFValueType.STRING in (field.kind, field.item)
        values = field.value if isinstance(field.value, list) else [field.value]
        found = theirs[key].contents()
        assert [value.decode() if text else value for value in values] == (found if field.item else [found])


def test_fields_of_every_type_are_written_again_as_they_were(tmp_path: Path) -> None:
    fields = {
        **{f"number.{kind.name}": Field(3, kind) for kind in GGUFValueType if "INT" in kind.name},
        "real": Field(0.1, GGUFValueType.FLOAT64),
        "short_real": Field(0.5, GGUFValueType.FLOAT32),
        "yes": Field(True, GGUFValueType.BOOL),
        "no_unicode": Field(b"\xff\xfe", GGUFValueType.STRING),
        "bits": Field([True, False], GGUFValueType.ARRAY, GGUFValueType.BOOL),
        "texts": Field([b"", b"\xf0\x9f", b"a"], GGUFValueType.ARRAY, GGUFValueType.STRING),
        "bytes": Field([1, 2, 255], GGUFValueType.ARRAY, GGUFValueType.UINT8),
    }
    found = read_fields(written(tmp_path / "a.gguf", fields))
    assert {key: field for key, field in found.items() if key != "general.architecture"} == fields
    again = written(tmp_path / "b.gguf", {key: found[key] for key in fields})
    assert again.read_bytes() == (tmp_path / "a.gguf").read_bytes()


def test_an_empty_array_is_left_out_because_the_writer_refuses_it(tmp_path: Path) -> None:
    fields = {"none": Field([], GGUFValueType.ARRAY, GGUFValueType.STRING)}
    assert list(read_fields(written(tmp_path / "a.gguf", fields))) == ["general.architecture"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OrstateError, match=r"gone\.gguf: cannot be read: No such file"):
        read_fields(tmp_path / "gone.gguf")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04" + bytes(40), r"begins with b'PK\\x03\\x04', version 0"),
        (b"GGUF" + (1).to_bytes(4, "little") + bytes(40), "version 1; expected b'GGUF', version 2 or 3"),
        (b"GGUF", "ends at byte 4"),
        (b"", "ends at byte 0"),
        (
            b"GGUF\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + b"\xff" * 8,
            r"a length of \d{20} at byte 32",
        ),
    ],
)
def test_a_file_of_another_form_is_refused_with_the_reason(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(content)
    with pytest.raises(OrstateError, match=rf"odd\.gguf: no metadata can be read: .*{why}.*; give a whole GGUF file"):
        read_fields(path)


def test_metadata_cut_anywhere_is_refused(tiny_qwen: Path, tmp_path: Path) -> None:
    whole = tiny_qwen.read_bytes()
    path = tmp_path / "cut.gguf"
    end = whole.index(b"token_embd.weight") - 8  # of the metadata: the first tensor's name, behind its length
    for length in [*range(0, end, 97), end - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(OrstateError, match="no metadata can be read"):
            read_fields(path)
