"""What a stage tells the supervisor of itself, also when that does not read."""

import zmq

from pipeline import control
from pipeline.reporter import NOTICES, Reporter
from pipeline.sockets import Context, make_socket


def test_a_supervisor_that_does_not_read_stops_no_stage_and_what_it_missed_is_counted(context: Context) -> None:
    supervisor = make_socket(context, zmq.DEALER, high_water_mark=2)
    supervisor.bind("inproc://control")
    socket = make_socket(context, zmq.DEALER, high_water_mark=2)
    socket.connect("inproc://control")
    reporter = Reporter(socket, None, 1.0)
    for _ in range(NOTICES + 5):
        reporter.dead_letter("bad_message", "e", "ingress", b"x")
    for _ in range(3):
        reporter.report({}, [], [])
    heard = []
    while supervisor.poll(0):
        heard.append(control.FROM_STAGE.decode(supervisor.recv()))
    assert len(heard) == 4
    assert socket.poll(10_000, zmq.POLLOUT)
    reporter.report({"arrived": 1.0}, [], [])
    assert supervisor.poll(10_000)
    report = control.FROM_STAGE.decode(supervisor.recv())
    assert isinstance(report, control.Report)
    assert report.counters == {
        "arrived": 1.0,
        "dead_letter.bad_message": NOTICES + 5.0,
        "dropped.notice": NOTICES + 5.0 - len(heard),
        "dropped.report": 3.0,
    }
