"""The grammar: which constructions tell a machine something. Runs in the prompt process.

A sentence is a string of letters, one for each phrase (language.KINDS). A construction is a pattern over it; the
leftmost one is taken, of two that begin together the one that stands first here. Nothing else switches a machine.
What a construction says follows from its letters: a particle or state if there is one, else its verb.
"""

import re
from typing import Final

from pipeline.messages import Action

# Pieces. A machine may have articles and adjectives before it. A noun behind it makes it another thing ("suction
# tip"), so a list ends before one; only a particle verb may be followed by a word that is no known part ("turn off
# the lights Anna"). A machine that has its own state behind it ("stop A and B on") does not belong to the list.
_ALONE = r"(?![_+O]|d(?!a*[MGF]n?[ofz])|W(?![bH%mL]))"  # "turn it off it is loud", but no "on it"
_STATE = rf"(?:[ofze]|r(?![ofz]))(?!l(?!I)|=|&[ofz]|a(?![,.&Pt]|$)){_ALONE}"  # "suction on low", but no "on low bed"
_ONE = r"[daO]*[MGFWET](?![_+F])"
_LOOSE = r"[daO]*[MGFWET](?!\+)"
_NEXT = r"[daO]*[MGF](?![_+F])"
_LOOSE_NEXT = r"[daO]*[MGF](?!\+)"
_OWN = rf"(?:[bBHL]|n?{_STATE}|I[n%m]*[vxyswk=])"  # what is said of a machine itself: "stop A, B is dirty" is about A
_JOINED = rf"(?:,(?![,&]*{_NEXT}(?:&+{_NEXT})*{_OWN})[,&]*|&*(?!{_NEXT}{_OWN}))"
_MORE = rf"(?:{_JOINED}{_NEXT})*"
_BUT = rf"(?:[,P]*!,*{_ONE}{_MORE})?"  # "except the lights"
_LIST = rf"{_ONE}{_MORE}{_BUT}"
_AMENDED = rf"(?<![^,&Pt]){_ONE},?[0CK][,0CK]*{_ONE}"
_LOOSE_LIST = rf"{_LOOSE}(?:{_JOINED}(?:{_NEXT}|(?<=&){_LOOSE_NEXT}))*{_BUT}"
_SOON = rf"{_LIST}(?![bBH%])"  # behind "now": "start now the suction", but no "start now, the suction is ready"
_ALL = rf"(?!d?T,){_ONE}(?:[,&]*{_NEXT})*"  # a particle may follow these
_PLACE = r"(?:l[da]*[_+aIm]{1,2})?"  # "the lights over the table", "on my side"
_PLACED = rf"{_ONE}{_PLACE}(?:[,&]*{_NEXT}{_PLACE})*"
_AS_BASE = r"(?<=[bBH])(?:[vxy]|[s=][ofz])"  # "can be shut down", "has shut off": a past that is as the base form
_SWITCHED = rf"(?:(?<=b)[VXY](?![_+MGF])|(?:[VXY]|S[ofz]|{_AS_BASE})(?![d_+MGF]))"
_ASIDE = r"[^,ofzrsSvVxXMGFEk=]{0,10}"
_VERB = r"(?<!d)(?<!da)(?<!d[of])"  # "the start" is no verb, nor is "the off switch"
_WISH = r"(?:J|(?<=[qa]I)w[lt]?b)"  # "I would prefer", "what I need now is"
_HAVE = r"(?:w|(?<=[pm])H|(?<=[pm,CK]n)H|(?<=^n)H)"  # "I want", "could we have", "let us not have"

