// What is seen. Nodes are kept as long as they stand for the same thing, so that focus and scrolling stay where they are.

import { $, BY, ago, make, phaseName, put, sign, span } from "./text.js";
import { nowT, room, screen, sessions, shown } from "./room.js";

const LOST_MS = 3000; // without a word from the server
const OUTCOMES = {
  parse_failed: "the model's answer had no object in it",
  truncated: "the model's answer was cut off",
  schema_failed: "the model's answer was no state of this surgery",
  unsafe: "the model's answer read as an order, and was not taken",
  timeout: "the model gave no answer in time",
  model_unavailable: "the model is not there",
  stage_crashed: "the model's process died",
  expired: "the model's answer came too late",
};

let drawing = false;

export function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawSessions();
    drawHealth();
    const now = shown();
    document.body.dataset.mode = screen.past ? "past" : "live";
    if (now) {
      drawCase(now);
      drawPhases(now);
      drawMachines(now);
      drawSuggestions(now);
      drawLines(now);
      drawTime(now);
    } else {
      for (const id of ["phases", "machines", "suggestions", "lines", "course"]) fill($(id), "empty", () => []);
      for (const id of ["tally", "why", "clock"]) put($(id), "");
      put($("case"), room.away ? "" : "No session yet: it appears with its first message");
    }
  });
}

// New nodes in a place, if it is for something else than before; a new run of the pipeline is something else.
function fill(place, key, build) {
  const whole = `${room.generation} ${key}`;
  if (place.dataset.key === whole) return;
  place.dataset.key = whole;
  place.replaceChildren(...build());
}

function drawSessions() {
  const tabs = $("sessions");
  const names = [...sessions.keys()].sort();
  const known = [...tabs.children].map((tab) => tab.dataset.name);
  if (names.join("\n") !== known.join("\n")) {
    tabs.replaceChildren(...names.map((name) => {
      const tab = make("button");
      tab.dataset.name = name;
      tab.setAttribute("role", "tab");
      return tab;
    }));
  }
  for (const tab of tabs.children) {
    const session = sessions.get(tab.dataset.name);
    put(tab, session.name + (session.over ? " (over)" : ""));
    tab.setAttribute("aria-selected", String(session.name === screen.chosen));
    tab.dataset.degraded = String(!session.over && session.view.degraded);
  }
}

function drawHealth() {
  const now = performance.now();
  const silent = now - room.heardAt;
  const banners = [];
  if (silent > LOST_MS) {
    const since = room.wasHeard ? `; what you see is ${span(silent / 1000)} old` : "";
    banners.push(["lost", "NO CONNECTION", `the page's server does not answer${since}. Trying again.`]);
  } else if (room.away) {
    const since = room.statusAt ? `; what you see is ${span((now - room.statusAt) / 1000)} old` : "";
    banners.push(["lost", "NO PIPELINE", `${room.away}${since}`]);
  } else if (room.statusAt && now - room.statusAt > 2 * LOST_MS) {
    banners.push(["lost", "NO WORD", `from the pipeline for ${span((now - room.statusAt) / 1000)}`]);
  }
  const lost = banners.length > 0;
  const status = room.status;
  const session = sessions.get(screen.chosen);
  const view = session && !session.over ? session.view : null;
  if (screen.past && screen.past.view && screen.past.view.degraded) {
    banners.push(["degraded", "DEGRADED THEN", `${OUTCOMES[screen.past.view.answer.outcome] || "the model's part is missing"}.`]);
  } else if (status && status.degraded && !status.final) {
    const since = status.degraded_since ? `, for ${span(Date.now() / 1000 - status.degraded_since)}` : "";
    banners.push(["degraded", "DEGRADED", `${status.degraded}${since}. What you see is what the rules know.`]);
  } else if (view && view.degraded) {
    const why = OUTCOMES[view.answer.outcome] || view.answer.outcome || "the model's part is missing";
    banners.push(["degraded", "DEGRADED", `${why}, ${ago(nowT(session) - view.answer.t)}. What you see is what the rules know.`]);
  }
  const key = banners.map((one) => one[0] + one[1]).join();
  const place = $("banners");
  fill(place, key, () => banners.map(([kind, head]) => make("p", kind, make("b", "", head), make("span"))));
  banners.forEach((one, at) => put(place.children[at].lastChild, one[2]));
  document.body.dataset.health = lost ? "lost" : banners.length ? "degraded" : "ok";
  document.title = (banners.length ? `▲ ${banners[0][1]} · ` : "") + (screen.chosen ? `${screen.chosen} · ` : "") + "orstate";
  drawModel(status);
}

