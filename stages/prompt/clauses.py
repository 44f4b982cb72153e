"""What one sentence tells: its constructions, and what stands around them. Runs in the prompt process.

A construction counts unless something around it takes that away: a question, a story, what is not real, a
condition. What stands before it in its clause (`lead`) may turn it round or put it off.
"""

import re
from typing import Final

from stages.prompt.asking import CALLS, is_call, is_meek, is_pleading
from stages.prompt.construction import tell
from stages.prompt.grammar import GRAMMAR, MACHINES, OPPOSITE, ORDERS
from stages.prompt.language import Language
from stages.prompt.place import Place, counts, counts_in_story
from stages.prompt.referents import Referents
from stages.prompt.side import adjoins, done_first, is_reported, is_spent, own_part, still_to_come, stories, trails
from stages.prompt.tokens import Sentence, Token
from stages.prompt.told import Told, not_asked

_INVERTED: Final = frozenset("IdMTWOGaF")  # behind "is", "should", at the start of a clause: a question
_BEFORE_VERB: Final = frozenset("Im%LnuHpjB")  # what stands between a subject and its verb
_TELLING: Final = MACHINES | frozenset(",&AUDCK0RcqjQgpLtbB%Hn")  # what `_between` looks at
_PAST: Final = frozenset("SVXYB")
_VERBS: Final = frozenset("vxyhsk=")
_THINGS: Final = re.compile(r"[daO]*[MGF](?:&[daO]*[MGF])*")
_UNKNOWN: Final = re.compile(r"[,0&]*da*[_+]{1,2}[,P]*")
_LEFT: Final = re.compile(r",*[kc]W[,Pt]*$")  # "actually, leave it"
_CALLED: Final = re.compile(r",?P|t|,p(?:,|$)")  # behind what is called for
_REFUSALS: Final = frozenset(("don't", "dont", "do not", "don't you", "don't you dare", "not"))
_GOING: Final = frozenset(("goes", "go", "comes", "come"))  # "as soon as she sleeps the ventilator goes on"
_AFTER: Final = frozenset(("after", "right after", "just after", "only after", "following", "upon"))
_ONCE: Final = ("after", "once", "as soon as", "soon as", "the moment", "the minute")
_BEFORE: Final = ("before you", "before we", "before i")
_ENDING: Final = frozenset("_lWfo")  # what a side clause may end with
_STATING: Final = frozenset("bBH")
_SEEING: Final = frozenset(("see", "notice", "say", "that", "how", "hear", "find", "spot", "with", "without"))
_AFTERTHOUGHTS: Final = frozenset(("rather", "instead"))


