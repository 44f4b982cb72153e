import os
from collections.abc import Iterator, Sequence

import pytest

from benchmarks.child import Child
from benchmarks.memory import memory_mb
from benchmarks.served import Run, Served
from benchmarks.workload import Question
from pipeline.errors import OrstateError


class Echo:
    """A peer without a model."""

    def __init__(self, word: str) -> None:
        if not word:
            raise OrstateError("no word was given")
        self._word = word

    def serve(self, sessions: Sequence[Sequence[Question]], together: bool) -> Run:
        return Run([Served(session=0, number=0, surgery="PCNL", text=self._word, seconds=0.1)], 0.1)

    def memory(self) -> dict[str, float]:
        return memory_mb(os.getpid())

    def counters(self) -> dict[str, float]:
        return {"pid": os.getpid()}

    def fail(self) -> None:
        raise ValueError("it does not work")

    def die(self) -> None:
        os._exit(9)

    def close(self) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[Child]:
    child = Child("echo", Echo, "hello")
    yield child
    child.close()


def test_a_peer_works_in_a_process_of_its_own(echo: Child) -> None:
    assert echo.serve([], together=True).served[0].text == "hello"
    assert echo.counters()["pid"] != os.getpid()
    assert 0 < echo.memory()["own"] <= echo.memory()["peak"]


def test_what_a_peer_raises_is_told_and_it_goes_on(echo: Child) -> None:
    with pytest.raises(OrstateError, match="echo: ValueError: it does not work"):
        echo.call("fail")
    assert echo.serve([], together=False).seconds == 0.1


def test_a_peer_that_cannot_be_made_is_told() -> None:
    with pytest.raises(OrstateError, match="echo: OrstateError: no word was given"):
        Child("echo", Echo, "")


def test_a_peer_that_dies_is_told(echo: Child) -> None:
    with pytest.raises(OrstateError, match="echo: its process died with exit code 9"):
        echo.call("die")
