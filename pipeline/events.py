"""What a running instance tells whoever launched it: one JSON object a line on standard output.

Any launcher in any language can follow them; `sentence` is the same for a person.
"""

import msgspec

from pipeline.messages import Description, ModelState


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Something that happened to the instance."""

    def sentence(self) -> str:
        """The event for a person, in a line or a few."""
        raise NotImplementedError


class Ready(Event, frozen=True, kw_only=True, tag="ready"):
    """Messages are taken: prompt and parse are up. The model may still be loading."""

    pid: int
    directory: str
    requests: str
    journal: str
    description: Description

    def sentence(self) -> str:
        """Where to talk to it."""
        return f"ready: requests at {self.requests}, states at {self.description.states}"


class Model(Event, frozen=True, kw_only=True, tag="model"):
    """The state of the model changed."""

    state: ModelState
    name: str
    label: str
    error: str = ""

    def sentence(self) -> str:
        """The model and its state."""
        name = f" {self.name}" if self.name else ""
        return f"model{name}: {self.state}" + (f": {self.error}" if self.error else "")


class StageDied(Event, frozen=True, kw_only=True, tag="stage_died"):
    """A stage process ended that should not have."""

    stage: str
    pid: int
    how: str
    at_work: tuple[str, ...]
    log: tuple[str, ...]

    def sentence(self) -> str:
        """Who died, how, at what, and its last words."""
        work = f" at work on {', '.join(self.at_work)}" if self.at_work else ""
        last = "".join(f"\n    {line}" for line in self.log)
        return f"{self.stage} process {self.pid} died{work}: {self.how}{last}"


class StageReady(Event, frozen=True, kw_only=True, tag="stage_ready"):
    """A stage process takes messages."""

    stage: str
    pid: int
    restarts: int

    def sentence(self) -> str:
        """Who is ready."""
        again = f" after restart {self.restarts}" if self.restarts else ""
        return f"{self.stage} process {self.pid} ready{again}"


class DeadLettered(Event, frozen=True, kw_only=True, tag="dead_letter"):
    """A message could not be taken."""

    reason: str
    error: str
    source: str

    def sentence(self) -> str:
        """What was wrong with it."""
        return f"dead letter ({self.reason}) at {self.source}: {self.error}"


class JournalChanged(Event, frozen=True, kw_only=True, tag="journal"):
    """A stage's journal cannot be written, or is written again. `lost`: records that are not in it."""

    stage: str
    error: str
    lost: int

    def sentence(self) -> str:
        """What became of it."""
        lost = f"{self.lost} records are lost" if self.lost else "nothing is lost"
        if not self.error:
            return f"journal of the {self.stage} process: is written again, {lost}"
        return f"journal of the {self.stage} process: {self.error}; {lost}, the pipeline goes on and tries again"


class JournalsRemoved(Event, frozen=True, kw_only=True, tag="journals_removed"):
    """Journals of earlier runs were beyond the limits of the configuration."""

    folders: tuple[str, ...]

    def sentence(self) -> str:
        """Which ones."""
        return f"removed by run.keep_days and run.keep_mb: {', '.join(self.folders)}"


class Stopped(Event, frozen=True, kw_only=True, tag="stopped"):
    """The instance ends. `failure` is empty if all that was accepted was finished."""

    failure: str
    journal: str

    def sentence(self) -> str:
        """How it ended."""
        journal = f"; journal in {self.journal}" if self.journal else ""
        return (f"stopped: {self.failure}" if self.failure else "stopped, all work done") + journal


AnyEvent = Ready | Model | StageDied | StageReady | DeadLettered | JournalChanged | JournalsRemoved | Stopped
EVENTS = msgspec.json.Decoder(AnyEvent)
