// The live page. Everything that is said or named comes from outside and is put in as text, never as markup.
"use strict";

const LOST_MS = 3000; // without a word from the server
const MOST_LINES = 2000;
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
const BY = { default: "from the start", rule: "by rule", model: "by the model", observation: "seen by video", override: "by hand" };

const $ = (id) => document.getElementById(id);
const sessions = new Map();
const room = { status: null, statusAt: 0, away: "", spoken: true, heardAt: -Infinity, wasHeard: false };
let chosen = null; // name of a session
let past = null; // {t, view}: what is looked at, if it is not now
let follow = true; // the transcript keeps to its end
let source = null;

// --- from the server ---------------------------------------------------------------------------------------

function connect() {
  source = new EventSource("/events");
  source.onmessage = (event) => take(JSON.parse(event.data));
  source.onerror = async () => {
    if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself
    try {
      const answer = await fetch("/", { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") location.assign("/login");
    } catch { /* the server is away */ }
    setTimeout(connect, 1000);
  };
}

function take(told) {
  const now = performance.now();
  if (told.fresh) sessions.clear();
  Object.assign(room, { away: told.away, spoken: told.spoken, heardAt: now, wasHeard: true });
  if (told.status) room.status = told.status;
  if (told.fresh && !told.status) room.status = null;
  room.statusAt = told.status_age_s === null ? 0 : now - 1000 * told.status_age_s;
  for (const one of told.sessions) {
    if (!one.view) continue;
    const before = sessions.get(one.name);
    const lines = before ? before.lines : new Map();
    for (const line of one.lines) lines.set(line.n, line);
    for (const n of lines.keys()) if (n < one.first_line) lines.delete(n);
    while (lines.size > MOST_LINES) lines.delete(Math.min(...lines.keys()));
    sessions.set(one.name, { ...one, lines, cameAt: now - 1000 * one.age_s, changed: one.lines });
    if (one.name === chosen && before && !past) announce(before.view, one.view);
  }
  if (!sessions.has(chosen)) choose(best(), false);
  draw();
}

function best() {
  const all = [...sessions.values()];
  all.sort((a, b) => (a.over - b.over) || (b.cameAt - a.cameAt));
  return all.length ? all[0].name : null;
}

function announce(before, after) {
  const was = new Map(before.machines.map((machine) => [machine.id, machine.state]));
  const said = after.machines.filter((m) => was.get(m.id) !== m.state).map((m) => `${m.name} ${m.state}, ${BY[m.by] || m.by}`);
  if (before.phase !== after.phase) said.push(`now ${phaseName(after, after.phase)}`);
  if (before.degraded !== after.degraded) said.push(after.degraded ? "degraded" : "no longer degraded");
  if (said.length) $("spoken").textContent = said.join("; ");
}

// --- small things ------------------------------------------------------------------------------------------

function make(tag, name, ...inside) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...inside); // strings become text nodes
  return node;
}

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function sign(state) {
  const node = make("span", "sign");
  node.dataset.state = state;
  return node;
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

function ago(seconds) {
  if (seconds < 1) return "just now";
  return seconds < 60 ? `${Math.floor(seconds)} s ago` : `${span(seconds)} ago`;
}

function phaseName(view, id) {
  const phase = view.phases.find((one) => one.id === id);
  return phase ? phase.name : id || "not known";
}

function nowT(session) { // message time now: it goes on while the session does
  return session.view.t + (session.over ? 0 : (performance.now() - session.cameAt) / 1000);
}

function shown() {
  const session = sessions.get(chosen);
  if (!session) return null;
  return past ? { session, view: past.view || session.view, t: past.t } : { session, view: session.view, t: nowT(session) };
}

// --- drawing -----------------------------------------------------------------------------------------------

let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawSessions();
    drawHealth();
    const now = shown();
    document.body.dataset.mode = past ? "past" : "live";
    if (now) {
      drawCase(now);
      drawPhases(now);
      drawMachines(now);
      drawSuggestions(now);
      drawLines(now);
      drawTime(now);
    } else {
      for (const id of ["phases", "machines", "suggestions", "lines", "course"]) $(id).replaceChildren();
      for (const id of ["tally", "why", "clock"]) put($(id), "");
      put($("case"), room.away ? "" : "No session yet: it appears with its first message");
    }
  });
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
      tab.addEventListener("click", () => choose(name));
      return tab;
    }));
  }
  for (const tab of tabs.children) {
    const session = sessions.get(tab.dataset.name);
    put(tab, session.name + (session.over ? " (over)" : ""));
    tab.setAttribute("aria-selected", String(session.name === chosen));
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
  const session = sessions.get(chosen);
  const view = session && !session.over ? session.view : null;
  if (past && past.view && past.view.degraded) {
    banners.push(["degraded", "DEGRADED THEN", `${OUTCOMES[past.view.answer.outcome] || "the model's part is missing"}.`]);
  } else if (status && status.degraded && !status.final) {
    const since = status.degraded_since ? `, for ${span(Date.now() / 1000 - status.degraded_since)}` : "";
    banners.push(["degraded", "DEGRADED", `${status.degraded}${since}. What you see is what the rules know.`]);
  } else if (view && view.degraded) {
    const why = OUTCOMES[view.answer.outcome] || view.answer.outcome || "the model's part is missing";
    banners.push(["degraded", "DEGRADED", `${why}, ${ago(nowT(session) - view.answer.t)}. What you see is what the rules know.`]);
  }
  const key = banners.map((one) => one[0] + one[1]).join();
  const place = $("banners");
  if (place.dataset.key !== key) {
    place.dataset.key = key;
    place.replaceChildren(...banners.map(([kind, head]) => make("p", kind, make("b", "", head), make("span"))));
  }
  banners.forEach((one, at) => put(place.children[at].lastChild, one[2]));
  document.body.dataset.health = lost ? "lost" : banners.length ? "degraded" : "ok";
  document.title = (banners.length ? `▲ ${banners[0][1]} · ` : "") + (chosen ? `${chosen} · ` : "") + "orstate";
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
  if (list.dataset.key !== key) {
    list.dataset.key = key;
    list.replaceChildren(...view.phases.map((phase, at) =>
      make("li", "", make("span", "number", String(at + 1)), make("span", "name", phase.name), make("span", "tag"))));
  }
  view.phases.forEach((phase, at) => {
    const item = list.children[at];
    const is = phase.id === view.phase ? "now" : phase.id === view.next_phase ? "next" : seen.has(phase.id) ? "was" : "";
    item.dataset.is = is;
    item.title = phase.name;
    put(item.lastChild, { now: past ? "THEN" : "NOW", next: "EXPECTED NEXT", was: "✓ was here", "": "" }[is]);
    if (is === "now") item.setAttribute("aria-current", "step"); else item.removeAttribute("aria-current");
  });
}

