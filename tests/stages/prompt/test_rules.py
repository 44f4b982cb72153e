"""What the rules read in an utterance: commands switch machines, everything else does not."""

import random
import string
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import resolve
from pipeline.messages import Toggle
from stages.prompt.rules import Reading, RuleEngine
from stages.surgery import Machine, Phase, Surgery, load_surgeries

P, H, L = "PCNL", "Partial Hepatectomy", "Lobectomy"
SURGERIES = load_surgeries(resolve("configs/machines"))

COMMANDS = [
    (P, "stop the lithotripter and start the suction", "M07 OFF M06 ON"),
    (P, "turn on the suction and the irrigation", "M06 ON M05 ON"),
    (P, "turn the lights off", "M09 OFF"),
    (P, "suction on", "M06 ON"),
    (H, "argon off", "M05 OFF"),
    (P, "don't start the suction", "M06 OFF"),
    (P, "leave the suction on", "M06 ON"),
    (P, "don't stop the suction", "M06 ON"),
    (P, "put the suction on standby", "M06 STANDBY"),
    (P, "pause the irrigation", "M05 STANDBY"),
    (P, "hold the irrigation", "M05 STANDBY"),
    (P, "could you stop the suction?", "M06 OFF"),
    (P, "the tube is in", "M03 ON"),
    (P, "suction please", "M06 ON"),
    (H, "pump off", "M07 OFF"),
    (L, "please drain the fluid and turn on the suction", "M07 ON"),
    (L, "insert drain", "M08 ON"),
    (P, "turn off the suction and start the irrigation", "M06 OFF M05 ON"),
    (P, "stop the suction, start the irrigation", "M06 OFF M05 ON"),
    (P, "stop the suction start the irrigation", "M06 OFF M05 ON"),
    (P, "suction on irrigation off", "M06 ON M05 OFF"),
    (P, "suction and irrigation on", "M06 ON M05 ON"),
    (P, "turn the suction and irrigation off", "M06 OFF M05 OFF"),
    (P, "stop the lithotripter and suction on", "M07 OFF M06 ON"),
    (P, "start the suction but not the irrigation", "M06 ON M05 OFF"),
    (P, "don't start the suction or the irrigation", "M06 OFF M05 OFF"),
    (P, "we need suction", "M06 ON"),
    (P, "we don't need suction", "M06 OFF"),
    (P, "no need for suction", "M06 OFF"),
    (P, "no suction please", "M06 OFF"),
    (P, "skip the irrigation", "M05 OFF"),
    (P, "hold off on the irrigation", "M05 OFF"),
    (P, "don't forget to turn on the suction", "M06 ON"),
    (P, "stop the suction now and in five minutes start the irrigation", "M06 OFF"),
    (P, "turn on the suction before you start the lithotripter", "M06 ON"),
    (P, "before you start the lithotripter, turn on the suction", "M06 ON"),
    (H, "argon beam", "M05 ON"),
    (H, "stop the argon beam", "M05 OFF"),
    (H, "turn off the suction and the argon beam", "M06 OFF M05 OFF"),
    (P, "shut the suction off", "M06 OFF"),
    (P, "shut down the C-arm", "M04 OFF"),
    (P, "bring in the c arm", "M04 ON"),
    (P, "x-ray on", "M04 ON"),
    (P, "start cutting, suction please", "M06 ON"),
    (P, "stop, suction please", "M06 ON"),
    (P, "turn off suction on the left side", "M06 OFF"),
    (P, "suction stop", "M06 OFF"),
    (P, "irrigation standby", "M05 STANDBY"),
    (P, "stand by with the irrigation", "M05 STANDBY"),
    (P, "don't pause the irrigation", "M05 ON"),
    (P, "turn the suction back on", "M06 ON"),
    (P, "Could we get the lights off, please?", "M09 OFF"),
    (P, "start the suction, okay?", "M06 ON"),
    (P, "start the suction immediately", "M06 ON"),
    (P, "no, start the suction", "M06 ON"),
    (P, "no start the suction", "M06 ON"),
    (P, "Stop suction. Start irrigation!", "M06 OFF M05 ON"),
    (P, "suction on and irrigation off", "M06 ON M05 OFF"),
    (P, "turn the suction off and the irrigation on", "M06 OFF M05 ON"),
    (P, "switch off lithotripter, irrigation and suction", "M07 OFF M05 OFF M06 OFF"),
    (P, "stop irrigation and clear field", "M05 OFF M06 ON"),
    (P, "we are done with the lithotripter", "M07 OFF"),
    (P, "start the suction, is the monitor ok?", "M06 ON"),
    (L, "one lung ventilation", "M03 ON"),
    (L, "chest tube in", "M08 ON"),
    (P, "start the suction and check the irrigation", "M06 ON"),
    (P, "go ahead and start the suction", "M06 ON"),
    (P, "lithotripter off, please", "M07 OFF"),
    (P, "keep the lights on until i say", "M09 ON"),
    (P, "never mind the suction", "M06 OFF"),
    (P, "turn on suction, stop. turn off suction", "M06 OFF"),
    (P, "if you could start the suction?", "M06 ON"),
    (P, "turn off the C-arm and suction on please", "M04 OFF M06 ON"),
    (P, "the suction is on", "M06 ON"),
    (P, "suctions on", "M06 ON"),
    (P, "fluoro off and lights up", "M04 OFF M09 ON"),
    (P, "switch that camera on", "M08 ON"),
    (H, "argon off", "M05 OFF"),
    (P, "ventilator is running", "M03 ON"),
    (L, "tube is in, ventilating", "M03 ON"),
    (P, "lights are off now", "M09 OFF"),
    (P, "don't start the ventilator", "M03 OFF"),
    (P, "not yet the lithotripter", "M07 OFF"),
    (P, "skip the suction", "M06 OFF"),
    (P, "no need for fluoro", "M04 OFF"),
    (P, "keep the irrigation running", "M05 ON"),
    (H, "turn on the argon, no sorry, the suction", "M06 ON"),
    (P, "floro on", "M04 ON"),
    (P, "turn on the succion", "M06 ON"),
    (P, "c arm off", "M04 OFF"),
    (H, "bovey on please", "M04 ON"),
    (P, "uh can you um turn on the the suction", "M06 ON"),
    (P, "OKAY SUCTION ON", "M06 ON"),
    (P, "kill the lights", "M09 OFF"),
    (P, "cut the irrigation please", "M05 OFF"),
    (P, "fire up the litho", "M07 ON"),
    (P, "get the suction going", "M06 ON"),
    (P, "let's have the fluoro on", "M04 ON"),
    (P, "give me some suction", "M06 ON"),
    (P, "can I get some irrigation", "M05 ON"),
    (P, "I'd like the lights off", "M09 OFF"),
    (P, "I want the suction on", "M06 ON"),
    (P, "need suction here", "M06 ON"),
    (P, "bring in the C-arm", "M04 ON"),
    (H, "bring up the ultrasound", "M08 ON"),
    (L, "connect the chest drain", "M08 ON"),
    (L, "hook up the pleurovac", "M08 ON"),
    (H, "plug in the bovie", "M04 ON"),
    (P, "power down the ventilator", "M03 OFF"),
    (P, "we're done with the c-arm", "M04 OFF"),
    (P, "put the vent on standby", "M03 STANDBY"),
    (P, "put the patient on the ventilator", "M03 ON"),
    (P, "start ventilating", "M03 ON"),
    (P, "stop irrigating", "M05 OFF"),
    (L, "begin insufflating please", "M05 ON"),
    (P, "keep suctioning", "M06 ON"),
    (P, "don't turn off the suction", "M06 ON"),
    (P, "never turn off the monitor", "M01 ON"),
    (P, "don't stop the irrigation", "M05 ON"),
    (P, "irrigation on hold", "M05 STANDBY"),
    (P, "suction on standby please", "M06 STANDBY"),
    (P, "hold the irrigation for a second", "M05 STANDBY"),
    (P, "the suction stays on", "M06 ON"),
    (P, "we've started the irrigation", "M05 ON"),
    (P, "I turned the suction off", "M06 OFF"),
    (P, "suction has been turned off", "M06 OFF"),
    (P, "I'm starting the irrigation now", "M05 ON"),
    (P, "starting irrigation", "M05 ON"),
    (P, "switching off the C-arm", "M04 OFF"),
    (P, "irrigation is flowing", "M05 ON"),
    (P, "the c-arm has stopped", "M04 OFF"),
    (P, "the suction isn't on", "M06 OFF"),
    (P, "ventilator is not running", "M03 OFF"),
    (P, "we don't need the lithotripter anymore", "M07 OFF"),
    (P, "the lithotripter is no longer needed", "M07 OFF"),
    (P, "no more irrigation", "M05 OFF"),
    (P, "that's enough suction", "M06 OFF"),
    (P, "you can turn off the suction", "M06 OFF"),
    (P, "we can start the irrigation", "M05 ON"),
    (P, "let's start the lithotripter", "M07 ON"),
    (P, "time to start the lithotripter", "M07 ON"),
    (P, "make sure the suction is on", "M06 ON"),
    (P, "go ahead and turn off the fluoro", "M04 OFF"),
    (P, "would you mind turning off the lights", "M09 OFF"),
    (P, "why don't we start the irrigation?", "M05 ON"),
    (P, "someone turn on the lights please", "M09 ON"),
    (P, "tell the nurse to turn off the suction", "M06 OFF"),
    (P, "lights need to be off", "M09 OFF"),
    (P, "the suction can be turned off now", "M06 OFF"),
    (P, "turn of the lights", "M09 OFF"),
    (P, "turn off the suction I mean the irrigation", "M05 OFF"),
    (P, "suction on, I mean off", "M06 OFF"),
    (P, "lights off, sorry, on", "M09 ON"),
    (P, "start the suction, no wait, the irrigation", "M05 ON"),
    (P, "turn on the camera, actually no, leave it off", "M08 OFF"),
    (P, "the irrigation is leaking, turn it off", "M05 OFF"),
    (P, "turn everything off", "M04 OFF M05 OFF M06 OFF M07 OFF M08 OFF M09 OFF"),
    (P, "turn off everything except the lights", "M04 OFF M05 OFF M06 OFF M07 OFF M08 OFF"),
    (P, "suction on irrigation off lights up", "M06 ON M05 OFF M09 ON"),
    (P, "stop suction start irrigation", "M06 OFF M05 ON"),
    (P, "both the suction and irrigation off please", "M06 OFF M05 OFF"),
    (P, "turn off the lights Anna", "M09 OFF"),
    (P, "suction off everyone", "M06 OFF"),
    (P, "okay team lights down and fluoro on", "M04 ON"),
    (P, "start the irrigation until the view is clear", "M05 ON"),
    (P, "turn off the lights while we look at the screen", "M09 OFF"),
    (P, "before you start the lithotripter turn on the suction", "M06 ON"),
    (P, "before starting the lithotripter, turn on the irrigation", "M05 ON"),
    (H, "use the argon on that edge", "M05 ON"),
    (H, "I could use some suction in here", "M06 ON"),
    (L, "one lung ventilation please", "M03 ON"),
    (L, "isolate the lung", "M03 ON"),
    (P, "fragment the stone", "M07 ON"),
    (P, "camera on, show me the scope view", "M08 ON"),
    (P, "take her off the ventilator", "M03 OFF"),
    (P, "switch the lights back on", "M09 ON"),
    (P, "c arm in standby", "M04 STANDBY"),
    (P, "see arm on", "M04 ON"),
    (P, "litho tripter on", "M07 ON"),
    (L, "in sufflator on", "M05 ON"),
    (P, "start the irigation", "M05 ON"),
    (P, "ventalator off", "M03 OFF"),
    (H, "turn off the argone", "M05 OFF"),
    (P, "alright we can start anesthesia now", "M02 ON"),
    (P, "turn off the anesthesia", "M02 OFF"),
    (P, "ok irrigation's on", "M05 ON"),
    (P, "let the irrigation run", "M05 ON"),
    (P, "we won't need the c-arm", "M04 OFF"),
    (P, "irrigate please", "M05 ON"),
    (P, "give it two minutes then turn off the suction", "M06 OFF"),
    (P, "okay let's go fluoro on", "M04 ON"),
    (P, "can we have the room lights off please", "M09 OFF"),
    (P, "lights please", "M09 ON"),
    (P, "nurse, suction off", "M06 OFF"),
    (P, "right, irrigation up and running", "M05 ON"),
    (H, "argon's off", "M05 OFF"),
    (H, "infusion pump has been stopped", "M07 OFF"),
    (H, "pump is running", "M07 ON"),
    (H, "stop the drip please", "M07 OFF"),
    (H, "restart the infusion", "M07 ON"),
    (H, "ultrasound away, we are done with it", "M08 OFF"),
    (H, "bring the ultrasound in please", "M08 ON"),
    (L, "switch the scope on and start insufflation", "M04 ON M05 ON"),
    (L, "insufflator off, camera off, suction off", "M05 OFF M04 OFF M07 OFF"),
    (L, "CO2 on please", "M05 ON"),
    (L, "stop insufflating", "M05 OFF"),
    (L, "resume ventilation on both lungs", "M03 ON"),
    (L, "the chest drain is connected", "M08 ON"),
    (L, "we've connected the chest drain", "M08 ON"),
    (P, "camera is live", "M08 ON"),
    (P, "get that suction off", "M06 OFF"),
    (P, "shut off the irrigation", "M05 OFF"),
    (P, "shut the irrigation off", "M05 OFF"),
    (P, "please do turn on the lights", "M09 ON"),
    (P, "if you would be so kind turn on the suction", "M06 ON"),
    (P, "if possible turn off the fluoro", "M04 OFF"),
    (P, "could I trouble you to turn off the lights?", "M09 OFF"),
    (P, "I need you to stop the irrigation", "M05 OFF"),
    (P, "I want you to start the lithotripter", "M07 ON"),
    (P, "you need to turn off the suction", "M06 OFF"),
    (P, "we must stop the irrigation", "M05 OFF"),
    (P, "we should stop the irrigation", "M05 OFF"),
    (P, "I think we should turn off the irrigation", "M05 OFF"),
    (P, "do not use the lithotripter", "M07 OFF"),
    (P, "please don't run the suction", "M06 OFF"),
    (P, "no lithotripter for now", "M07 OFF"),
    (P, "no fluoro yet", "M04 OFF"),
    (P, "let's not start the irrigation yet", "M05 OFF"),
    (P, "hold off on the suction", "M06 OFF"),
    (P, "forget the fluoro", "M04 OFF"),
    (P, "let's skip the c-arm", "M04 OFF"),
    (P, "there's no need for the suction", "M06 OFF"),
    (P, "I don't want the lights off", "M09 ON"),
    (P, "don't leave the suction on", "M06 OFF"),
    (P, "do not switch off the irrigation yet", "M05 ON"),
    (P, "keep the suction off", "M06 OFF"),
    (P, "keep that irrigation going", "M05 ON"),
    (P, "keep the lithotripter on standby", "M07 STANDBY"),
    (P, "set the lithotripter to standby", "M07 STANDBY"),
    (P, "lithotripter to standby", "M07 STANDBY"),
    (P, "standby with the lithotripter", "M07 STANDBY"),
    (P, "pause suction", "M06 STANDBY"),
    (P, "pausing the irrigation", "M05 STANDBY"),
    (P, "irrigation is paused", "M05 STANDBY"),
    (P, "suction is on standby", "M06 STANDBY"),
    (P, "put everything on hold", "M04 STANDBY M05 STANDBY M06 STANDBY M07 STANDBY M08 STANDBY M09 STANDBY"),
    (P, "hold ventilation please", "M03 STANDBY"),
    (P, "hold the suction", "M06 STANDBY"),
    (P, "start the suct- start the irrigation", "M05 ON"),
    (P, "irrigation on, no, suction on", "M06 ON"),
    (P, "turn off the lights, correction, turn off the suction", "M06 OFF"),
    (P, "suction, no, irrigation on", "M05 ON"),
    (P, "stop the suction. No wait, the irrigation.", "M05 OFF"),
    (P, "start the c-arm, rather the camera", "M08 ON"),
    (P, "lights on, no off", "M09 OFF"),
    (P, "lights off no wait on", "M09 ON"),
    (P, "put the suction on, I meant off", "M06 OFF"),
    (P, "seeing as the c-arm is here turn it on", "M04 ON"),
    (P, "what is that noise, turn off the suction", "M06 OFF"),
    (P, "irigation off", "M05 OFF"),
    (P, "turn off the floroscopy", "M04 OFF"),
    (P, "start the lithotriptor", "M07 ON"),
    (P, "endo scope on", "M08 ON"),
    (P, "ventilater off", "M03 OFF"),
    (P, "turn on the cammera", "M08 ON"),
    (P, "see-arm off", "M04 OFF"),
    (P, "ex ray on", "M04 ON"),
    (L, "turn on the bovy", "M06 ON"),
    (L, "insuflator off", "M05 OFF"),
    (H, "turn on the ultra sound", "M08 ON"),
    (H, "diathermi off", "M04 OFF"),
    (H, "kautery on", "M04 ON"),
    (P, "all the lights are on", "M09 ON"),
    (P, "suction's running, irrigation's off", "M06 ON M05 OFF"),
    (P, "stop anesthesia", "M02 OFF"),
    (P, "anesthesia off", "M02 OFF"),
    (P, "anesthesia, can you start the ventilator", "M03 ON"),
    (P, "anesthesia please start ventilation", "M03 ON"),
    (P, "x-ray please", "M04 ON"),
    (P, "c-arm off and out please", "M04 OFF"),
    (P, "go ahead with the lithotripsy", "M07 ON"),
    (P, "lithotripsy on", "M07 ON"),
    (P, "stop lithotripsy, we are clear", "M07 OFF"),
    (P, "give me saline", "M05 ON"),
    (P, "saline off", "M05 OFF"),
    (P, "saline on please", "M05 ON"),
    (P, "more suction please", "M06 ON"),
    (P, "a bit of suction please", "M06 ON"),
    (P, "little suction here please", "M06 ON"),
    (P, "suction now", "M06 ON"),
    (P, "suction again please", "M06 ON"),
    (P, "the vacuum is off", "M06 OFF"),
    (P, "aspirator on", "M06 ON"),
    (P, "turn the room lights down and the camera on", "M08 ON"),
    (P, "can you kill the overhead lights for me", "M09 OFF"),
    (P, "lights back on", "M09 ON"),
    (P, "overhead lights on please", "M09 ON"),
    (P, "ok, I'm turning off the irrigation", "M05 OFF"),
    (P, "I have turned on the suction", "M06 ON"),
    (P, "suction is now on", "M06 ON"),
    (P, "irrigation is off now doctor", "M05 OFF"),
    (P, "camera's on", "M08 ON"),
    (P, "display is on", "M08 ON"),
    (P, "ventilator's off, she's breathing on her own", "M03 OFF"),
    (P, "the patient is on the ventilator", "M03 ON"),
    (P, "patient is off the ventilator", "M03 OFF"),
    (P, "go on standby with the lithotripter", "M07 STANDBY"),
    (P, "litho on standby", "M07 STANDBY"),
    (P, "just pause the lithotripter for me", "M07 STANDBY"),
    (L, "cautery on and suction on please", "M06 ON M07 ON"),
    (L, "no more cautery please", "M06 OFF"),
    (L, "I'm done with the cautery", "M06 OFF"),
    (L, "turn off the gas insufflator", "M05 OFF"),
    (L, "insufflator to standby", "M05 STANDBY"),
    (L, "start one lung ventilation", "M03 ON"),
    (L, "scope is on", "M04 ON"),
    (L, "turn on the thoracoscope and the suction", "M04 ON M07 ON"),
    (H, "we don't need argon any more", "M05 OFF"),
    (H, "give me argon", "M05 ON"),
    (H, "argon please", "M05 ON"),
    (H, "argon beam on, suction on", "M05 ON M06 ON"),
    (H, "let us have the ultrasound", "M08 ON"),
    (H, "IOUS please", "M08 ON"),
    (H, "I need the ultrasound", "M08 ON"),
    (H, "can I have the ultrasound please", "M08 ON"),
    (H, "ultrasound off, thank you", "M08 OFF"),
    (H, "pause the infusion while we flush", "M07 STANDBY"),
    (H, "infusion on hold", "M07 STANDBY"),
    (H, "start the drip", "M07 ON"),
    (H, "begin drip", "M07 ON"),
    (H, "keep the infusion pump running", "M07 ON"),
    (H, "don't stop the pump", "M07 ON"),
    (H, "diathermy off", "M04 OFF"),
    (H, "electrocautery on", "M04 ON"),
    (P, "wait, don't start the lithotripter", "M07 OFF"),
    (P, "no no leave the suction on", "M06 ON"),
    (P, "stop! turn the lithotripter off!", "M07 OFF"),
    (P, "you may start the ventilator", "M03 ON"),
    (P, "you can start suction now", "M06 ON"),
    (P, "ready, start the irrigation", "M05 ON"),
    (P, "Alright team, camera on, lights off, irrigation running.", "M08 ON M09 OFF M05 ON"),
    (P, "we're finished with the irrigation", "M05 OFF"),
    (P, "irrigation done", "M05 OFF"),
    (P, "I won't need the suction", "M06 OFF"),
    (P, "the irrigation doesn't need to be on", "M05 OFF"),
    (P, "stop irrigation please and then suction off", "M05 OFF M06 OFF"),
    (P, "first turn on the suction then the irrigation", "M06 ON M05 ON"),
    (P, "turn on suction, irrigation, and the camera", "M06 ON M05 ON M08 ON"),
    (P, "stop both the irrigation and the suction", "M05 OFF M06 OFF"),
    (P, "suction off but leave the irrigation on", "M06 OFF M05 ON"),
    (P, "keep the lights on but turn off the camera", "M09 ON M08 OFF"),
    (P, "don't start the lithotripter until I tell you", "M07 OFF"),
    (P, "give me two minutes and then turn on the suction", "M06 ON"),
]

