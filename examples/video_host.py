"""A video process that launches the sidecar, publishes what it sees and hears, and prints the states.

usage: python examples/video_host.py [--model NAME] [--set section.key=value]...
The pictures are synthetic: a lamp that brightens. The model is the stub unless another is named.
"""

import argparse
import itertools
import sys
import threading
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.client import Sidecar, States
from pipeline.messages import Observation, SessionEnd, SessionStart, Transcript

SESSION = "room-1"
SPEECH = {
    2: ("Anesthetist", "Tube is in, start the ventilator."),
    4: ("Surgeon", "Bring in the C-arm please, and turn the lights off."),
    6: ("Surgeon", "Turn on the suction and the irrigation."),
    8: ("Surgeon", "Stop the suction."),
}


def picture(second: int) -> np.ndarray:
    """A frame of 240 x 320 pixels, RGB; brightness follows the second."""
    return np.full((240, 320, 3), 20 * second, dtype=np.uint8)


def show(states: States) -> None:
    """Print one line a state."""
    for state in states:
        machines = " ".join(state.state["machines"]["1"])
        mark = "DEGRADED" if state.degraded else ""
        print(f"t={state.t:4.0f} s  {state.state['metadata']['phase']}  on: {machines}  {state.state['source']} {mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="stub")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    with Sidecar(model=options.model, settings=options.settings) as sidecar:
        sidecar.wait_model()
        states = sidecar.states(SESSION)
        reader = threading.Thread(target=show, args=(states,))
        reader.start()
        seen_seq, heard_seq = itertools.count(1), itertools.count(1)  # each publisher numbers its own messages
        sidecar.publish(SessionStart(session=SESSION, seq=next(heard_seq), t=0.0, surgery="PCNL", publisher="ears"))
        for second in range(1, 11):
            frame = picture(second)
            seen = "bright picture" if frame.mean() > 100 else "dark picture"
            saw = Observation(
                session=SESSION,
                seq=next(seen_seq),
                t=float(second),
                publisher="eyes",
                kind="event",
                label=seen,
                confidence=0.9,
            )
            sidecar.publish(saw, frame)
            if second in SPEECH:
                speaker, text = SPEECH[second]
                line = Transcript(
                    session=SESSION,
                    seq=next(heard_seq),
                    t=second + 0.5,
                    publisher="ears",
                    speaker=speaker,
                    text=text,
                )
                sidecar.publish(line)
        sidecar.publish(SessionEnd(session=SESSION, seq=next(heard_seq), t=11.0, publisher="ears"))
        sidecar.finish()
        reader.join()


if __name__ == "__main__":
    main()
