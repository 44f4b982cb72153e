// The live page: what a person does, by pointer or keyboard.

import { $, put } from "./text.js";
import { choose, connect, nowT, screen, sessions, shown } from "./room.js";
import { draw } from "./draw.js";

let fetching = false;
let wantedT = null;
async function goTo(t) { // one question at a time, and only the newest is asked
  const session = sessions.get(screen.chosen);
  if (!session) return;
  if (t >= nowT(session) - 0.5) return live();
  screen.past = { t: Math.max(t, session.from_t), view: screen.past ? screen.past.view : null };
  wantedT = screen.past.t;
  draw();
  if (fetching) return;
  fetching = true;
  try {
    while (screen.past && wantedT !== null) {
      const at = wantedT;
      wantedT = null;
      const answer = await fetch(`/api/sessions/${encodeURIComponent(screen.chosen)}/at?t=${at}`);
      if (screen.past && answer.ok) screen.past.view = (await answer.json()).view;
      draw();
    }
  } catch { /* the banner says that the server is away */ } finally {
    fetching = false;
  }
}

function live() {
  screen.past = null;
  wantedT = null;
  screen.follow = true;
  draw();
}

let ordering = null; // the session and the machine that the dialog is about
function openOrder(id) {
  const session = sessions.get(screen.chosen);
  const machine = session.view.machines.find((one) => one.id === id);
  ordering = { session: screen.chosen, machine: id };
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

function nextSession() {
  const names = [...sessions.keys()].sort();
  choose(names[(names.indexOf(screen.chosen) + 1) % names.length] || null);
  draw();
}

function keys(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
  const now = shown();
  const step = event.shiftKey ? 60 : 5;
  const does = {
    ArrowLeft: () => now && goTo(now.t - step),
    ArrowRight: () => now && screen.past && goTo(now.t + step),
    End: live,
    l: live,
    Escape: () => screen.past && live(),
    s: nextSession,
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
$("sessions").addEventListener("click", ({ target }) => {
  const tab = target.closest("button");
  if (!tab) return;
  choose(tab.dataset.name);
  draw();
});
$("machines").addEventListener("click", ({ target }) => {
  const card = target.closest("button");
  if (card) openOrder(card.dataset.machine);
});
$("time").addEventListener("input", (event) => goTo(Number(event.target.value)));
$("live").addEventListener("click", live);
$("newest").addEventListener("click", () => { screen.follow = true; draw(); });
$("lines").addEventListener("scroll", ({ target }) => {
  const atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  if (!screen.past && screen.follow !== atEnd) { screen.follow = atEnd; draw(); }
});
$("help-open").addEventListener("click", () => $("help").showModal());
$("order-cancel").addEventListener("click", () => $("order").close());
$("order-release").addEventListener("click", () => order("RELEASE", $("reason").value || "released"));
document.querySelector("#order form").addEventListener("submit", (event) => {
  event.preventDefault();
  order(new FormData(event.target).get("action"), $("reason").value);
});
setInterval(draw, 500);
connect(draw);