LATER = [
    (P, "after dilation we will need the lithotripter", "", "M07 ON"),
    (P, "we are going to start the lithotripter soon", "", "M07 ON"),
    (P, "I'm about to start the irrigation", "", "M05 ON"),
    (P, "start the suction as soon as I say so", "", "M06 ON"),
    (P, "once the sheath is in turn on the irrigation", "", "M05 ON"),
    (P, "turn off the fluoro after the contrast", "", "M04 OFF"),
    (P, "if it bleeds start the suction", "", "M06 ON"),
    (P, "stop the suction now and in ten minutes start the irrigation", "M06 OFF", "M05 ON"),
    (P, "when we start the irrigation turn off the fluoro", "", "M04 OFF"),
    (P, "start the lithotripter when the tube is in and turn off the lights", "M09 OFF", "M07 ON"),
    (P, "irrigation off in two minutes", "", "M05 OFF"),
    (P, "turn on the suction in about thirty seconds", "", "M06 ON"),
    (P, "after we dilate, fluoro off", "", "M04 OFF"),
    (P, "fluoro off once the wire is in", "", "M04 OFF"),
    (P, "as soon as we see the stone, lithotripter on", "", "M07 ON"),
    (P, "we'll start the irrigation in a minute", "", "M05 ON"),
    (P, "later we'll need the suction", "", "M06 ON"),
    (P, "next we'll turn off the lights", "", "M09 OFF"),
    (P, "wait until the sheath is in, then start the irrigation", "", "M05 ON"),
    (P, "when I give the signal, kill the lights", "", "M09 OFF"),
    (P, "start irrigation when ready", "", "M05 ON"),
    (P, "unless it clears turn the irrigation off", "", "M05 OFF"),
    (P, "twenty seconds from now turn off the suction", "", "M06 OFF"),
    (P, "turn off the suction after two minutes", "", "M06 OFF"),
    (P, "in half an hour we turn the lights back on", "", "M09 ON"),
    (P, "at the end turn off the irrigation", "", "M05 OFF"),
    (P, "is the irrigation on? if not start it", "", "M05 ON"),
    (P, "do we still need the irrigation? if not, turn it off", "", "M05 OFF"),
    (P, "when the patient is prone bring in the c-arm", "", "M04 ON"),
    (P, "once dilation is done start the irrigation", "", "M05 ON"),
    (P, "after the time out, turn on the lights", "", "M09 ON"),
    (P, "start the ventilator after intubation", "", "M03 ON"),
    (P, "we'll turn the lights off during fluoroscopy", "", "M09 OFF"),
    (P, "five minutes from now stop the irrigation", "", "M05 OFF"),
    (P, "in a couple of minutes switch the fluoro off", "", "M04 OFF"),
    (P, "soon we will start irrigation", "", "M05 ON"),
]