function drawMachines({ session, view, t }) {
  const grid = $("machines");
  const key = `${session.name} ${view.machines.map((machine) => machine.id).join()}`;
  if (grid.dataset.key !== key) {
    grid.dataset.key = key;
    grid.replaceChildren(...view.machines.map((machine) => {
      const card = make("button", "", sign("OFF"), make("span", "name", machine.name), make("span", "state"), make("span", "by"),
        make("span", "more held"), make("span", "more waits"), make("span", "more model"));
      card.dataset.machine = machine.id;
      card.addEventListener("click", () => openOrder(machine.id));
      card.addEventListener("animationend", () => card.classList.remove("fresh"));
      return card;
    }));
  }
  view.machines.forEach((machine, at) => {
    const card = grid.children[at];
    const [mark, , state, by, held, waits, model] = card.children;
    if (card.dataset.state && card.dataset.state !== machine.state) card.classList.add("fresh");
    card.dataset.state = mark.dataset.state = machine.state;
    card.dataset.held = String(machine.held);
    card.disabled = Boolean(past) || session.over;
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
  if (list.dataset.key !== key || !list.children.length) {
    list.dataset.key = key;
    list.replaceChildren(...view.suggestions.map((one) =>
      make("li", "", make("span", "by", `suggestion of ${one.by === "rules" ? "the rules" : one.by}`), make("span", "", one.text), make("span", "age"))));
    if (!view.suggestions.length) list.append(make("li", "none", "None"));
  }
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
  const until = past ? t : Infinity;
  const wanted = [...session.lines.values()].filter((line) => line.t <= until).sort((a, b) => a.n - b.n);
  if (list.dataset.key !== session.name) {
    list.dataset.key = session.name;
    list.replaceChildren();
  }
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
  if (past || follow) list.scrollTop = list.scrollHeight;
  $("newest").hidden = Boolean(past) || follow;
  const note = room.spoken ? "underlined: what moved a machine" : "no journal to read here: only the words that states name";
  put($("speech-note"), note);
}

function drawTime({ session, view, t }) {
  const first = session.from_t;
  const last = Math.max(nowT(session), first + 1);
  const slider = $("time");
  slider.min = first;
  slider.max = last;
  slider.value = past ? t : last;
  slider.setAttribute("aria-valuetext", past ? `${span(t)}, ${span(last - t)} before now` : `live, ${span(t)}`);
  const live = $("live");
  live.setAttribute("aria-pressed", String(!past));
  put(live, past ? "Back to live" : "Live");
  $("mode").replaceChildren(make("b", "", past ? "PAST" : document.body.dataset.health === "lost" ? "OLD" : session.over ? "OVER" : "LIVE"), past ? `${span(last - t)} ago` : span(t));
  const at = view.timestamp ? new Date(view.timestamp).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false }) : "";
  put($("clock"), [past ? `${span(t)} of ${span(last)}` : span(t), at].filter(Boolean).join(" · "));
  const course = $("course");
  const key = JSON.stringify([session.name, session.course, Math.round(last / 2)]);
  if (course.dataset.key === key && course.children.length) return;
  course.dataset.key = key;
  const order = view.phases.map((phase) => phase.id);
  course.replaceChildren(...session.course.filter((turn, at, all) => at === all.length - 1 || all[at + 1].t > first).map((turn, at, all) => {
    const begin = Math.max(turn.t, first);
    const end = at + 1 < all.length ? all[at + 1].t : last;
    const node = make("span", `${order.indexOf(turn.phase) % 2 ? "odd" : ""} ${turn.degraded ? "degraded" : ""}`, turn.phase);
    node.style.left = `${(100 * (begin - first)) / (last - first)}%`;
    node.style.width = `${(100 * (end - begin)) / (last - first)}%`;
    return node;
  }));
}

