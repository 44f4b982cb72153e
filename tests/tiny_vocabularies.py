"""Small vocabularies that spell everything: all bytes, and pieces for what is often said and answered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gguf import GGUFWriter, TokenType

SPACE = "▁"  # how SentencePiece writes a space
PRINTABLE = [chr(code) for code in range(0x21, 0x7F)]
UMLAUTS = ["ä", "é", "ö", "ü", "°"]  # characters beyond ASCII that are one token; all others are bytes

PUNCTUATION = ['{"', '"}', '":', '":"', '":[', '":["', '","', '"],"', '"]', '],"', "[]", "0.", ". ", ", ", ": "]
WORDS = ["on", "off", "phase", "next", "why", "tips", "conf", "Phase", "Surgeon", "JSON", "Nurse"]
SPOKEN = ["the", "please", "suction", "irrigation", "and", "turn", "machine", "is", "Suction", "Phase", "M"]
IDS = [f"M{number:02d}" for number in range(1, 21)] + [f"Phase{number}" for number in range(1, 10)]


@dataclass(frozen=True)
class Vocabulary:
    """What a tokenizer is made of. `scores` are SentencePiece's, `merges` BPE's: a file has the one or the other."""

    model: str
    pre: str
    tokens: list[str]
    types: list[TokenType]
    special: dict[str, str]  # role to token
    add_bos: bool
    add_space_prefix: bool
    scores: list[float] | None = None
    merges: list[str] | None = None

    def add_to(self, writer: GGUFWriter) -> None:
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.scores is not None:
            writer.add_token_scores(self.scores)
        if self.merges is not None:
            writer.add_token_merges(self.merges)
        for role, token in self.special.items():
            writer.add_uint32(f"tokenizer.ggml.{role}_token_id", self.tokens.index(token))
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_space_prefix(self.add_space_prefix)


def gemma_vocabulary() -> Vocabulary:
    """Gemma's kind: begins with BOS, no space before the first word; user-defined tokens are found in any text."""
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    defined = ["\n", "\n\n", "\n\n\n", "  ", "    ", "<table>"]  # spaces as they are, unlike those of pieces
    return _sentence_pieces(
        [(token, TokenType.CONTROL) for token in control] + [(token, TokenType.USER_DEFINED) for token in defined],
        special={"bos": "<bos>", "eos": "<eos>", "unknown": "<unk>", "padding": "<pad>"},
        add_space_prefix=False,
    )


def llama_vocabulary() -> Vocabulary:
    """Llama 2's kind: begins with BOS, the first word gets a space before it, a line's end is a byte."""
    return _sentence_pieces(
        [("<unk>", TokenType.UNKNOWN), ("<s>", TokenType.CONTROL), ("</s>", TokenType.CONTROL)],
        special={"bos": "<s>", "eos": "</s>", "unknown": "<unk>"},
        add_space_prefix=True,
    )


def qwen_vocabulary() -> Vocabulary:
    """Qwen's kind: BPE over bytes. There is no BOS: a library that is asked for it may name any token."""
    letters = _byte_letters()
    tokens = [letters[byte] for byte in sorted(letters, key=lambda byte: ord(letters[byte]))]
    merges = []
    for piece in _pieces(f" {word}" for word in SPOKEN):
        spelled = "".join(letters[byte] for byte in piece.encode())
        merges.append(f"{spelled[:-1]} {spelled[-1]}")
        tokens.append(spelled)
    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return Vocabulary(
        model="gpt2",
        pre="qwen2",
        tokens=tokens + control,
        types=[TokenType.NORMAL] * len(tokens) + [TokenType.CONTROL] * len(control),
        special={"eos": "<|im_end|>", "padding": "<|endoftext|>"},
        add_bos=False,
        add_space_prefix=False,
        merges=merges,
    )


def _sentence_pieces(first: list[tuple[str, TokenType]], special: dict[str, str], add_space_prefix: bool) -> Vocabulary:
    pieces = [piece.replace(" ", SPACE) for piece in _pieces(f" {word}" for word in SPOKEN)]
    listed = [
        *first,
        *((f"<0x{byte:02X}>", TokenType.BYTE) for byte in range(256)),
        *((piece, TokenType.NORMAL) for piece in [*pieces, SPACE, *PRINTABLE, *UMLAUTS]),
    ]
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=[token for token, _ in listed],
        types=[kind for _, kind in listed],
        special=special,
        add_bos=True,
        add_space_prefix=add_space_prefix,
        scores=[-float(number) if kind is TokenType.NORMAL else 0.0 for number, (_, kind) in enumerate(listed)],
    )


def _pieces(spoken: Iterable[str]) -> list[str]:
    """All pieces, and their beginnings of two or more characters: a piece is reached by adding one to another."""
    wanted = [*PUNCTUATION, *WORDS, *IDS, *spoken]
    return sorted({piece for whole in wanted for piece in _beginnings(whole)}, key=lambda piece: (len(piece), piece))


def _beginnings(whole: str) -> Iterator[str]:
    return (whole[:length] for length in range(2, len(whole) + 1))


def _byte_letters() -> dict[int, str]:
    """GPT-2's letter for each byte: itself if it is printable, else one from 0x100 on (source: its encoder.py)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(0x100 + at) for at, byte in enumerate(others)}