UNKNOWN = [
    (P, "turn on the argon", "argon"),
    (H, "start the lithotripter", "lithotripter"),
    (P, "stop using the cautery", "cautery"),
    (P, "turn on the laser", "laser"),
    (P, "turn on the music", "music"),
    (H, "irrigation pump on", "irrigation pump"),
    (P, "stop the infusion", "infusion"),
    (L, "turn on the c-arm", "c arm"),
    (L, "start irrigation", "irrigation"),
    (H, "camera on please", "camera"),
    (P, "activate the tourniquet", "tourniquet"),
    (P, "turn the bair hugger on", "bair hugger"),
    (H, "connect the chest drain", "chest drain"),
]

NO_COMMANDS = [
    (P, "hold the camera steady"),
    (P, "is the suction on?"),
    (P, "is the suction on"),
    (P, "the vitals look fine"),
    (P, "in five minutes start the suction"),
    (P, "start the suction in five minutes"),
    (P, "when the tube is in, start the ventilator"),
    (P, "after the time out start the suction"),
    (P, "don't dim lights"),
    (H, "irrigation pump on"),
    (H, "start the irrigation pump"),
    (L, "drain the fluid"),
    (P, "stop the bleeding near the camera"),
    (P, "why is the suction off?"),
    (P, "start the suction and irrigation in five minutes"),
    (P, "induction was smooth"),
    (P, "start the suction?"),
    (P, "turn it off"),
    (P, "nephrostomy tube is in"),
    (P, "should I turn on the suction"),
    (P, "can you see the camera?"),
    (P, "at the end of irrigation"),
    (P, "turn the lights down"),
    (P, "camera port placement"),
    (P, "the suction tip is clogged"),
    (P, "hold the ultrasound probe right there"),
    (P, "turn on the suction, scratch that"),
    (P, "show me the scope view"),
    (P, "did you start the irrigation?"),
    (P, "do we have suction?"),
    (P, "do we need the C-arm?"),
    (P, "shall we start the lithotripter?"),
    (P, "who turned off the lights?"),
    (P, "what about the suction?"),
    (P, "how's the ventilator doing"),
    (P, "are we ready to start the ventilator?"),
    (P, "suction on?"),
    (P, "want me to start the irrigation?"),
    (P, "do you want the lights off?"),
    (P, "when do we start the lithotripter?"),
    (P, "tell me when the suction is on"),
    (P, "let me know when the c-arm is off"),
    (P, "check that the suction is on"),
    (P, "can you see if the camera is on?"),
    (P, "does the camera work?"),
    (P, "suction is on, right?"),
    (P, "has anyone turned on the irrigation?"),
    (P, "isn't the suction on?"),
    (P, "can you check the ventilator settings?"),
    (P, "the lights are too bright"),
    (P, "the monitor shows a nice rhythm"),
    (P, "move the camera to the left"),
    (P, "clean the scope please"),
    (P, "pass me the suction tubing"),
    (P, "give me the suction tip"),
    (P, "I need a new light handle"),
    (P, "turn on the ventilator alarm"),
    (P, "turn the camera on the stone"),
    (P, "put the camera on the table"),
    (P, "the c-arm is on the left side"),
    (P, "the suction is off the table"),
    (P, "yesterday we turned off the suction too early"),
    (P, "in my last case the irrigation stopped"),
    (P, "he told me to turn off the lights"),
    (P, "we always turn off the lights for this"),
    (P, "I remember when the lithotripter was on fire"),
    (P, "we should have turned off the suction"),
    (P, "I forgot to start the irrigation"),
    (P, "the protocol says start the pump first"),
    (P, "the suction was on"),
    (P, "we use the c-arm for that"),
    (P, "maybe start the lithotripter"),
    (P, "we might need the c-arm"),
    (P, "start closing please"),
    (P, "turn the lights down a bit"),
    (P, "dim the lights"),
    (P, "increase the irrigation pressure"),
    (P, "turn up the suction"),
    (P, "vitals look good"),
    (P, "have the lithotripter ready"),
    (P, "get the lithotripter ready"),
    (P, "ready for the lithotripter"),
    (P, "remind me to turn off the c-arm"),
    (P, "the light on the camera is off"),
    (P, "his pacemaker is off"),
    (P, "hold on"),
    (P, "carry on with the closure"),
    (P, "on the monitor I see a dip"),
    (P, "look at the monitor on the wall"),
    (P, "my phone is off"),
    (P, "the bag for the irrigation is running low"),
    (P, "start the timer"),
    (P, "the suction stopped working"),
    (P, "is anyone using the suction"),
    (P, "thanks for starting the suction"),
    (P, "get me the c-arm drape"),
    (P, "don't touch the lights"),
    (P, "the anesthesia team is on their way"),
    (P, "count the sponges and turn the page"),
    (P, "I heard the ventilator was turned off in room two"),
    (P, "that monitor on the left is mine"),
    (P, "can somebody get the lights"),
    (L, "drop the co2"),
    (L, "clamp the tube"),
    (P, "we are live on the camera"),
    (P, "shut it down"),
    (P, "I think the suction is off"),
    (P, "we can do without the fluoro"),
    (P, "there is no suction"),
    (P, "leave the lights as they are"),
    (P, "stand by everyone"),
    (P, "hold the scope still"),
    (P, "hold that camera for me"),
    (P, "hold the lights there"),
    (P, "hold pressure"),
    (P, "turn on the suction. Actually, never mind."),
    (P, "start the irrigation, forget it"),
    (P, "who's on the camera"),
    (P, "which monitor is on"),
    (P, "can you hear the suction"),
    (P, "did anybody pause the irrigation"),
    (P, "so is the lithotripter running or not"),
    (P, "has the ventilator been started"),
    (P, "when did the irrigation stop"),
    (P, "was the suction off the whole time"),
    (P, "any chance the lights are off"),
    (P, "lights on or off?"),
    (P, "do you want suction"),
    (P, "you want suction?"),
    (P, "need suction?"),
    (P, "everything on?"),
    (P, "sonno on"),
    (P, "fetch the ultrasound machine"),
    (P, "the resident broke the camera last week"),
    (P, "at my old hospital they turn off the suction first"),
    (P, "my daughter wants to start ballet"),
    (P, "she said turn off the lights"),
    (P, "imagine turning off the ventilator"),
    (P, "the rep says the lithotripter is on"),
    (P, "normally we start the irrigation here"),
    (P, "stop talking please"),
    (P, "cut the suture"),
    (P, "run the numbers again"),
    (P, "use the forceps"),
    (P, "turn the patient prone"),
    (P, "switch sides with me"),
    (P, "put on your lead"),
    (P, "put your gown on"),
    (P, "get off my foot"),
    (P, "open the light handle cover"),
    (P, "we need more saline bags"),
    (P, "need the scope warmer"),
    (P, "is there suction in room four"),
    (P, "the vitals are stable on the monitor"),
    (P, "ventilation is fine"),
    (P, "the imaging from last week is on the screen"),
    (P, "camera and light cable are connected"),
    (P, "suction and irrigation are set up"),
    (P, "anesthesia is ready when you are"),
    (P, "Fluoro."),
    (P, "shot please"),
    (P, "start breaking the stone"),
    (P, "lights out please"),
    (P, "we're on the ventilator"),
    (L, "let's stop the co2 insufflation"),
    (L, "go to one lung ventilation"),
    (P, "please, could the lights be turned off?"),
    (P, "not the suction"),
    (P, "lights should be off please"),
    (P, "the lithotripter will be needed later"),
]

