"""The errors that a user meets, and those of bytes that are no message. Used by all processes."""

from typing import Final

import msgspec

# What msgspec raises for bytes that are no message: RecursionError for what is nested too deep
UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class OrstateError(Exception):
    """An error whose text says what, where, the value, and what to do; shown as one line."""


class ConfigError(OrstateError):
    """A configuration file, manifest or command-line setting is wrong; names file and key."""


class Rejected(OrstateError):
    """An input cannot be taken: it is counted as a dead letter under `reason`, and the pipeline goes on."""

    def __init__(self, reason: str, text: str, payload: bytes = b"") -> None:
        super().__init__(text)
        self.reason = reason  # a short name to count by, such as "unknown_session"
        self.payload = payload  # the message as it came, where it could not be decoded