// --- what a person does ------------------------------------------------------------------------------------

function choose(name, redraw = true) {
  chosen = name;
  past = null;
  follow = true;
  if (redraw) draw();
}

let fetching = false;
let wantedT = null;
async function goTo(t) { // one question at a time, and only the newest is asked
  const session = sessions.get(chosen);
  if (!session) return;
  if (t >= nowT(session) - 0.5) return live();
  past = { t: Math.max(t, session.from_t), view: past ? past.view : null };
  wantedT = past.t;
  draw();
  if (fetching) return;
  fetching = true;
  try {
    while (past && wantedT !== null) {
      const at = wantedT;
      wantedT = null;
      const answer = await fetch(`/api/sessions/${encodeURIComponent(chosen)}/at?t=${at}`);
      if (past && answer.ok) past.view = (await answer.json()).view;
      draw();
    }
  } catch { /* the banner says that the server is away */ } finally {
    fetching = false;
  }
}

function live() {
  past = null;
  wantedT = null;
  follow = true;
  draw();
}

let ordering = null; // the session and the machine that the dialog is about
function openOrder(id) {
  const session = sessions.get(chosen);
  const machine = session.view.machines.find((one) => one.id === id);
  ordering = { session: chosen, machine: id };
  put($("order-title"), `${machine.name} (${id})`);
  put($("order-now"), `Now ${machine.state}${machine.held ? `, held by hand${machine.operator ? ` by ${machine.operator}` : ""}: ${machine.reason}` : ""}`);
  put($("order-error"), "");
  $("order-release").hidden = !machine.held;
  $("reason").value = "";
  for (const radio of document.querySelectorAll("#order [name=action]")) radio.checked = false;
  $("order").showModal();
  document.querySelector("#order [name=action]").focus();
}

async function order(action, reason) {
  const { session, machine } = ordering;
  const body = JSON.stringify({ machine, action, reason, operator: $("operator").value });
  try {
    const answer = await fetch(`/api/sessions/${encodeURIComponent(session)}/order`,
      { method: "POST", headers: { "content-type": "application/json" }, body });
    if (answer.ok) $("order").close();
    else put($("order-error"), `Not taken: ${await answer.text()}`);
  } catch {
    put($("order-error"), "Not taken: the page's server does not answer");
  }
}

function keys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const now = shown();
  const step = event.shiftKey ? 60 : 5;
  const does = {
    ArrowLeft: () => now && goTo(now.t - step),
    ArrowRight: () => now && past && goTo(now.t + step),
    End: live,
    l: live,
    Escape: () => past && live(),
    s: () => { const names = [...sessions.keys()].sort(); choose(names[(names.indexOf(chosen) + 1) % names.length] || null); },
    m: () => $("machines").firstElementChild?.focus(),
    t: () => $("lines").focus(),
    d: () => document.body.classList.toggle("dim"),
    "?": () => $("help").showModal(),
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does) return;
  event.preventDefault();
  does();
}

addEventListener("keydown", keys);
$("time").addEventListener("input", (event) => goTo(Number(event.target.value)));
$("live").addEventListener("click", live);
$("newest").addEventListener("click", () => { follow = true; draw(); });
$("lines").addEventListener("scroll", ({ target }) => {
  const atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  if (!past && follow !== atEnd) { follow = atEnd; draw(); }
});
$("help-open").addEventListener("click", () => $("help").showModal());
$("order-cancel").addEventListener("click", () => $("order").close());
$("order-release").addEventListener("click", () => order("RELEASE", $("reason").value || "released"));
document.querySelector("#order form").addEventListener("submit", (event) => {
  event.preventDefault();
  order(new FormData(event.target).get("action"), $("reason").value);
});
setInterval(draw, 500);
connect();