CHATTER = [
    "good morning everyone did you sleep well",
    "can I get a four oh vicryl please",
    "scalpel",
    "the pressure is one twenty over eighty",
    "heart rate's coming down a bit",
    "saturation ninety eight percent",
    "can you retract a little more to the left",
    "I need the suction tip changed",
    "the suction tubing is kinked",
    "is there a longer sheath on the table",
    "hand me the camera cable would you",
    "someone left the lights on in the storage room last night",
    "watch the light cord please",
    "the monitor behind you is not mine",
    "how many stones did we see on the CT",
    "she had a PCNL two years ago on the right",
    "the ventilator alarm went again it's just the filter",
    "what's the flow on the irrigation",
    "pressure bag for the irrigation is empty",
    "we'll hang another bag of saline",
    "saline for the flush please",
    "I'm using the small scope today",
    "do you like the new camera system",
    "the old lithotripter was louder",
    "we used to have the laser in room three",
    "that lithotripter cost a fortune",
    "have you ever seen the argon beam used on a spleen",
    "I read a paper about ultrasound in liver surgery",
    "ultrasound shows the vein right there",
    "can I see the ultrasound picture again",
    "the drip is running a bit slow",
    "who set up the infusion this morning",
    "pump alarm, just an air bubble",
    "the cautery pad is on the left thigh",
    "check the pad for the bovie",
    "bovie smoke is in my eyes",
    "a bit more tension on that stitch",
    "careful with the hilum there",
    "clip please and another clip",
    "let's take a moment to look at the anatomy",
    "does anybody need a break",
    "coffee after this case",
    "stop leaning on the patient",
    "stop pulling, you're tearing it",
    "start with the inferior pulmonary ligament",
    "begin the dissection along the vein",
    "hold this for me please",
    "hold on a second",
    "let's hold here",
    "off we go",
    "go on",
    "come on",
    "what's going on over there",
    "turn around so I can tie your gown",
    "turn the page",
    "switch places with me please",
    "put the specimen on the back table",
    "take the pictures off the wall",
    "cut here please",
    "cut the suture long",
    "end of the needle is free",
    "kill some time while pathology looks",
    "power's fine on that one",
    "run the bowel one more time",
    "use both hands",
    "use the long forceps for that",
    "keep your hand steady",
    "keep going",
    "keep an eye on the blood loss",
    "leave it there",
    "leave the retractor where it is",
    "wait for pathology",
    "pause for the count please",
    "the count is correct",
    "enough for today",
    "no problem",
    "no bleeding there",
    "no not that one",
    "not yet",
    "skip it",
    "forget about the weekend",
    "never mind",
    "lights in this room are terrible",
    "those lights hurt my eyes",
    "turn your headlight off",
    "the light on my headset died",
    "is the scope fogged up",
    "the scope is fogging",
    "warm the scope please",
    "wipe the camera lens",
    "focus the camera please",
    "zoom in with the camera",
    "camera a bit closer",
    "rotate the camera clockwise",
    "pull the scope back a little",
    "advance the scope",
    "scope out for cleaning",
    "white balance the camera please",
    "which camera do you prefer",
    "bring the camera head over here",
    "follow me with the camera",
    "is the C-arm draped",
    "drape the C-arm please",
    "move the C-arm a little cephalad",
    "rotate the c-arm thirty degrees",
    "c-arm to the head please",
    "your turn on the camera",
    "my turn on the console",
    "the vent settings look fine",
    "tidal volume four hundred",
    "peak pressures are up",
    "is he on the vent or on the bag",
    "anesthesia would like to know how long",
    "anesthesia says the pressure is soft",
    "tell anesthesia we're bleeding a bit",
    "thanks anesthesia",
    "anesthesia record is complete",
    "what did anesthesia give",
    "the induction took a while",
    "induction was uneventful and the tube went in on the first try",
    "recovery is full at the moment",
    "the chest tube goes in the seventh space",
    "where do you want the chest tube",
    "the drain goes here",
    "cut the drain stitch",
    "drain output two hundred",
    "suture for the drain please",
    "I will place the drain in the subhepatic space",
    "is the insufflator the new model",
    "insufflation pressure is eight",
    "CO2 is eight millimetres",
    "end tidal CO2 thirty five",
    "the lung is coming down nicely",
    "isolate the vein first",
    "clear the table",
    "clear view now",
    "the field is clear",
    "stone is fragmenting well",
    "the stone breaker in my kitchen",
    "vitals stable",
    "vitals are stable",
    "next patient is in holding",
    "call the next patient please",
    "on the left we have the spleen",
    "right on",
    "he's on aspirin",
    "she is on the list for tomorrow",
    "put it on my tab",
    "turn it over",
    "shut the door please",
    "shut up",
    "close the door and the lights in the corridor are off",
    "the radio is too loud",
    "start again from the top",
    "can you start a line in the left arm",
    "start the antibiotics",
    "start an IV",
    "stop the antibiotics",
    "stop the heparin",
    "give me the bovie tip cleaner",
    "need more irrigation bags",
    "need the next irrigation bag",
    "get the suction canister changed",
    "use the suction tip to push it",
    "suction catheter size twelve please",
    "is that suction I hear",
    "sounds like the suction is blocked",
    "the suction is blocked",
    "suction isn't working well",
    "suction's weak",
    "the irrigation is cold",
    "the irrigation ran dry",
    "warm irrigation would be nice",
    "the fluoro time is three minutes",
    "fluoro dose is low",
    "wear your lead when fluoro is on",
    "everybody has lead on",
    "everyone out of the beam",
    "lead aprons on please",
    "gloves on",
    "masks on everybody",
    "mask off",
    "gown off and gloves off",
    "his glasses are off",
    "hat's off to you",
    "are we on schedule",
    "on time for once",
    "on three we roll the patient",
    "one two three and over",
    "arm board off please",
    "table up please",
    "bed down",
    "lower the table",
    "raise the table please",
    "tilt the table to the left",
    "turn the table",
    "the table is locked",
    "tourniquet time is irrelevant here",
    "thank you everybody good case",
    "who is on call tonight",
    "I'm on call and the pager is off",
]