function drawModel(status) {
  if (!status) return put($("model"), "Model: not known"), put($("stages"), "");
  const since = (performance.now() - room.statusAt) / 1000;
  const word = status.last_answer_age_s === null ? "no answer yet" : `answered ${ago(status.last_answer_age_s + since)}`;
  const waiting = status.questions_open ? `, ${status.questions_open} waiting` : "";
  put($("model"), `Model ${status.model}: ${status.model_state}, ${word}${waiting}`);
  const stages = Object.entries(status.stages).map(([name, stage]) =>
    `${name} ${stage.state}${stage.restarts ? ` (${stage.restarts} restarts)` : ""}${stage.queue ? `, queue ${stage.queue}` : ""}`);
  put($("stages"), `${stages.join(" · ")} · ${status.inputs} inputs, ${status.refused} refused, ${status.dropped} dropped · up ${span(status.uptime_s + since)}`);
}

function drawCase({ session, view }) {
  put($("case"), `${view.surgery}${view.full_name ? `, ${view.full_name}` : ""}${session.over ? ": the session is over" : ""}`);
}

function drawPhases({ session, view, t }) {
  const seen = new Set(session.course.filter((turn) => turn.t <= t).map((turn) => turn.phase));
  const list = $("phases");
  const key = view.phases.map((phase) => phase.id).join();
  fill(list, key, () => view.phases.map((phase, at) =>
    make("li", "", make("span", "number", String(at + 1)), make("span", "name", phase.name), make("span", "tag"))));
  view.phases.forEach((phase, at) => {
    const item = list.children[at];
    const is = phase.id === view.phase ? "now" : phase.id === view.next_phase ? "next" : seen.has(phase.id) ? "was" : "";
    item.dataset.is = is;
    item.title = phase.name;
    put(item.lastChild, { now: screen.past ? "THEN" : "NOW", next: "EXPECTED NEXT", was: "✓ was here", "": "" }[is]);
    if (is === "now") item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
  });
}

function drawMachines({ session, view, t }) {
  const grid = $("machines");
  const key = `${session.name} ${view.machines.map((machine) => machine.id).join()}`;
  fill(grid, key, () => view.machines.map((machine) => {
    const card = make("button", "", sign("OFF"), make("span", "name", machine.name), make("span", "state"), make("span", "by"),
      make("span", "more held"), make("span", "more waits"), make("span", "more model"));
    card.dataset.machine = machine.id;
    card.addEventListener("animationend", () => card.classList.remove("fresh"));
    return card;
  }));
  view.machines.forEach((machine, at) => {
    const card = grid.children[at];
    const [mark, , state, by, held, waits, model] = card.children;
    if (card.dataset.state && card.dataset.state !== machine.state) card.classList.add("fresh");
    card.dataset.state = mark.dataset.state = machine.state;
    card.dataset.held = String(machine.held);
    card.disabled = Boolean(screen.past) || session.over;
    put(state, machine.state);
    const since = machine.at === null ? "" : ` · ${ago(t - machine.at)}`;
    const who = machine.by === "override" && machine.operator ? `by ${machine.operator}` : BY[machine.by] || machine.by;
    put(by, `${machine.id} · ${who}${machine.by === "override" && !machine.held ? ", released" : ""}${since}`);
    put(held, machine.held ? machine.reason || "until it is released" : "");
    put(waits, machine.waits);
    put(model, machine.model_says ? `the model would set it ${machine.model_says}` : "");
  });
  const count = (state) => view.machines.filter((machine) => machine.state === state).length;
  put($("tally"), `${count("ON")} on, ${count("STANDBY")} on standby, ${count("OFF")} off`);
  const unknown = view.unknown.length ? ` · not of this surgery: ${view.unknown.join(", ")}` : "";
  put($("why"), `${view.source.replace("rule", "rules").replace("+", " and ")}: ${view.reasoning || "nothing new"}${unknown}`);
}

