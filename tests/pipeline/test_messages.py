"""The bounds of every field that a publisher can send, in both encodings."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from pipeline.codec import INPUT_TYPES, decode_input, encode, encode_json
from pipeline.errors import Rejected
from pipeline.messages import (
    FrameRef,
    Input,
    LLMRequest,
    Observation,
    Override,
    Prompt,
    SessionEnd,
    SessionStart,
    Transcript,
)

LIMIT = 2**20
FROM_OUTSIDE = (*INPUT_TYPES, LLMRequest)
LEAST: dict[type, dict[str, Any]] = {
    SessionStart: {"session": "or1", "seq": 1, "t": 0.0, "surgery": "PCNL"},
    SessionEnd: {"session": "or1", "seq": 1, "t": 0.0},
    Transcript: {"session": "or1", "seq": 1, "t": 0.0, "text": "suction on"},
    Observation: {"session": "or1", "seq": 1, "t": 0.0, "kind": "event", "label": "smoke"},
    Override: {"session": "or1", "seq": 1, "t": 0.0, "machine": "M01", "action": "ON"},
    LLMRequest: {"request_id": "r1", "surgery": "PCNL"},
}
ENCODINGS = {"json": msgspec.json.encode, "msgpack": msgspec.msgpack.encode}


def decode(kind: type, encoding: str = "msgpack", /, **fields: Any) -> Input | LLMRequest:
    """The least message of that kind with those fields, as it comes from a publisher."""
    return decode_input([ENCODINGS[encoding]({"type": kind.__name__, **LEAST[kind], **fields})], LIMIT)


def unbounded(at: str, kind: inspect.Type) -> Iterator[str]:
    """Where in a type something may be as large as the sender likes."""
    match kind:
        case inspect.StrType(max_length=None, pattern=None):
            yield f"{at}: text without a longest length"
        case inspect.StrType(max_length=None, pattern=str(pattern)) if not pattern.endswith("{2}\\Z"):
            yield f"{at}: text without a longest length"
        case inspect.StrType(pattern=str(pattern)) if pattern.endswith("$"):
            yield f"{at}: a pattern that a newline behind the text passes"
        case inspect.IntType(ge=ge, le=le) | inspect.FloatType(ge=ge, le=le) if ge is None or le is None:
            yield f"{at}: a number without bounds"
        case (
            inspect.ListType(item_type=item, max_length=longest)
            | inspect.VarTupleType(item_type=item, max_length=longest)
        ):
            if longest is None:
                yield f"{at}: a list without a longest length"
            yield from unbounded(f"{at}[]", item)
        case inspect.DictType(key_type=key, value_type=value):
            if not isinstance(key, inspect.LiteralType):
                yield f"{at}: a map with any keys"
            yield from unbounded(f"{at}{{}}", value)
        case inspect.UnionType(types=types):
            for one in types:
                yield from unbounded(at, one)
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from unbounded(f"{at}.{field.name}", field.type)
        case inspect.AnyType() | inspect.RawType() | inspect.BytesType():
            yield f"{at}: anything"


@pytest.mark.parametrize("kind", FROM_OUTSIDE)
def test_every_field_of_every_input_has_bounds(kind: type) -> None:
    assert list(unbounded(kind.__name__, inspect.type_info(kind))) == []


def test_the_search_for_unbounded_fields_finds_them() -> None:
    class Loose(msgspec.Struct):
        text: str
        number: int
        values: list[float]
        more: dict[str, Any]

    assert len(list(unbounded("Loose", inspect.type_info(Loose)))) == 6


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", FROM_OUTSIDE)
def test_the_least_message_of_each_kind_is_taken(kind: type, encoding: str) -> None:
    message = decode(kind, encoding)
    assert type(message) is kind
    assert decode_input([encode(message)], LIMIT) == decode_input([encode_json(message)], LIMIT) == message


@pytest.mark.parametrize("kind", FROM_OUTSIDE)
def test_a_missing_field_is_named(kind: type) -> None:
    for name in LEAST[kind]:
        fields = {key: value for key, value in LEAST[kind].items() if key != name}
        with pytest.raises(Rejected, match=f"missing required field `{name}`"):
            decode_input([msgspec.json.encode({"type": kind.__name__, **fields})], LIMIT)


def test_fields_of_a_newer_publisher_are_skipped() -> None:
    assert decode(Transcript, color="blue") == decode(Transcript)


def test_a_message_cannot_be_changed() -> None:
    message = decode(Transcript)
    with pytest.raises(AttributeError):
        message.text = "other"  # type: ignore[union-attr]


OUT_OF_BOUNDS = [
    (Transcript, "session", ""),
    (Transcript, "session", "x" * 65),
    (Transcript, "session", "or 1"),
    (Transcript, "session", "or1\n"),
    (Transcript, "session", "../or1"),
    (Transcript, "seq", -1),
    (Transcript, "seq", 2**53),
    (Transcript, "seq", 1.5),
    (Transcript, "seq", "1"),
    (Transcript, "t", -0.001),
    (Transcript, "t", 1e7 + 1),
    (Transcript, "publisher", "x" * 65),
    (Transcript, "text", "x" * 4001),
    (Transcript, "text", None),
    (Transcript, "speaker", "x" * 65),
    (Transcript, "is_final", "yes"),
    (Transcript, "source", "radio"),
    (SessionStart, "surgery", "x" * 65),
    (SessionStart, "started_at", -1.0),
    (SessionStart, "started_at", 1e11 + 1e6),
    (SessionEnd, "reason", "x" * 501),
    (Observation, "kind", "smell"),
    (Observation, "label", ""),
    (Observation, "label", "x" * 129),
    (Observation, "value", "x" * 129),
    (Observation, "confidence", 1.001),
    (Observation, "confidence", -0.001),
    (Override, "machine", "M1"),
    (Override, "machine", "M01\n"),
    (Override, "machine", "xM01"),
    (Override, "action", "on"),
    (Override, "reason", "x" * 501),
    (Override, "operator", "x" * 65),
    (LLMRequest, "request_id", ""),
    (LLMRequest, "request_id", "r1\n"),
    (LLMRequest, "request_id", "x" * 65),
    (LLMRequest, "surgery", "x" * 65),
    (LLMRequest, "session", "a b"),
    (LLMRequest, "transcript_context", "x" * 20_001),
    (LLMRequest, "current_phase", "x" * 65),
    (LLMRequest, "session_time_s", -1.0),
    (LLMRequest, "current_machines", {"2": []}),
    (LLMRequest, "current_machines", {"1": ["M001"]}),
    (LLMRequest, "current_machines", {"1": ["M01"] * 100}),
    (LLMRequest, "deadline_ms", 0),
    (LLMRequest, "deadline_ms", 600_001),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("kind", "field", "value"), OUT_OF_BOUNDS)
def test_a_value_out_of_bounds_is_rejected_with_its_path(kind: type, field: str, value: object, encoding: str) -> None:
    with pytest.raises(Rejected, match=rf"\$\.{field}") as caught:
        decode(kind, encoding, **{field: value})
    assert caught.value.reason == "bad_message"


FRAME: dict[str, Any] = {"ring": "r", "slot": 0, "generation": 2, "shape": [4, 4, 3]}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ring", ""),
        ("ring", "x" * 101),
        ("ring", "../shm"),
        ("ring", "ring\n"),
        ("slot", -1),
        ("slot", 65_536),
        ("generation", -2),
        ("shape", []),
        ("shape", [1] * 5),
        ("shape", [0, 4]),
        ("shape", [65_537]),
        ("dtype", "float64"),
        ("dtype", "object"),
    ],
)
def test_a_frame_descriptor_out_of_bounds_is_rejected_with_its_path(field: str, value: object) -> None:
    assert decode(Observation, frame=FRAME) == Observation(
        **LEAST[Observation], frame=FrameRef(ring="r", slot=0, generation=2, shape=(4, 4, 3))
    )
    with pytest.raises(Rejected, match=rf"\$\.frame\.{field}"):
        decode(Observation, frame={**FRAME, field: value})


FLOATS = [
    (Transcript, "t"),
    (SessionStart, "started_at"),
    (Observation, "confidence"),
    (LLMRequest, "session_time_s"),
]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("kind", "field"), FLOATS)
def test_numbers_that_are_not_finite_are_rejected(kind: type, field: str, value: float) -> None:
    with pytest.raises(Rejected, match=field):
        decode(kind, "msgpack", **{field: value})


TEXTS = [
    (SessionStart, "surgery"),
    (SessionEnd, "reason"),
    (Transcript, "text"),
    (Transcript, "speaker"),
    (Transcript, "publisher"),
    (Observation, "label"),
    (Observation, "value"),
    (Override, "reason"),
    (Override, "operator"),
    (LLMRequest, "surgery"),
    (LLMRequest, "transcript_context"),
    (LLMRequest, "current_phase"),
]


def free_texts(kind: type) -> set[str]:
    """The fields of a message that may hold any characters by their type."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {f.name for f in info.fields if isinstance(f.type, inspect.StrType) and f.type.pattern is None}


