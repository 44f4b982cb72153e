// What the server told: the pipeline's health and the sessions; and what of it is looked at.

import { $, BY, phaseName } from "./text.js";

const MOST_LINES = 2000;

export const sessions = new Map();
export const room = { status: null, statusAt: 0, away: "", spoken: true, heardAt: -Infinity, wasHeard: false, generation: 0 };
export const screen = {
  chosen: null, // name of a session
  past: null, // {t, view}: what is looked at, if it is not now
  follow: true, // the transcript keeps to its end
};

export function choose(name) {
  Object.assign(screen, { chosen: name, past: null, follow: true });
}

export function nowT(session) { // message time now: it goes on while the session does
  return session.view.t + (session.over ? 0 : (performance.now() - session.cameAt) / 1000);
}

export function shown() {
  const session = sessions.get(screen.chosen);
  if (!session) return null;
  return screen.past ? { session, view: screen.past.view || session.view, t: screen.past.t } : { session, view: session.view, t: nowT(session) };
}

export function connect(draw) {
  const source = new EventSource("/events");
  source.onmessage = (event) => {
    take(JSON.parse(event.data));
    draw();
  };
  source.onerror = async () => {
    if (source.readyState !== EventSource.CLOSED) return; // it comes back by itself
    try {
      const answer = await fetch("/", { redirect: "manual", cache: "no-store" });
      if (answer.type === "opaqueredirect") location.assign("/login");
    } catch { /* the server is away */ }
    setTimeout(connect, 1000, draw);
  };
}

function take(told) {
  const now = performance.now();
  if (told.fresh) {
    sessions.clear();
    room.generation += 1;
  }
  Object.assign(room, { away: told.away, spoken: told.spoken, heardAt: now, wasHeard: true });
  if (told.status) room.status = told.status;
  if (told.fresh && !told.status) room.status = null;
  room.statusAt = told.status_age_s === null ? 0 : now - 1000 * told.status_age_s;
  for (const one of told.sessions) {
    const before = sessions.get(one.name);
    const lines = before ? before.lines : new Map();
    for (const line of one.lines) lines.set(line.n, line);
    for (const n of lines.keys()) if (n < one.first_line) lines.delete(n);
    while (lines.size > MOST_LINES) lines.delete(Math.min(...lines.keys()));
    sessions.set(one.name, { ...one, lines, cameAt: now - 1000 * one.age_s });
    if (one.name === screen.chosen && before && !screen.past) announce(before.view, one.view);
  }
  if (!sessions.has(screen.chosen)) choose(best());
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
