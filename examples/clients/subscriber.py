"""Prints each state as JSON with nothing but pyzmq: `subscriber.py STATES-ENDPOINT SESSION [KEYS]`."""

import sys

import zmq
from curve_keys import use_keys

endpoint, session, *keys = sys.argv[1:]
with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
    subscriber.subscribe(f"state/{session}")
    subscriber.subscribe("status")
    for folder in keys:
        use_keys(subscriber, folder)
    subscriber.connect(endpoint)
    while True:
        topic, kind, payload = subscriber.recv_multipart()
        if topic == f"state/{session}".encode():  # a subscription takes every topic that begins so
            print(payload.decode(), flush=True)
        elif kind == b"Status":
            print("subscribed", file=sys.stderr, flush=True)  # the first one comes when the subscription stands
