"""What is taken from outside and what is refused, whatever the bytes."""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.codec import decode_inner, decode_input, encode, encode_json, is_json, payload_of, type_name
from pipeline.errors import Rejected
from pipeline.messages import Completion, LLMResponse, SessionEnd, Transcript, Verdict

LIMIT = 1000
LINE = Transcript(session="or1", seq=1, t=1.5, text="suction on")


@pytest.mark.parametrize("payload", [encode(LINE), encode_json(LINE), b" \n\t\r" + encode_json(LINE)])
def test_a_payload_is_taken_with_and_without_its_type_frame_and_before_raw_buffers(payload: bytes) -> None:
    assert decode_input([payload], LIMIT) == LINE
    assert decode_input([b"Transcript", payload], LIMIT) == LINE
    assert decode_input([b"Transcript", payload, b"\x00raw" * 1000], LIMIT) == LINE


def test_the_payload_is_the_frame_behind_the_type() -> None:
    assert payload_of([b"payload"]) == b"payload"
    assert payload_of([b"Type", b"payload", b"raw"]) == b"payload"


def test_json_may_begin_with_white_space_and_messagepack_never_looks_like_it() -> None:
    assert is_json(encode_json(LINE))
    assert is_json(b"\r\n {}")
    assert not is_json(encode(LINE))
    assert not is_json(b"")


def test_a_type_frame_that_contradicts_the_payload_is_rejected() -> None:
    with pytest.raises(Rejected, match="type frame b'Override' and a payload of Transcript") as caught:
        decode_input([b"Override", encode(LINE)], LIMIT)
    assert caught.value.payload == encode(LINE)


def test_a_message_above_the_limit_is_oversized_and_one_at_the_limit_is_not() -> None:
    payload = encode(LINE)
    assert decode_input([payload], len(payload)) == LINE
    with pytest.raises(Rejected, match=f"a message of {len(payload)} bytes; ingress.max_message_bytes is 10") as caught:
        decode_input([payload], 10)
    assert caught.value.reason == "oversized"


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ([], "without frames"),
        ([b""], "truncated"),
        ([b"{"], "truncated"),
        ([b"Transcript", b""], "truncated"),
        ([b'{"type":"Nonsense"}'], "Invalid value 'Nonsense'"),
        ([b'{"session":"or1"}'], "missing required field `type`"),
        ([b'{"type":"Completion","job_id":"j"}'], "Invalid value 'Completion'"),
        ([b'["Transcript"]'], "Expected `object`"),
        ([b"\x93\x01\x02\x03"], "Expected `object`"),
        ([b"\xc1"], "invalid opcode"),
        ([b'{"a":' + b"[" * 900], "recursion|truncated"),
    ],
)
def test_what_is_no_input_is_rejected_with_what_is_wrong(frames: list[bytes], what: str) -> None:
    with pytest.raises(Rejected, match=what) as caught:
        decode_input(frames, LIMIT)
    assert caught.value.reason == "bad_message"


@pytest.mark.parametrize("opening", [b'{"x":', b"\x81\xa1x"])
def test_nesting_without_end_is_rejected(opening: bytes) -> None:
    deep = opening + (b"[" if opening[:1] == b"{" else b"\x91") * 200_000
    with pytest.raises(Rejected, match="recursion"):
        decode_input([b'{"type":"Transcript",' + deep[1:] if opening[:1] == b"{" else deep], 10**6)


def _mutated(data: st.DataObject, payload: bytes) -> bytes:
    at = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(at, len(payload)))
    return payload[:at] + data.draw(st.binary(max_size=8)) + payload[end:]


@given(st.lists(st.binary(max_size=200), max_size=4))
@example([encode(LINE).replace(b"suction", b"\xff\xfesctio")])
@example([encode_json(LINE).replace(b"suction", b"\xff\xfesctio")])
@example([encode(LINE).replace(b"Transcript", b"\xff" * 10)])
def test_any_bytes_are_a_message_or_rejected_and_nothing_else(frames: list[bytes]) -> None:
    try:
        decode_input(frames, LIMIT)
    except Rejected as rejected:
        assert rejected.reason in ("bad_message", "oversized")  # noqa: PT017  # being a message is right too


@given(st.data(), st.booleans())
def test_a_damaged_message_is_a_message_or_rejected_and_nothing_else(data: st.DataObject, as_json: bool) -> None:
    payload = _mutated(data, encode_json(LINE) if as_json else encode(LINE))
    try:
        decode_input([payload], LIMIT)
    except Rejected as rejected:
        assert rejected.payload == payload  # noqa: PT017  # being a message is right too


def test_messages_between_stages_come_back_as_they_were() -> None:
    verdict = Verdict(
        job_id="j1",
        kind="request",
        session="or1",
        epoch=2,
        outcome="ok",
        t=3.5,
        response=LLMResponse(request_id="r1", outcome="ok", success=True, degraded=False, output={"machines": {}}),
    )
    assert decode_inner(encode(verdict)) == verdict


def test_an_input_is_no_message_between_stages() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_inner(encode(LINE))


def test_the_type_name_is_the_tag() -> None:
    assert type_name(LINE) == "Transcript"
    assert type_name(SessionEnd(session="or1", seq=2, t=0.0)) == "SessionEnd"
    assert Completion.__struct_config__.tag == "Completion"
