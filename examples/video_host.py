"""A video process that launches the sidecar, publishes what it sees and hears, and prints the states.

usage: python examples/video_host.py [VIDEO] [--model NAME] [--set section.key=value]...

It reads a video file (PyAV, `pip install -e '.[video]'`) and looks for two simple things: whether the room's lights
are on, by the brightness of the picture, and whether something red is in view, an instrument's mark. What changes is
published as an observation, with the picture through shared memory. Without VIDEO it makes a short one of its own
and speaks a few lines beside it. The model is the stub unless another is named.
"""

import argparse
import itertools
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.client import Sidecar, States
from pipeline.errors import OrstateError
from pipeline.messages import Observation, SessionEnd, SessionStart, Transcript

SESSION = "room-1"
SPEECH = {
    2: ("Anesthetist", "Tube is in, start the ventilator."),
    3: ("Surgeon", "Bring in the C-arm please."),
    7: ("Surgeon", "Turn on the suction and the irrigation."),
    9: ("Surgeon", "Stop the suction."),
}
LIGHTS = "M09"  # in configs/machines/pcnl.json
BRIGHT, DARK = 110.0, 70.0  # mean of the picture, of 255; between them the lights are as they were
RED_SHARE = 0.01  # of the picture


def make_video(path: Path, seconds: int = 11, rate: int = 5) -> None:
    """Write 320 x 240 pixels of a lit room: a red mark is in view from 6 s on, and the lights go off at 4 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(seconds * rate):
            picture = np.full((240, 320, 3), 160 if number < 4 * rate else 30, dtype=np.uint8)
            if number >= 6 * rate:
                picture[100:140, number : number + 60] = (220, 20, 20)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def pictures(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Each picture of a video with its time in seconds, RGB, height x width x 3."""
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield float(frame.time or 0.0), frame.to_ndarray(format="rgb24")
    except (OSError, IndexError, av.FFmpegError) as error:
        raise OrstateError(f"{path}: not read as a video: {error}") from error


class Eyes:
    """Looks at one picture after another and tells what has changed."""

    def __init__(self) -> None:
        self._lit: bool | None = None
        self._red = False

    def look(self, picture: np.ndarray) -> list[dict[str, str]]:
        """What is new in an RGB picture, as fields of an Observation."""
        found = []
        brightness = picture.mean()
        lit = True if brightness > BRIGHT else False if brightness < DARK else self._lit
        if lit is not None and lit != self._lit:
            found.append({"kind": "machine", "label": LIGHTS, "value": "ON" if lit else "OFF"})
            self._lit = lit
        red, others = picture[..., 0].astype(int), picture[..., 1:].max(axis=2)
        in_view = bool((red - others > 80).mean() > RED_SHARE)
        if in_view != self._red:
            label = "marked instrument " + ("in view" if in_view else "gone")
            found.append({"kind": "instrument", "label": label})
            self._red = in_view
        return found


def show(states: States) -> None:
    """Print one line a state."""
    for state in states:
        machines = " ".join(state.state["machines"]["1"])
        mark = "DEGRADED" if state.degraded else ""
        print(f"t={state.t:4.1f} s  {state.state['metadata']['phase']}  on: {machines}  {state.state['source']} {mark}")


def publish(sidecar: Sidecar, video: Path, speech: dict[int, tuple[str, str]]) -> None:
    """One session: what is seen in the video, and what is said beside it, in the order of time."""
    seen_seq, heard_seq = itertools.count(1), itertools.count(1)  # each publisher numbers its own messages
    ears = {"session": SESSION, "publisher": "ears"}
    sidecar.publish(SessionStart(**ears, seq=next(heard_seq), t=0.0, surgery="PCNL"))
    eyes, waiting, t = Eyes(), dict(speech), 0.0
    for t, picture in pictures(video):
        for second in [second for second in waiting if second <= t]:
            speaker, text = waiting.pop(second)
            sidecar.publish(Transcript(**ears, seq=next(heard_seq), t=float(second), speaker=speaker, text=text))
        for seen in eyes.look(picture):
            print(f"t={t:4.1f} s  seen: {' '.join(seen.values())}")
            saw = Observation(session=SESSION, publisher="eyes", seq=next(seen_seq), t=t, confidence=0.9, **seen)
            sidecar.publish(saw, picture)
    sidecar.publish(SessionEnd(**ears, seq=next(heard_seq), t=t))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", nargs="?", type=Path)
    parser.add_argument("--model", default="stub")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or Path(folder) / "room.mp4"
        if options.video is None:
            make_video(video)
        with Sidecar(model=options.model, settings=options.settings) as sidecar:
            sidecar.wait_model()
            states = sidecar.states(SESSION)
            reader = threading.Thread(target=show, args=(states,))
            reader.start()
            try:
                publish(sidecar, video, {} if options.video else SPEECH)
            finally:
                sidecar.finish()
                reader.join()


if __name__ == "__main__":
    try:
        main()
    except OrstateError as error:
        sys.exit(f"video_host: {error}")
