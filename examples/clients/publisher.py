"""Publishes a short session with nothing but pyzmq: `publisher.py INGRESS-ENDPOINT SESSION [KEYS]`."""

import json
import sys

import zmq
from curve_keys import use_keys

endpoint, session, *keys = sys.argv[1:]
messages = [
    {"type": "SessionStart", "session": session, "seq": 1, "t": 0, "surgery": "PCNL"},
    {"type": "Transcript", "session": session, "seq": 2, "t": 4, "speaker": "Surgeon", "text": "Turn on the suction."},
    {"type": "SessionEnd", "session": session, "seq": 3, "t": 9},
]
with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:  # a PUB that hears of subscriptions
    for folder in keys:
        use_keys(publisher, folder)
    publisher.connect(endpoint)
    publisher.recv()  # before the pipeline has subscribed, ZeroMQ would drop what is sent
    for message in messages:
        publisher.send(json.dumps(message).encode())
