"""Rules that read nothing, for a pipeline in which the model alone is heard. Runs in the prompt process."""

from stages.prompt.rules import Reading, RuleEngine

_NOTHING = Reading()


class Silence:
    """Stands where a RuleEngine would."""

    def read(self, text: str, speaker: str = "", before: Reading | None = None) -> Reading:
        """Nothing, whatever `text` is."""
        return _NOTHING


Rules = RuleEngine | Silence
