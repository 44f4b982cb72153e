"""What an utterance is made of, once its phrases are known: tokens and sentences. Runs in the prompt process."""

from typing import Literal, NamedTuple

import msgspec

MatchType = Literal["trigger", "alias", "name"]


class Mention(NamedTuple):
    """A phrase for a machine. `machine_id` is "" for one that this surgery does not have.

    `unnamed`: it is no name of it, and says nothing of it but in an order.
    """

    machine_id: str
    name: str
    words: str
    match_type: MatchType
    unnamed: bool = False


class Token(msgspec.Struct, frozen=True, gc=False):
    """A phrase of an utterance by what it does; see language.KINDS for the letters. `start` and `end` count words."""

    letter: str
    text: str
    start: int
    end: int
    mention: Mention | None = None
    ing: bool = False
    misheard: bool = False
    delay_s: float = 0.0

    @property
    def names(self) -> bool:
        """Whether it is a name, of a machine of this surgery or of none."""
        return self.mention is not None and not self.mention.unnamed

    @property
    def unnamed(self) -> bool:
        """Whether it speaks of a machine without a name."""
        return self.mention is not None and self.mention.unnamed


class Phrase(NamedTuple):
    """A phrase behind its first word."""

    rest: list[str]
    letter: str
    text: str
    mention: Mention | None
    ing: bool


class Sentence(NamedTuple):
    """Tokens up to an end mark, fillers left out; `words` are those of the whole utterance."""

    letters: str
    tokens: list[Token]
    words: list[str]
    asked: bool
