"""What one input did to a session. Runs in the prompt process."""

from pipeline.messages import Toggle
from stages.prompt.rules import Reading


class Change:
    """What one input did to a session, for the outcome that is published about it."""

    __slots__ = ("debounced", "held", "keywords", "late", "negations", "suggestions", "temporal", "toggles", "unknown")

    def __init__(self, reading: Reading | None = None) -> None:
        self.toggles: list[Toggle] = []
        self.debounced: list[str] = []
        self.held: list[str] = []  # machines that an override kept as they were
        self.late: list[str] = []  # machines that something newer has set
        self.suggestions: list[str] = []
        self.unknown = reading.unknown if reading else ()
        self.negations = reading.negations if reading else ()
        self.keywords = reading.matched_keywords if reading else ()
        self.temporal = reading.temporal if reading else "none"

    def reasoning(self) -> str:
        """One line on why; "normal" if nothing happened."""
        parts = [f"{t.name} {t.action} ({t.trigger})" if t.trigger else f"{t.name} {t.action}" for t in self.toggles]
        if self.held:
            parts.append(f"{len(self.held)} toggle(s) not applied, overridden: {', '.join(self.held)}")
        if self.late:
            parts.append(f"{len(self.late)} toggle(s) not applied, older than what is known: {', '.join(self.late)}")
        return "; ".join(parts) or "normal"
