"""A foreign publisher that is too fast: nothing but pyzmq, a process of its own.

`publisher.py ENDPOINT SESSION RATE SECONDS KIND`, where KIND is lines or garbage. It tells on standard output, a line
each, how many messages it has sent: when the flood is over, and after one more message for each line of its input.
"""

import os
import sys
import time

import zmq

BURST_S = 0.002  # between two looks at the clock
LINE = '{"type":"Transcript","session":"%s","seq":%d,"t":%.4f,"speaker":"Nurse","text":"the vitals look fine"}'
LINE_S = 0.001  # of message time between two lines


def message(kind: str, session: str, seq: int) -> bytes:
    """The message of that number, from 2 upwards."""
    return (LINE % (session, seq, LINE_S * seq)).encode() if kind == "lines" else b"\xc1" + os.urandom(99)


def main(endpoint: str, session: str, rate: float, seconds: float, kind: str) -> None:
    """Send; without a subscriber nothing is sent."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:  # all options as they are by default
        socket.connect(endpoint)
        socket.recv()
        seq = 0
        if kind == "lines":
            seq = 1
            socket.send(b'{"type":"SessionStart","session":"%s","seq":1,"t":0,"surgery":"PCNL"}' % session.encode())
        first, begin = seq, time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            while seq - first < rate * passed:
                seq += 1
                socket.send(message(kind, session, seq))
            time.sleep(BURST_S)
        print(seq, flush=True)
        for _ in sys.stdin:
            seq += 1
            socket.send(message(kind, session, seq))
            print(seq, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