@cache
def engine(surgery: str) -> RuleEngine:
    return RuleEngine(SURGERIES[surgery], SURGERIES.values())


def said(reading: Reading) -> str:
    return " ".join(f"{toggle.machine_id} {toggle.action}" for toggle in reading.toggles)


def only(reading: Reading) -> Toggle:
    (toggle,) = reading.toggles
    return toggle


@pytest.mark.parametrize(("surgery", "text", "expected"), COMMANDS)
def test_a_command_switches_the_machines_that_it_names(surgery: str, text: str, expected: str) -> None:
    assert said(engine(surgery).read(text)) == expected


@pytest.mark.parametrize(("surgery", "text"), NO_COMMANDS)
def test_what_is_no_command_for_now_switches_nothing(surgery: str, text: str) -> None:
    assert said(engine(surgery).read(text)) == ""


@pytest.mark.parametrize(
    ("text", "confidence", "match_type", "trigger"),
    [
        ("suction please", 0.95, "trigger", "suction please"),
        ("turn off the vacuum", 0.85, "alias", "vacuum"),
        ("start the C-Arm Fluoroscopy", 0.80, "name", "c arm fluoroscopy"),
        ("don't start the vacuum", 0.75, "alias", "vacuum"),
        ("skip the vacuum", 0.75, "alias", "vacuum"),
        ("start the vacuum immediately", 0.90, "alias", "vacuum"),
        ("suction on, stat", 1.0, "trigger", "suction on"),
        ("don't start the vacuum now", 0.80, "alias", "vacuum"),
    ],
)
def test_confidence_says_how_a_machine_was_named(text: str, confidence: float, match_type: str, trigger: str) -> None:
    toggle = only(engine(P).read(text))
    assert (toggle.confidence, toggle.match_type, toggle.trigger) == (confidence, match_type, trigger)