class Clauses:
    """Reads a sentence. `told` has what counts, in order; `before` is what was told before it in the utterance."""

    def __init__(
        self,
        sentence: Sentence,
        language: Language,
        before: list[Told],
        named: list[Token],
        hinted: list[Token],
        uncounted: Told | None = None,
    ) -> None:
        """`named`: the machines named so far, for "it"; what this sentence names is added.

        `hinted`: what an utterance hints at that names nothing, and where. `uncounted`: an order of the sentence
        before it that did not count.
        """
        self.told = before
        self._first = len(before)
        self._sentence = sentence
        self._language = language
        self._named = named
        self._referents = Referents(before, named, language, hinted)
        self._lead_from = 0
        self._clause_from = 0
        self._mood = ""  # "void": what follows does not count; "later": it is for later
        self._in_story = False
        self._asked = False
        self._polite = False
        self._zone = ""  # in a side clause: "when" or "while"
        self._later = False  # what follows waits for a condition
        self._condition: list[int] = []  # words of it: from, to
        self._delay_s: float | None = None
        self._back: Told | None = None  # told before its condition, which is being read
        self._correcting = ""
        self.uncounted = uncounted  # an order that was told and does not count: asked, or only thought of
        self._last_end = -1  # of the construction before
        self._last: Told | None = None
        self._read()
        if self.uncounted is uncounted:  # a sentence later nothing refuses it any more
            self.uncounted = None

    def _read(self) -> None:
        letters = self._sentence.letters
        at = 0
        for begin, end in stories(letters):
            self._in_story = True
            self._read_part(at, begin)
            self._named += [t for t in self._sentence.tokens[begin:end] if t.letter in MACHINES and t.names]
            self._mood, self._zone, self._lead_from, self._clause_from = "", "", end, end
            self._later, self._delay_s, self._condition = False, None, []
            at = end
        self._read_part(at, len(letters))
        self._end_condition(len(letters))
        if self._sentence.asked:
            self._asked_of(len(letters))

    def _read_part(self, at: int, end: int) -> None:
        letters = self._sentence.letters
        for found in GRAMMAR.finditer(letters, at):
            if found.end() > end:
                break
            for i in range(at, found.start()):
                if letters[i] in _TELLING:
                    self._between(i)
            self._construction(str(found.lastgroup).replace("_", " "), found.start(), found.end())
            at = found.end()
        for i in range(at, end):
            if letters[i] in _TELLING:
                self._between(i)

    # --- what stands between constructions ----------------------------------------------------------------

    def _between(self, at: int) -> None:
        letters = self._sentence.letters
        letter = letters[at]
        if letter in MACHINES and (token := self._sentence.tokens[at]).names:
            self._named.append(token)
        if letter == ",":
            self._boundary(at)
            if self._mood == "void" or (self._mood == "later" and not self._later):
                self._mood = ""
            self._asked = False
        elif letter == "&":
            if self._zone != "when" or self._back is not None:
                self._boundary(at)
            else:
                self._lead_from = at + 1
            turns = self._sentence.tokens[at].text == "but" and letters[at + 1 : at + 2] in tuple("mpsvx")
            if self._mood == "void" and (not self._asked or turns):  # "... which I cannot recall, but stop the pump"
                self._mood = ""
            self._then(at)
        elif letter == "A":
            self._when(at)
        elif letter == "U":
            self._end_condition(at)
            self._zone, self._back = "while", None
            self._lead_from = at + 1
        elif letter == "D":
            self._delay(at)
        elif letter in "CK" or (letter == "0" and letters[at + 1 : at + 2] == ","):
            self._correcting = "C" if letter == "K" and letters[:at].endswith("0,") else letter  # "no, sorry"
            self._mood, self._lead_from = "", at + 1
            self._meant(at)
            if _LEFT.match(letters, at + 1):
                self._retract()
        elif letter == "R" or (letter == "c" and letters[at + 1 : at + 2] in ("", ",")):
            self._retract()
        elif self._zone:
            return
        elif letter == "n":
            self._refuse(at)
        elif letter in "j%" and self._opens(at) and is_pleading(self._sentence, at):
            self._mood, self._polite, self._lead_from = "", True, at
        elif letter in "qjQ":
            if not is_meek(self._sentence, at):
                self._mood, self._asked = "void", letter == "q" or self._asked
        elif letter == "g":
            self._asked_of(at)
        elif letter == "p" and letters[at + 1 : at + 2] in _PAST and letters[at + 1 :]:
            return  # "somebody turned it off" asks for nothing
        elif letter == "p":
            self._mood, self._polite, self._lead_from = "", True, at
        elif letter == "L" and self._mood != "void":
            self._mood = "later"
        elif letter == "t" and self._mood == "later" and not self._later:
            self._mood = ""
        elif letter in "bB%H" and self._opens(at) and letters[at + 1 : at + 2]:
            follows = letters[at + 1]
            stated = letter == "H" and self._sentence.tokens[at].text != "has"  # "have the suction on"
            if (
                follows == "I"
                or (follows == "n" and letter == "H" and not stated)
                or (not stated and follows in _INVERTED)
            ):
                self._mood, self._asked = "void", True

    def _opens(self, at: int) -> bool:
        return not self._sentence.letters[self._lead_from : at].strip("n&P")

    def _boundary(self, at: int) -> None:
        """A comma or "and": a side clause before it is over."""
        letters = self._sentence.letters
        clause = letters[self._clause_from : at]
        self._end_condition(at)
        goes_on = letters[at] == "&" and letters[at + 1 : at + 2] in _VERBS  # "you go back to two lungs and stop ..."
        behind = self._sentence.words[self._sentence.tokens[at].end :]
        so = letters[at] == "," and behind[:1] == ["so"] and "then" not in behind[-2:]  # "it is late, so ..."
        goes_on = goes_on or (
            letters[:at].endswith("D") and behind[:1] == ["then"]
        )  # "we squeeze ten minutes, then ..."
        if self._later and self._last_end <= self._clause_from and not goes_on and (so or is_spent(clause)):
            self._later, self._delay_s, self._condition = False, None, []
        more = letters[at] == "&" and self._condition[1:] == [at - 1] and letters[self._condition[0]] in "AD"
        self._clause_from = at if more else at + 1  # "when she sleeps, and not before, ..."
        self._zone = ""
        self._lead_from = at + 1

    def _when(self, at: int) -> None:
        self._end_condition(at)
        if self._later and self._sentence.tokens[at].text == "that is when":  # "when it is in, that's when you ..."
            self._lead_from = at + 1
            return
        unreal = "j" in self._sentence.letters[self._lead_from : at]  # "he would have a fit if he saw this"
        self._zone = "when"
        self._condition = [at]
        self._lead_from = at + 1
        leads = at > 0 and self._sentence.tokens[at - 1].text == "and"  # "the camera on and once that is done ..."
        if not leads and self._adjoins(at, self._sentence.tokens[at].text):
            clause = self._sentence.letters[self._clause_from : self._last_end]
            done = "I" in clause and is_reported(clause)  # "I turned it off when you swapped scopes"
            self._back = None if done else self._last
        else:
            self._back, self._later = None, self._later or not unreal

    def _then(self, at: int) -> None:
        """What follows "and" or "then" waits for a clause about no machine: "let me finish this first, then ..."."""
        letters, tokens = self._sentence.letters, self._sentence.tokens
        paused = letters.rfind(",", 0, at - 1)
        if paused > 0 and letters[paused:at].strip(",") in ("", "_"):  # "two more shots, Anna, and then ..."
            paused = letters.rfind(",", 0, paused)
        begin = max(paused + 1, self._last_end)
        found = None
        if not letters[begin:at].strip(",") and len(self.told) == self._first:  # "she gets turned. After that, ..."
            found = (at, at + 1) if tokens[at].text.endswith("after that") else None
        elif tokens[at].text.endswith(("then", "after that", "afterwards")):
            found = done_first(letters, tokens, self._sentence.words, begin, at)
        if found is None and still_to_come(tokens[begin:at], self._language.numbers):
            found = begin, at
        if found is not None:
            self._later, self._condition = True, list(found)
            self._delay_s = tokens[found[1] - 1].delay_s or None

    def _delay(self, at: int) -> None:
        token = self._sentence.tokens[at]
        letters = self._sentence.letters
        if token.text.startswith("at ") and is_reported(letters[self._clause_from : self._last_end]):
            return  # "drain connected at eleven forty"
        ahead = token.text.endswith(_BEFORE)  # "let it run another hour before you stop it"
        behind = not ahead and (self._adjoins(at) or trails(letters, self._last_end, at, token.text))
        target = self._last if behind else None  # "suction off, but only in two minutes"
        if target is not None and target.things:
            target.deferred, target.waits_for, target.delay_s = True, token.text, token.delay_s or None
        else:
            self._end_condition(at)
            self._later, self._delay_s, self._condition = True, token.delay_s or None, [at, at + 1]

    def _adjoins(self, at: int, condition: str = "in case") -> bool:
        """Whether the construction before ends here, but for small words."""
        return self._last is not None and adjoins(self._sentence.letters, self._last_end, at, condition)

    def _end_condition(self, at: int) -> None:
        if len(self._condition) == 1:
            self._condition.append(at)
            tokens, words = self._sentence.tokens, self._sentence.words
            until = tokens[at].start if at < len(tokens) else tokens[-1].end + 2
            if self._language.courtesies.search(" ".join(words[tokens[self._condition[0]].end : until])):
                self._later, self._back, self._condition = False, None, []
                self._zone, self._polite = "", True
        if self._back is not None and self._zone == "when":
            self._back.deferred, self._back.waits_for = True, self._waits_for()
            self._back, self._condition = None, []
            self._zone = ""

    def _waits_for(self) -> str:
        if len(self._condition) < 2:
            return ""
        tokens = self._sentence.tokens[self._condition[0] : self._condition[1]]
        return " ".join(self._sentence.words[tokens[0].start : tokens[-1].end]) if tokens else ""

    def _meant(self, at: int) -> None:
        """What stands before "I mean" or "rather" at the end: "suction, er, irrigation I mean"."""
        letters, last = self._sentence.letters, self._last
        if letters[at] == "C" and _UNKNOWN.fullmatch(letters, at + 1):  # "no sorry, the purple one"
            self._retract()
        if last is None or letters[at + 1 :].strip(","):
            return
        end = at - letters[:at].endswith(",")  # "camera, I mean"
        pause = letters.rfind(",", 0, end)
        behind = letters[at] == "C" or self._sentence.tokens[at].text in _AFTERTHOUGHTS
        if behind and _THINGS.fullmatch(letters, pause + 1, end) and pause > 0:
            last.things = [t for t in self._sentence.tokens[pause + 1 : end] if t.letter in MACHINES]
        elif letters[at] == "C" and self._adjoins(at):
            last.things = last.things[-1:]
            before = self.told[-2:-1]
            if before and before[0].action == last.action and not before[0].earlier:  # "A off, B off I mean"
                del self.told[-2]

    def _retract(self) -> None:
        if self.told and not self.told[-1].earlier:
            self.told.pop()
        self._last = None

    def _refuse(self, at: int) -> None:
        """What refuses what was ordered, asked or thought of before it: "don't", "argon off? Over my dead body"."""
        letters, text = self._sentence.letters, self._sentence.tokens[at].text
        alone = self._opens(at) and letters[at + 1 : at + 2] in ("", ",")
        flatly = text in self._language.moods.refusal
        asked = at == 0 and self.uncounted is not None  # "argon on? Not in my theatre with that torn cover"
        answers = asked or at == self._last_end
        if not (alone and (flatly or text in _REFUSALS)) and not (flatly and answers):
            return
        told, self.uncounted = self.uncounted, None
        corrected = self._correcting or flatly or text == "not"
        if told is None and corrected and self.told[-1:] == [self._last] and not self.told[-1].negation:
            told = self.told.pop()  # "start the suction, no, don't"
        if told is not None and not told.negation:
            told.action, told.negation = OPPOSITE[told.action], text
            self.told.append(told)
        self._lead_from = at + 1

    # --- constructions ------------------------------------------------------------------------------------

    def _construction(self, rule: str, start: int, end: int) -> None:
        letters = self._sentence.letters
        tokens = self._sentence.tokens[start:end]
        lead = letters[self._lead_from : start]
        if self._zone:
            if not self._leaves_zone(rule, lead, tokens, start):
                if rule in CALLS:
                    self.uncounted = tell(rule, self._sentence, start, end, lead, self._referents)
                self._named += [t for t in tokens if t.names and t.letter in MACHINES]
                self._lead_from = end
                return
            lead = letters[self._lead_from : start]
        now = letters[end : end + 1] == "t" or "t" in lead
        if self._mood == "later" and not self._later and now:
            self._mood = ""
        if rule in ("state", "passive") and (part := own_part(rule, letters[start:end], lead)):
            for i in range(start, start + part):
                if letters[i] in _TELLING:
                    self._between(i)
            self._lead_from = start + part
            self._construction(rule, start + part, end)
            return
        last = self._referents.last
        if rule == "correction" and letters[start] == "C" and self._asked and last is not None and not last.earlier:
            self._mood = ""  # "what am I saying, I meant ..."
        told = tell(rule, self._sentence, start, end, lead, self._referents)
        if self._mood == "void" and not self._asked and is_call(rule, self._sentence, start, end, lead):
            self._mood, lead = "", lead[-1:]
        if told is not None and self._mood != "void" and tokens:
            place = Place(
                rule,
                tokens,
                lead,
                subject=self._subject(lead),
                following=letters[end : end + 1],
                called=_CALLED.match(letters, end) is not None,
                told_before=last is not None,
                corrected=last is not None and last.rule.endswith("corrected"),
                refused=last is not None and last.rule == "cancel",
                at_end=not letters[end:].strip(",Pt"),
                waits=self._later and self._waits_for().startswith(_ONCE),
                joined=letters[: start - len(lead)].endswith("&") and (last is None or last.action != "ON"),
            )
            told_now = counts_in_story(place, self._sentence, self._language)
            if (not self._in_story or told_now or self._goes_on(rule, start)) and counts(
                place, self._sentence, self._language
            ):
                self._only(told, tokens[0], end)
                self._take(told, end)
            else:
                self._last = None
        elif self._mood != "void":
            self._last = None
        elif rule in CALLS:
            self.uncounted = told
        self._named += [t for t in tokens if t.names and t.letter in MACHINES]
        self._lead_from = end

    def _goes_on(self, rule: str, start: int) -> bool:
        """Whether it belongs to what was ordered in the midst of a story: "fluoro on please and the camera off"."""
        if self._last is None:
            return False
        return rule == "correction" or not self._sentence.letters[self._last_end : start].strip("P&,d")

    def _leaves_zone(self, rule: str, lead: str, tokens: list[Token], start: int) -> bool:
        """Whether the main clause begins here; else the construction is part of the side clause."""
        subject = lead.rfind("I")
        goes = rule == "state" and "I" in lead and any(token.text in _GOING for token in tokens)
        goes = goes and self._sentence.words[tokens[0].start - 1] not in _SEEING
        # "after the leak test the suction goes off"
        goes = goes or (rule == "state" and self._waits_for_a_thing(lead) and any(t.text in _GOING for t in tokens))
        # "once both leads are in the lights can go off"
        may = (
            rule in ("state", "passive")
            and any(token.letter == "%" for token in tokens)
            and not _STATING.isdisjoint(lead)
        )
        goes = goes or may
        ordered = goes or (rule in ORDERS and (lead.endswith("IL") or not any(token.ing for token in tokens)))
        if not ordered and self._ends_bare(rule, lead, tokens, start):
            ordered = True
        if not ordered or ((subject == 0 or self._back is not None) and subject >= 0 and lead[-1] in _BEFORE_VERB):
            return False
        if not lead and self._zone == "when" and self._back is None and not (start - self._condition[0] > 1):
            return False
        at = self._lead_from + subject if subject > 0 else start
        self._end_condition(at)
        self._zone = ""
        self._lead_from = at
        for i in range(at, start):
            self._between(i)
        return True

    def _waits_for_a_thing(self, lead: str) -> bool:
        """Whether the condition is no clause: "after the leak test"."""
        after = self._zone == "when" and self._sentence.tokens[self._condition[0]].text in _AFTER
        return after and lead.strip("da") != "" and _STATING.isdisjoint(lead) and "I" not in lead

    def _ends_bare(self, rule: str, lead: str, tokens: list[Token], start: int) -> bool:
        """ "If it bleeds again suction on": nothing else could be the main clause."""
        letters, said = self._sentence.letters, self._sentence.words[tokens[0].start - 1]
        bare = rule == "state" and tokens[-1].letter in "of" and (lead.strip("da") or " ")[-1] in _ENDING
        going = not any(token.letter in "bBHn%u" and token.text not in _GOING for token in tokens)
        last = not letters[start + len(tokens) :].strip(",Pt")
        return bare and going and last and self._zone == "when" and self._back is None and said not in _SEEING

    def _subject(self, lead: str) -> str:
        at = lead.rfind("I")
        return self._sentence.tokens[self._lead_from + at].text if at >= 0 else ""

    def _take(self, told: Told, end: int) -> None:
        last = self._referents.last
        if told.rule == "correction" and last is not None:
            self.told.pop()
            told.rule = f"{last.rule.removesuffix(', corrected')}, corrected"
        elif self._correcting and last is not None and self._corrects(last, told):
            self.told.pop()
        self._correcting = ""
        now = self._sentence.letters[end : end + 1] == "t" and self._sentence.tokens[end].text.endswith("now")
        if (self._mood == "later" or self._later) and not now:  # "in case it bleeds, start it now"
            told.deferred, told.waits_for, told.delay_s = True, self._waits_for(), self._delay_s
        self.told.append(told)
        self._last, self._last_end = told, end

    def _only(self, told: Told, verb: Token, end: int) -> None:
        """ "Leave only the suction on": everything else goes off."""
        if told.rule == "keep" and told.action == "ON" and verb.text.endswith(" only") and not told.negation:
            everything = Token("E", verb.text, verb.start, verb.end)
            self._take(Told("keep", "OFF", [everything], told.words, excepted=told.things), end)

    def _corrects(self, last: Told, told: Told) -> bool:
        if self._correcting == "C":
            return not last.earlier  # in the sentence before too: "irrigation off. Sorry, I meant suction off"
        return len(self.told) > self._first and (last.action == told.action or self._correcting == "0")

    def _asked_of(self, end: int) -> None:
        """The last part of the sentence up to there is a question."""
        here = self.told[self._first :]
        self.told[self._first :] = kept = not_asked(here, self._sentence, end)
        if here and here[-1:] != kept[-1:]:
            self.uncounted = here[-1]
