"""Numbered messages: whatever is lost on the way or with a process, each is taken, once, in order."""

from random import Random

import pytest

from pipeline.confirmed import WINDOW, Confirmations, Unconfirmed
from pipeline.errors import Rejected


class Other:
    """A process at the other end: what it journalled survives it, as that of the one before it did."""

    def __init__(self, journal: list[bytes]) -> None:
        self.journal = journal
        self._confirmations = Confirmations()

    def take(self, frames: list[bytes]) -> list[bytes]:
        """Take a message; what is said back."""
        if self._confirmations.take([b"client"], frames[0]) and frames[1] not in self.journal:
            self.journal.append(frames[1])
        return [answer[-1] for answer in self._confirmations.answers()]


def test_what_is_taken_in_order_is_confirmed_and_no_longer_kept() -> None:
    ours, other = Unconfirmed(), Other([])
    for payload in (b"a", b"b", b"c"):
        for said in other.take(ours.add(payload)):
            assert ours.heard(said) == []
    assert len(ours) == 0
    assert other.journal == [b"a", b"b", b"c"]


def test_a_message_that_is_lacking_is_asked_for_once_and_those_behind_it_are_let_go() -> None:
    ours, other = Unconfirmed(), Other([])
    sent = [ours.add(payload) for payload in (b"a", b"b", b"c", b"d")]
    said = [word for frames in (sent[0], sent[2], sent[3]) for word in other.take(frames)]
    assert said == [b"Confirmed 1", b"Resend 2"]
    again = [frames for word in said for frames in ours.heard(word)]
    assert [frames[0] for frames in again] == [b"Numbered 2", b"Numbered 3", b"Numbered 4"]
    assert [word for frames in again for word in other.take(frames)][-1] == b"Confirmed 4"
    assert other.journal == [b"a", b"b", b"c", b"d"]


def test_a_process_that_knows_nothing_asks_for_all_that_is_not_confirmed() -> None:
    ours, other = Unconfirmed(), Other([])
    for payload in (b"a", b"b"):
        for said in other.take(ours.add(payload)):
            ours.heard(said)
    lost = ours.add(b"c")
    assert lost[0] == b"Numbered 3"
    after = Other(other.journal)
    assert after.take(ours.add(b"d")) == [b"Resend 0"]
    again = ours.heard(b"Resend 0")
    assert [frames[0] for frames in again] == [b"Numbered 3 first", b"Numbered 4"]
    for frames in again:
        after.take(frames)
    assert after.journal == [b"a", b"b", b"c", b"d"]


def test_a_client_of_the_same_name_that_begins_again_is_taken() -> None:
    other = Other([])
    other.take(Unconfirmed().add(b"a"))
    assert other.take(Unconfirmed().add(b"b")) == [b"Confirmed 1"]
    assert other.journal == [b"a", b"b"]


def test_the_oldest_once_more_tells_what_has_come() -> None:
    ours, other = Unconfirmed(), Other([])
    for payload in (b"a", b"b"):
        other.take(ours.add(payload))  # the confirmations are lost
    assert [heard for word in other.take(ours.oldest()) for heard in ours.heard(word)] == []
    assert len(ours) == 0


def test_the_window_is_bounded_by_number_and_by_bytes() -> None:
    many, large = Unconfirmed(), Unconfirmed()
    for _ in range(WINDOW):
        assert not many.full
        many.add(b"x")
    assert many.full
    large.add(bytes(9 << 20))
    assert large.full
    large.heard(b"Confirmed 1")
    assert not large.full


@pytest.mark.parametrize("word", [b"Confirmed", b"Confirmed x", b"Resend -1", b"", b"Hello", b"Confirmed 999999"])
def test_words_of_nobody_do_no_harm(word: bytes) -> None:
    ours = Unconfirmed()
    ours.add(b"a")
    ours.heard(word)
    assert ours.add(b"b")[0] == b"Numbered 2"


@pytest.mark.parametrize(
    "head", [b"Numbered", b"Numbered x", b"Numbered 1 last", b"Numbered -1", b"Numbered " + b"9" * 40]
)
def test_a_first_frame_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(Rejected, match="first frame b'Numbered"):
        Confirmations().take([b"client"], head)


@pytest.mark.parametrize("seed", range(200))
def test_nothing_is_lost_or_reordered_whatever_happens_on_the_way(seed: int) -> None:
    """Processes die, and messages and answers that are on their way go with them; order on a connection is kept."""
    random = Random(seed)
    ours, journal = Unconfirmed(), list[bytes]()
    other, there, back = Other(journal), list[list[bytes]](), list[bytes]()
    payloads = [b"%d" % n for n in range(60)]
    left = list(payloads)
    for _ in range(20_000):
        dice = random.random()
        if dice < 0.3 and left and not ours.full:
            there.append(ours.add(left.pop(0)))
        elif dice < 0.6 and there:
            back += other.take(there.pop(0))
        elif dice < 0.9 and back:
            there += ours.heard(back.pop(0))
        elif dice < 0.92:
            other = Other(journal)  # what waits at our end goes to the next one, a part of it is lost
            del there[: random.randrange(len(there) + 1)]
            back.clear()
        elif ours and not there and not back:
            there.append(ours.oldest())
        if not left and not ours:
            break
    assert journal == payloads