def test_the_list_of_free_texts_is_complete() -> None:
    inherited = {(kind, "publisher") for kind in INPUT_TYPES}
    assert {(kind, name) for kind in FROM_OUTSIDE for name in free_texts(kind)} == {*TEXTS, *inherited}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1b", "\x1f", "\x7f", "\x85", "\x9f"])
@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_a_control_character_is_rejected_with_field_code_and_position(
    kind: type, field: str, character: str, encoding: str
) -> None:
    code = f"U\\+{ord(character):04X} at position 2"
    with pytest.raises(Rejected, match=f"{field} has the control character {code}"):
        decode(kind, encoding, **{field: f"ab{character}c"})


@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_line_ends_tabs_and_every_script_are_text(kind: type, field: str) -> None:
    text = "aß漢🩺\t\r\n"
    assert getattr(decode(kind, **{field: text}), field) == text


@pytest.mark.parametrize("payload", [b'"\\ud800"', b'"\\udfff x"', b'"\xed\xa0\x80"', b'"\xff"'])
def test_text_that_is_no_unicode_is_rejected(payload: bytes) -> None:
    start = msgspec.json.encode({"type": "Transcript", **LEAST[Transcript]})
    with pytest.raises(Rejected):
        decode_input([start.replace(b'"suction on"', payload)], LIMIT)