RULES: Final[dict[str, str]] = {
    "correction": rf"(?:[CK]|0(?=[,d]))(?:[,n&CK]|0(?![aO]*[MGFT]))*{_LIST}(?![%mHbLn]|k?n?{_STATE}|P)"
    rf"|[CK0],*{_STATE}(?![daO]*[MGF])",  # "no sorry, the suction"
    "particle verb": rf"{_VERB}[sS=][Pt]?[ofz](?:{_LOOSE_LIST}|t{_SOON})",  # "turn on the suction"
    "split verb": rf"{_VERB}[sS=]W[ofz][,P]*,{_LIST}(?=[,P]*$)"  # "turn these off: the suction and the lights"
    rf"|{_VERB}[s=]{_ONE},?[0CK][,0CK]*{_ONE},*[ofz](?![d_+])"  # "put the camera, no wait, the suction, on"
    rf"|{_VERB}s{_ONE}(?:,{_ASIDE}){{1,2}},[of](?=[,P]|$)"  # "turn the sealer, the left one, off"
    rf"|{_VERB}s{_ONE}db{_ASIDE}[of](?=[,Pp]|$)"  # "turn the lamp that is over there on"
    rf"|{_VERB}[sS=]t?{_PLACED}(?:[,&]*W)?{_BUT}[ofzr]{_ALONE}{_BUT}",  # "turn the suction off"
    "keep": rf"k{_ALL}t?b(?:[VXY]|S[ofz])"  # "let it be turned off"
    rf"|k{_ALL}[bk]?(?:[ofzre]{_ALONE}{_BUT}|[vxy](?![daMGTF])|(?:[VXY]|S[ofz])(?![d_+MGF]))"  # "leave it on"
    rf"|k[ofz]{_LIST}|kG"
    rf"|k{_ALL},[ofr](?=[,.P]|$)",  # "leave it as it is, off"
    "want": rf"{_HAVE}{_PLACED}u?b?(?:S[ofz]|[VXY])(?![d_+MGF])"  # "I want the suction stopped"
    rf"|{_HAVE}{_PLACED}(?:x|s[ofz])(?![d_+MGFW])"  # "let us have the suction shut down"
    rf"|{_WISH}{_PLACED}u?b?(?:[ofzr](?!l){_ALONE}|S[ofz]|[VXY])"
    rf"|(?:(?<=[IL])n|(?<=In)H|N){_PLACED}u?b?(?:[ofz](?!l){_ALONE}|S[ofz]|[VXYx])"  # "I do not want it off"
    rf"|(?<=I)w[ofz]b{_LIST}|(?<=[qa]I)w(?:[lt]?|(?:S[of]|[VX])t?)b{_LIST}(?=[,.P]|$)"  # "what I need off is ..."
    # "it is the suction I want off", "... that should stop", "... I am asking you to start"
    rf"|(?<=Wb){_LIST}d?(?:I[bwmJp]{{1,2}}u?b?|I(?=%)|)(?:%?b)?(?:%?[ofz]|[vxy]|[s=][of]|[VXY]|S[of])(?![d_+MGF])"
    rf"|{_HAVE}(?![daO]*[WE]){_PLACED}u?b?[ofzr](?!l){_ALONE}|{_HAVE}(?![daO]*[WE]|[^,I]*S){_LIST}(?!,?[fz]|d[j%])"
    r"|(?<=n)wW(?=[,.tP]|$)",
    "start": rf"{_VERB}v(?:{_LIST}|[Pt]{_SOON}|W[,P]*,{_LIST}(?=[,P]*$))",
    "stop": rf"{_VERB}x(?:{_LIST}|[Pt]{_SOON}|W[,P]*,{_LIST}(?=[,P]*$))",  # "stop these: the suction and the pump"
    "pause": rf"{_VERB}[yz](?:o(?=d))?{_LIST}",
    "hold": rf"{_VERB}h{_LIST}",
    "wish": rf"{_ALL}[ofz]?2(?=[,&PtAI]|$)",  # "suction would be good"
    # "skip the suction", "no need for fluoro", "done scanning"
    "cancel": rf"[cN]u?{_LIST}|n{_ALL}1|e(?:G|[daO]*M)|0[aO]*[MGFT](?![_+F]){_MORE}",
    "fronted": rf"(?<![^,&Pt]){_ALL},?(?:I[nb%m]*|[mpP]n?)(?:(?<=I)H(?:[VXY]|S[ofz])"
    rf"|[vxy]|[s=][ofz]|k[ofzr]|w(?:[ofzre]|(?=[Pt]|,*$)))"
    r"(?=$|[,PtIAUD]|&(?![ofz]))",  # "the suction you can stop"
    "passive": rf"{_ALL}P?(?:[bB](?:[nat]*u?b)?|H|%[at]*b|mb|nb)?(?:[nat]*|n=){_SWITCHED}"
    rf"|n[b%]{_ALL}b?(?:[VXY]|S[ofz])(?![d_+MGF])"  # "it has been turned off", "on no account is it to be stopped"
    rf"|n{_ALL}b(?:[VXY]|[sS][ofz])(?![d_+MGF])"  # "under no circumstances does it get shut off"
    rf"|nb{_ALL}b[ofr](?![d_+MGF])"  # "no way is that drain coming off"
    rf"|{_ALL}Pbs[ofz](?![d_+MGF])"  # "suction please be turning off"
    rf"|{_ALL},(?:[VXY]|S[ofz])(?=[,Pt]*$)"  # "lithotripter, switched off"
    # "neither the suction nor the pump is to be on"
    rf"|n[daO]*M(?:&[daO]*M)+b+(?:[VXY]|S[ofz]|[ofr]{_ALONE})(?![d_+MGF])",
    "again": r"(?:^|(?<=,))[,&Pt]*[ofz](?=[,Pt]*$|[Pt]*,(?!.*[MGFTE]))",  # "and off again", of what was switched before
    # "and the irrigation too", as what was switched before
    "also": rf"^,*&[,P]*{_LIST}(?=[,P]*$)"
    r"|(?:(?<=[ofzr])|(?<=[ofzr][,P])|(?<=[ofz]P,))&[daO]*[MGF](?:&[daO]*[MGF])*(?=W?[,P]*$)"
    rf"|(?<=[ofz],)[daO]*[MGF](?=W?[,P]*$)|(?<=[ofzM,t])&[daO]*[MGF](?=D[,Pt]*$)",
    "state": rf"W[ofzr][,Pt]*,{_LIST}(?=[,P]*$)"  # "all on: the suction and the camera"
    rf"|(?<![^,&Pt])[ofz],*W,*{_LIST}(?=[,P]*$)"  # "off, all of them: the suction and the camera"
    rf"|(?!W[,&]+[daO]*[MGF]){_ALL}(?:[,&]*W|a(?=b))?(?:b(?:[nat]*u?b)?|H|%[at]*b|n?mb|n?m|nb|u|%?k|mk)?[nta]*{_STATE}{_BUT}"
    rf"|{_ALL}b,[ofr](?=[,.P]|$)"  # "the lights stay as they are, on"
    rf"|{_ONE}l[da]*[_+aI]%[at]*b{_STATE}"  # "the suction in the field can go off"
    rf"|{_AMENDED},?[ofz](?=[,Pt]*$)"  # "the irrigation, no, the suction, off"
    # "suction: off", "camera, the big one, off"
    rf"|{_ALL},(?:[da]*[_+W],|[Pt]+,?)?[ofz](?=[,Pt]*(?:W[,Pt]*)?(?:,_{{1,2}})?,*$|,A)"
    rf"|(?<![^,&Pt])[of](?:W?b|b{_LIST})(?=[,.PtCI]|$)"  # "off it goes", "on goes the suction"
    rf"|{_ALL}(?:[%bnu]|bu)?[vxy](?=$|[,.&PtAD])"  # "suction stop", "the suction is to stop when ..."
    rf"|{_ALL},P?[Wa]?[vxy](?=[,Pt]*$)|(?<![^,&PtCK0p])[of](?:[Pt],*)?{_LIST}(?=[,.PtCI]|$)",  # "off with it"
    "fact": rf"(?:[VXY]|S[ofz]){_LIST}|S{_ALL}[ofz](?!l){_ALONE}|(?<=[HI])r{_LIST}"  # "I stopped the suction"
    rf"|(?<=IH)[BH]?{_ALL}[ofr](?!l){_ALONE}",  # "we have had the suction on since then"
    "patient": rf"O(?:b|H)?[of]{_LIST}|(?<=I)%?b[of]{_LIST}|(?<![^,&Pt])bf{_LIST}",  # "put him on the ventilator"
    "phrase": rf"[s=]?[da]*T(?:[da]*M)?(?=$|[,.&P!Ivxs=CRKqptAUD]|l(?:$|[,.&P])|{_NEXT}{_STATE})",  # "the tube is in"
    "activity": r"b?G(?=$|[,.&PCR])|i(?![+b]|O[of])",  # "we are ventilating", "ventilate now"
    "request": rf"(?<![^,]){_LIST},[Ppt]+(?=,*$)|{_LIST}(?:P(?![vxs=]|b[nsSVXY])|t(?=$|[,.&P]))",  # "suction please"
    "more": r"(?<![^,])da*M(?=$|,|l)",  # "a bit more light"
    "unnamed": r"(?<!d)[345](?!\+)",  # "flush it", "put her to sleep"
    "contrast": rf"n{_LIST}(?!b?n?{_STATE})",  # "... but not the irrigation"
    "unknown": rf"(?<!d)s[of][daO]*_{{1,3}}\+?|s[daO]*_{{1,3}}\+?[of](?!l){_ALONE}"  # "turn on the music"
    rf"|(?<!d)s[of][daO]*F\+|s[daO]*F\+[of](?!l){_ALONE}"  # "turn on the navigation tower"
    r"|(?<!d)[vxw]d[da]*_{1,2}\+?(?=$|[,.&PtD])",  # "start the rapid infuser"
}
ORDERS: Final = frozenset(
    (
        "particle verb",
        "split verb",
        "keep",
        "want",
        "wish",
        "start",
        "stop",
        "pause",
        "hold",
        "cancel",
        "unknown",
        "fronted",
    )
)
GRAMMAR: Final = re.compile("|".join(f"(?P<{name.replace(' ', '_')}>{rule})" for name, rule in RULES.items()))

MACHINES: Final = frozenset("MGFWETi")
UNNAMED: Final = frozenset("345")  # whole orders, and verbs of what a machine does
OPPOSITE: Final[dict[Action, Action]] = {"ON": "OFF", "OFF": "ON", "STANDBY": "ON"}
_STATES: Final[dict[str, Action]] = {"o": "ON", "f": "OFF", "z": "STANDBY", "r": "ON", "e": "OFF"}
_VERBS: Final[dict[str, Action]] = {
    **dict.fromkeys("vV", "ON"),
    **dict.fromkeys("xXcN014", "OFF"),
    **dict.fromkeys("yYh", "STANDBY"),
}
_WISHES: Final[dict[str, Action]] = dict.fromkeys("wJ2", "ON")
_DONE: Final[dict[str, Action]] = {"V": "ON", "X": "OFF", "Y": "STANDBY"}
_NAMES: Final[dict[str, Action]] = dict.fromkeys("TGi35", "ON")


def action_of(letters: str) -> Action | None:
    """What a construction says; None for one that only names machines."""
    for table in (_STATES, _DONE, _VERBS, _WISHES, _NAMES):  # "monitoring is stopped", "let us have it shut down"
        for letter in letters:
            if letter in table:
                return table[letter]
    return None