def test_the_confidence_of_a_reading_is_that_of_its_weakest_toggle() -> None:
    assert engine(P).read("suction on and start the vitals monitor").confidence == 0.85
    assert engine(P).read("good morning").confidence == 0.0


def test_a_negation_is_named_by_its_word() -> None:
    assert engine(P).read("don't start the suction").negations == ("don't",)
    assert engine(P).read("start the suction").negations == ()


def test_keywords_are_listed_even_if_nothing_is_commanded() -> None:
    reading = engine(P).read("the vitals look fine and the scope is clean")
    assert reading.matched_keywords == ("vitals", "scope")
    assert reading.toggles == ()


def later(reading: Reading) -> str:
    return " ".join(f"{one.toggle.machine_id} {one.toggle.action}" for one in reading.deferred)


@pytest.mark.parametrize(("surgery", "text", "now", "deferred"), LATER)
def test_what_is_for_later_is_deferred_and_not_done(surgery: str, text: str, now: str, deferred: str) -> None:
    reading = engine(surgery).read(text)
    assert (said(reading), later(reading)) == (now, deferred)


@pytest.mark.parametrize(("surgery", "text", "device"), UNKNOWN)
def test_a_device_that_the_surgery_does_not_have_is_named_and_not_switched(
    surgery: str, text: str, device: str
) -> None:
    reading = engine(surgery).read(text)
    assert (said(reading), reading.unknown) == ("", (device,))