names = st.text(st.characters(blacklist_categories=("Cc", "Cs")), max_size=16)
ids = st.text("abcXYZ019._:-", min_size=1, max_size=64)
common = {"session": ids, "seq": st.integers(0, 2**53 - 1), "t": st.floats(0, 1e7), "publisher": names}
machine_ids = st.from_regex(r"\AM[0-9]{2}\Z", fullmatch=True).filter(str.isascii)
frames = st.builds(
    FrameRef,
    ring=st.text("abc019._-", min_size=1, max_size=100),
    slot=st.integers(0, 65_535),
    generation=st.integers(0, 2**53 - 1),
    shape=st.lists(st.integers(1, 65_536), min_size=1, max_size=4).map(tuple),
    dtype=st.sampled_from(["uint8", "uint16", "float16", "float32"]),
)
messages: st.SearchStrategy[Input | LLMRequest] = st.one_of(
    st.builds(SessionStart, **common, surgery=names, started_at=st.none() | st.floats(0, 1e11)),
    st.builds(SessionEnd, **common, reason=names),
    st.builds(Transcript, **common, text=names, speaker=names, is_final=st.booleans()),
    st.builds(
        Observation,
        **common,
        kind=st.sampled_from(["phase", "machine", "instrument", "event"]),
        label=names.filter(bool),
        value=names,
        confidence=st.floats(0, 1),
        frame=st.none() | frames,
    ),
    st.builds(
        Override,
        **common,
        machine=machine_ids,
        action=st.sampled_from(["ON", "OFF", "STANDBY", "RELEASE"]),
        operator=names,
    ),
    st.builds(
        LLMRequest,
        request_id=ids,
        surgery=names,
        session=ids,
        transcript_context=names,
        session_time_s=st.floats(0, 1e7),
        current_machines=st.fixed_dictionaries({"0": st.lists(machine_ids, max_size=5), "1": st.just([])}),
        deadline_ms=st.integers(1, 600_000),
    ),
)


@given(messages)
def test_every_message_within_its_bounds_survives_both_encodings(message: Input | LLMRequest) -> None:
    assert decode_input([encode(message)], LIMIT) == message
    assert decode_input([encode_json(message)], LIMIT) == message


def test_a_prompt_is_the_same_words_as_text_and_as_chat() -> None:
    prompt = Prompt(form="chat", shared="system. ", transcript="lines. ", tail="question")
    assert prompt.text() == "system. lines. question"
    assert prompt.chat() == [
        {"role": "system", "content": "system. "},
        {"role": "user", "content": "lines. question"},
    ]
