"""Stories and side clauses, told by their letters alone. Runs in the prompt process."""


def story(letters: str) -> tuple[int, int]:
    """Where a story stands, from comma to comma: around it only an order counts."""
    first, last = letters.find("Z"), letters.rfind("Z")
    if first < 0:
        return 0, 0
    end = letters.find(",", last)
    return max(0, letters.rfind(",", 0, first)), len(letters) if end < 0 else end


def is_spent(clause: str) -> bool:
    """Whether a condition has its main clause, about no machine: "when it rings, you let it ring"."""
    if clause.startswith("A"):
        return clause.count("I") > 1 and "j" in clause  # "if I had known that I would have ..."
    words = clause.strip("&P")
    if words.startswith("l") and words.endswith("D") and not {"I", "b", "B"} & set(words):
        return False  # "for the closure later, suction off"
    return ("I" in words and len(words) > 1) or len(words) > 2
