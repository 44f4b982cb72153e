"""Questions about all surgeries as the prompt process asks them, for models that are to be compared."""

import random
from collections.abc import Collection, Iterator

from pipeline.config import resolve
from pipeline.messages import Action, Prompt
from stages.prompt.prompts import Prompts
from stages.prompt.tail import Moment
from stages.prompt.window import format_line
from stages.surgery import Surgery, load_surgeries

SAYINGS = (
    "Turn on the {} please.",
    "{} off.",
    "No {} for now, thank you.",
    "Is the {} ready?",
    "We will need the {} in ten minutes.",
    "{} to standby, and count the sponges.",
)
STATES: tuple[Action, ...] = ("ON", "OFF", "STANDBY")


def questions(each: int, of: Collection[str] = ()) -> Iterator[Prompt]:
    """`each` questions about every surgery, or about those named; in the completion form, the same each time."""
    surgeries = load_surgeries(resolve("configs/machines"))
    for surgery in (surgeries[name] for name in of or surgeries):
        chance = random.Random(surgery.surgery)
        prompts = Prompts("completion", "small")
        for _ in range(each):
            yield _question(surgery, prompts, chance)


def _question(surgery: Surgery, prompts: Prompts, chance: random.Random) -> Prompt:
    t = float(chance.randrange(30, 4000))
    lines = []
    for _ in range(chance.randrange(1, 5)):
        machine = chance.choice(surgery.machines)
        text = chance.choice(SAYINGS).format(chance.choice([machine.name, *machine.aliases]))
        lines.append(format_line(t, chance.choice(["Surgeon", "Nurse", "Anesthetist"]), text) + "\n")
        t += chance.randrange(1, 20)
    states = {machine.id: chance.choice(STATES) for machine in surgery.machines}
    return prompts.build(surgery, "".join(lines), Moment(t=t, phase=chance.choice(surgery.phases).id, machines=states))
