"""Events to a reader that reads late, or never."""

import threading

from pipeline.event_writer import WAITING, EventWriter
from pipeline.events import DeadLettered, Event, Stopped


def test_a_reader_that_does_not_read_stops_nobody_and_what_it_misses_is_counted() -> None:
    began, read, written = threading.Event(), threading.Event(), list[Event]()

    def write(event: Event) -> None:
        began.set()
        read.wait()
        written.append(event)

    writer = EventWriter(write)
    letters = [DeadLettered(reason=str(number), error="", source="") for number in range(WAITING + 10)]
    writer.tell(letters[0])
    began.wait()
    for letter in letters[1:]:
        writer.tell(letter)
    assert writer.dropped == 9
    read.set()
    writer.close()
    assert written == letters[: WAITING + 1]


def test_a_reader_that_is_gone_is_no_failure_and_counted() -> None:
    def write(event: Event) -> None:
        raise BrokenPipeError

    writer = EventWriter(write)
    writer.tell(Stopped(failure="", journal=""))
    writer.close()
    assert writer.dropped == 1