function drawSuggestions({ view, t }) {
  const list = $("suggestions");
  const key = JSON.stringify(view.suggestions.map((one) => [one.text, one.by]));
  fill(list, key, () => view.suggestions.length ? view.suggestions.map((one) =>
    make("li", "", make("span", "by", `suggestion of ${one.by === "rules" ? "the rules" : one.by}`), make("span", "", one.text), make("span", "age"))) :
    [make("li", "none", "None")]);
  view.suggestions.forEach((one, at) => put(list.children[at].lastChild, ago(t - one.t)));
}

function lineNode(line, view) {
  const what = make("span", "what");
  for (const part of line.parts) {
    if (!part.machines) what.append(part.text);
    else what.append(make("mark", part.named ? "named" : "", part.text));
  }
  const names = new Map([...view.machines, ...view.phases].map((one) => [one.id, one.name]));
  if (line.kind === "order" || line.kind === "seen") put(what, what.textContent.replace(/\w+/, (id) => names.get(id) || id));
  const node = make("li", "", make("time", "", span(line.t)), make("span", "who", line.who || ""), what);
  node.dataset.kind = line.kind;
  node.dataset.n = line.n;
  node.dataset.revision = line.revision;
  if (line.final === false) node.classList.add("open");
  const effects = Object.entries(line.changes || {}).map(([id, state]) => make("span", "", sign(state), `${names.get(id) || id} ${state}`));
  if (line.phase) effects.push(make("span", "phase", phaseName(view, line.phase)));
  if (effects.length) {
    node.classList.add("moved");
    node.append(make("span", "effects", ...effects));
  }
  return node;
}

function drawLines({ session, view, t }) {
  const list = $("lines");
  const until = screen.past ? t : Infinity;
  const wanted = [...session.lines.values()].filter((line) => line.t <= until).sort((a, b) => a.n - b.n);
  fill(list, session.name, () => []);
  const have = new Map([...list.children].map((node) => [Number(node.dataset.n), node]));
  const keep = new Set(wanted.map((line) => line.n));
  for (const [n, node] of have) if (!keep.has(n)) node.remove();
  let before = null;
  for (const line of wanted) {
    let node = have.get(line.n);
    if (!node || Number(node.dataset.revision) !== line.revision) {
      const fresh = lineNode(line, view);
      if (node) node.replaceWith(fresh);
      else if (before) before.after(fresh);
      else list.prepend(fresh);
      node = fresh;
    }
    before = node;
  }
  if (screen.past || screen.follow) list.scrollTop = list.scrollHeight;
  $("newest").hidden = Boolean(screen.past) || screen.follow;
  const note = room.spoken ? "underlined: what moved a machine" : "no journal to read here: only the words that states name";
  put($("speech-note"), note);
}

function drawTime({ session, view, t }) {
  const first = session.from_t;
  const last = Math.max(nowT(session), first + 1);
  const slider = $("time");
  slider.min = first;
  slider.max = last;
  slider.value = screen.past ? t : last;
  slider.setAttribute("aria-valuetext", screen.past ? `${span(t)}, ${span(last - t)} before now` : `live, ${span(t)}`);
  const live = $("live");
  live.setAttribute("aria-pressed", String(!screen.past));
  put(live, screen.past ? "Back to live" : "Live");
  $("mode").replaceChildren(make("b", "", screen.past ? "PAST" : document.body.dataset.health === "lost" ? "OLD" : session.over ? "OVER" : "LIVE"), screen.past ? `${span(last - t)} ago` : span(t));
  const at = view.timestamp ? new Date(view.timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false }) : "";
  put($("clock"), [screen.past ? `${span(t)} of ${span(last)}` : span(t), at].filter(Boolean).join(" · "));
  const course = $("course");
  const key = JSON.stringify([session.name, session.course, Math.round(last / 2)]);
  const order = view.phases.map((phase) => phase.id);
  fill(course, key, () => session.course.filter((turn, at, all) => at === all.length - 1 || all[at + 1].t > first).map((turn, at, all) => {
    const begin = Math.max(turn.t, first);
    const end = at + 1 < all.length ? all[at + 1].t : last;
    const node = make("span", `${order.indexOf(turn.phase) % 2 ? "odd" : ""} ${turn.degraded ? "degraded" : ""}`, turn.phase);
    node.style.left = `${(100 * (begin - first)) / (last - first)}%`;
    node.style.width = `${(100 * (end - begin)) / (last - first)}%`;
    return node;
  }));
}