@pytest.mark.parametrize(
    ("text", "waits_for", "delay_s"),
    [
        ("when the tube is in, start the suction", "when the tube is in", None),
        ("start the suction as soon as I say so", "as soon as i say", None),
        ("after dilation we will need the suction", "after dilation", None),
        ("in five minutes start the suction", "in five minutes", 300.0),
        ("suction off in about thirty seconds", "in about thirty seconds", 30.0),
        ("in half an hour turn off the suction", "in half an hour", 1800.0),
        ("start the suction on my signal", "on my signal", None),
        ("we are going to start the suction", "", None),
    ],
)
def test_what_is_deferred_says_what_it_waits_for(text: str, waits_for: str, delay_s: float | None) -> None:
    (one,) = engine(P).read(text).deferred
    assert (one.waits_for, one.delay_s) == (waits_for, delay_s)


@pytest.mark.parametrize("line", CHATTER)
@pytest.mark.parametrize("surgery", [P, H, L])
def test_talk_switches_nothing(surgery: str, line: str) -> None:
    reading = engine(surgery).read(line)
    assert (reading.toggles, reading.deferred) == ((), ())


@pytest.mark.parametrize(
    ("text", "rule", "words"),
    [
        ("could you turn on the suction please", "particle verb", "turn on the suction"),
        ("turn the suction off", "split verb", "turn the suction off"),
        ("the suction is on", "state", "the suction is on"),
        ("no need for suction", "cancel", "no need for suction"),
        ("turn on the succion", "particle verb, misheard", "turn on the succion"),
        ("start the suction, no sorry, the irrigation", "start, corrected", "no sorry , the irrigation"),
    ],
)
def test_a_toggle_says_which_words_and_which_rule(text: str, rule: str, words: str) -> None:
    toggle = only(engine(P).read(text))
    assert (toggle.rule, toggle.words) == (rule, words)


def test_what_is_misheard_is_less_sure() -> None:
    assert only(engine(P).read("turn off the vaccuum")).confidence == 0.70


@pytest.mark.parametrize("speaker", ["Patient", "Medical student", "visitor"])
def test_a_bystander_switches_nothing(speaker: str) -> None:
    assert engine(P).read("turn off the lights", speaker).toggles == ()


def test_a_bare_name_is_a_request_only_of_a_surgeon() -> None:
    assert said(engine(P).read("Suction.", "Surgeon")) == "M06 ON"
    assert said(engine(P).read("Suction!")) == ""
    assert said(engine(P).read("Suction.", "Nurse")) == ""
    assert said(engine(P).read("Suction?", "Surgeon")) == ""


