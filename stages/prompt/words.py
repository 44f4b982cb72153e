"""The words that the rules know, by what they do in a sentence. Read by lexicon.py in the prompt process.

A phrase stands under exactly one kind; a phrase of several words wins over its parts. Words that stand under no
kind are of the kind "word": they name something that is no machine, and so end the reach of a verb.
"""

from typing import Final, Literal

Kind = Literal[
    "mention",  # a phrase of the dictionary
    "start",  # switches its object on
    "stop",  # switches its object off
    "standby",  # puts its object on standby
    "hold",  # standby too, unless something is held by hand
    "open",  # a verb that waits for "on" or "off"
    "cancel",  # a start that shall not be: "skip the irrigation"
    "negation",  # turns the verb that follows round
    "on",
    "off",
    "after",  # what it belongs to is not for now
    "before",  # what follows it is not for now, what stands around it is
    "now",
    "ask",  # opens a question, at the beginning of a clause
    "be",  # a statement about what stands before it; a question at the beginning of a clause
    "request",  # "could you": a command in the form of a question
    "please",
    "the",
    "filler",  # may stand between a verb and its object
    "still",  # how something is held by hand
    "and",
    ",",
    "end",
    "word",
]

PHRASES: Final[dict[Kind, tuple[str, ...]]] = {
    "start": (
        *("start", "activate", "enable", "begin", "initiate", "resume", "restart", "reactivate", "launch"),
        *("run", "use", "need", "connect", "fire up", "power up", "bring up", "go ahead with", "give me"),
        *("let me have", "let's have", "let's use"),
    ),
    "stop": (
        *("stop", "deactivate", "disable", "end", "kill", "cut", "shut", "shut down", "power down", "halt"),
        *("cease", "terminate", "discontinue", "disconnect", "done with", "finished with"),
    ),
    "standby": (
        *("standby", "stand by", "pause", "idle", "on standby", "on stand by", "in standby", "to standby"),
        *("on hold", "on pause"),
    ),
    "hold": ("hold",),
    "open": ("turn", "switch", "power", "put", "flip", "leave", "keep", "get"),
    "cancel": (
        *("cancel", "skip", "forget", "forget about", "never mind", "hold off", "hold off on", "wait with"),
        *("wait on", "no", "no more", "no need for", "without"),
    ),
    "negation": (
        *("don't", "dont", "do not", "not", "never", "no need to", "shouldn't", "should not", "must not"),
        *("can't", "cannot", "won't", "doesn't", "does not"),
    ),
    "on": ("on",),
    "off": ("off",),
    "after": (
        *("after", "when", "once", "if", "unless", "as soon as", "later", "soon", "shortly", "about to"),
        *("ready to", "going to", "prepare to", "planning to", "plan to"),
    ),
    "before": ("before", "until", "till", "during", "while"),
    "now": ("now", "right now", "immediately", "stat", "right away", "straight away", "at once", "asap"),
    "ask": (
        *("what", "what's", "why", "where", "where's", "who", "which", "how", "how's", "did", "does", "has"),
        *("do we", "do you", "do i", "have we", "have you", "should", "shall"),
    ),
    "be": (
        *(
            "is",
            "are",
            "was",
            "were",
            "isn't",
            "aren't",
            "'s",
            "'re",
            "looks",
            "look",
            "seems",
            "sounds",
            "works",
            "been",
        ),
        *("remains", "stays"),
    ),
    "request": (
        *("can you", "could you", "would you", "will you", "can we", "could we", "can i", "could i", "may i"),
        *("would you mind", "if you could", "if you can", "can someone", "could someone"),
    ),
    "please": ("please", "okay", "ok", "alright", "thanks", "thank you", "kindly"),
    "the": ("the", "a", "an", "this", "that", "these", "those", "my", "your", "our", "some", "any", "more"),
    "filler": (
        *("all", "both", "back", "right", "again", "up", "with", "me", "us", "also", "too", "just", "so"),
        *("uh", "um", "er", "well", "hey", "left", "main", "first", "second", "other", "new", "completely"),
        *("once more", "once again", "one more time"),
        *("need to", "go ahead and", "make sure to", "don't forget to", "now that"),
    ),
    "still": ("steady", "still", "there", "here", "closer", "tight", "in place", "in position", "like this"),
    "and": ("and", "plus", "as well as", "or", "then", "but"),
}

# A device noun that needs a word before it to say which device it is: "irrigation pump" is not the alias "pump".
DEVICE_NOUNS: Final = frozenset(
    ("pump", "monitor", "display", "camera", "drain", "lamp", "scope", "probe", "tube", "machine", "unit")
)

# A trigger phrase with one of these changes how much, not whether; "don't brighten" switches nothing off.
ADJUSTMENTS: Final = frozenset(("dim", "brighten", "brightness", "adjust", "increase", "up"))

TEMPORAL_ORDER: Final = ("immediately", "after", "when", "in_time", "before", "during")

TEMPORAL: Final[dict[str, str]] = {
    "after": "after",
    "when": "when",
    "once": "when",
    "if": "when",
    "unless": "when",
    "as soon as": "when",
    "before": "before",
    "until": "before",
    "till": "before",
    "during": "during",
    "while": "during",
}
