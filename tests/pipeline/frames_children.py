"""What runs in the second process of the tests of frames."""

from multiprocessing.connection import Connection

from pipeline.errors import OrstateError
from pipeline.frames import FrameWriter


def claim_until_killed(rings: list[str], told: Connection) -> None:
    """A video process that claims a ring and holds it."""
    try:
        writer = FrameWriter(rings)
    except OrstateError as error:
        told.send(str(error))
        return
    told.send("claimed")
    told.recv()
    writer.close()