def test_it_and_a_correction_may_speak_of_the_utterance_before() -> None:
    before = engine(P).read("turn on the camera")
    assert said(engine(P).read("turn it off", "", before)) == "M08 OFF"
    assert said(engine(P).read("no sorry, the suction", "", before)) == "M08 OFF M06 ON"
    assert said(engine(P).read("no sorry, the suction")) == ""


@pytest.mark.parametrize(
    ("text", "temporal"),
    [
        ("start the suction right now", "immediately"),
        ("start the suction after the incision", "after"),
        ("when I say so, start the suction", "when"),
        ("start the suction in 30 seconds", "in_time"),
        ("start the suction before the incision", "before"),
        ("keep the suction on during the transection", "during"),
        ("start the suction", "none"),
    ],
)
def test_time_words_are_told_apart(text: str, temporal: str) -> None:
    assert engine(P).read(text).temporal == temporal


def test_the_last_word_on_a_machine_counts() -> None:
    assert said(engine(P).read("suction on. stop the suction")) == "M06 OFF"


@pytest.mark.parametrize("text", ["start imaging once more", "once again, start imaging", "start imaging again"])
def test_to_do_it_once_more_is_to_do_it_now(text: str) -> None:
    assert said(engine(P).read(text)) == "M04 ON"


def test_a_word_inside_another_word_is_no_match() -> None:
    assert engine(P).read("the suctioned fluid, cameraman").matched_keywords == ()


def test_the_longest_phrase_wins() -> None:
    assert only(engine(L).read("turn on the vats camera")).trigger == "vats camera"


def test_spelling_with_hyphens_curly_quotes_capitals_and_spaces_makes_no_difference() -> None:
    assert said(engine(P).read("DON’T   start the X-Ray")) == "M04 OFF"
    assert said(engine(P).read("start the x ray")) == "M04 ON"


def test_a_surgery_that_no_code_knows_is_read_by_its_own_words() -> None:
    laser = Machine(id="M07", name="Holmium Laser (Ho:YAG)", category="Energy", triggers=("laser ready",), aliases=())
    surgery = Surgery("Ureteroscopy", "Ureteroscopy", "OR", (Phase("A", "Only"),), (laser,))
    assert said(RuleEngine(surgery).read("laser ready")) == "M07 ON"
    assert said(RuleEngine(surgery).read("stop the holmium laser")) == "M07 OFF"


VERBS = ["turn", "switch", "start", "stop", "pause", "hold", "don't", "not", "no", "could", "you", "is", "please"]
THINGS = ["the", "suction", "irrigation", "lights", "camera", "lithotripter", "tube", "scope", "needle"]
SMALL = ["on", "off", "and", "then", ",", ".", "?", "when", "before", "now", "in", "five", "minutes"]
WORDS = st.sampled_from(VERBS + THINGS + SMALL)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_any_order_of_words_gives_each_machine_at_most_one_toggle_and_the_same_every_time(text: str) -> None:
    reading = engine(P).read(text)
    ids = [toggle.machine_id for toggle in reading.toggles]
    assert len(ids) == len(set(ids))
    assert all(0.0 <= toggle.confidence <= 1.0 for toggle in reading.toggles)
    assert engine(P).read(text) == reading


@given(st.text(alphabet=string.printable + "äß’—\u4e2d", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(engine(H).read(text), Reading)


@given(st.lists(WORDS, max_size=10).map(" ".join))
def test_after_when_nothing_is_switched_now(text: str) -> None:
    reading = engine(P).read("when we are done " + text.replace(".", "").replace("?", ""))
    assert reading.toggles == ()


ORDERS = ["turn on the {}", "turn the {} off", "start the {}", "stop the {}", "{} off", "{} on please", "skip the {}"]
NAMES = ["suction", "irrigation", "lithotripter", "lights", "camera", "c-arm", "ventilator"]
ORDER = st.builds(lambda order, name: (order, name), st.sampled_from(ORDERS), st.sampled_from(NAMES))
FILLERS = st.sampled_from(["uh", "um", "er", "okay", "well", "so"])


def said_of(text: str) -> set[str]:
    return {f"{toggle.machine_id} {toggle.action}" for toggle in engine(P).read(text).toggles}


@given(st.sampled_from([c for c in COMMANDS if c[0] == P]), st.data())
def test_letter_case_never_changes_a_toggle(case: tuple[str, str, str], data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(case[1]), max_size=len(case[1])))
    text = "".join(c.upper() if u else c for c, u in zip(case[1], upper, strict=True))
    assert said(engine(P).read(text)) == case[2]


@given(st.sampled_from([c for c in COMMANDS if "?" not in c[1]]), st.sampled_from(["", ".", "!", " .", "...", ","]))
def test_a_mark_at_the_end_never_changes_a_toggle(case: tuple[str, str, str], mark: str) -> None:
    assert said(engine(case[0]).read(case[1].rstrip(".!,") + mark)) == case[2]


@given(st.sampled_from([*COMMANDS, *(case[:3] for case in LATER)]), st.data())
def test_sounds_between_words_never_change_a_toggle(case: tuple[str, str, str], data: st.DataObject) -> None:
    words = case[1].split()
    at = data.draw(st.integers(0, len(words)))
    sound = data.draw(st.sampled_from(["uh", "um", "er", "hmm"]))
    assert said(engine(case[0]).read(" ".join([*words[:at], sound, *words[at:]]))) == case[2]


@given(ORDER, st.data())
def test_fillers_never_change_a_toggle(order: tuple[str, str], data: st.DataObject) -> None:
    words = order[0].format(order[1]).split()
    at = data.draw(st.integers(0, len(words)))
    filled = " ".join([*words[:at], data.draw(FILLERS), *words[at:]])
    assert said_of(filled) == said_of(" ".join(words)) != set()


@given(
    st.lists(ORDER, min_size=2, max_size=4, unique_by=lambda order: order[1]),
    st.sampled_from([" and ", ", ", ". ", "; ", ", and ", ", then "]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_independent_clauses_never_changes_a_toggle(
    orders: list[tuple[str, str]], joint: str, draw: random.Random
) -> None:
    clauses = [order.format(name) for order, name in orders]
    expected = set[str]().union(*map(said_of, clauses))
    draw.shuffle(clauses)
    assert said_of(joint.join(clauses)) == expected


@given(st.sampled_from(["is", "are", "why is", "when was", "who says that"]), st.sampled_from(NAMES))
def test_questions_switch_nothing(opener: str, name: str) -> None:
    assert said_of(f"{opener} the {name} on") == said_of(f"{opener} the {name} off?") == set()
