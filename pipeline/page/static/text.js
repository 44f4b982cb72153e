// Small things of which the page is made. What is said or named comes from outside: it is put in as text, never as markup.

export const BY = { default: "from the start", rule: "by rule", model: "by the model", observation: "seen by video", override: "by hand" };

export const $ = (id) => document.getElementById(id);

export function make(tag, name, ...inside) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...inside); // strings become text nodes
  return node;
}

export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function sign(state) {
  const node = make("span", "sign");
  node.dataset.state = state;
  return node;
}

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
}

export function ago(seconds) {
  if (seconds < 1) return "just now";
  return seconds < 60 ? `${Math.floor(seconds)} s ago` : `${span(seconds)} ago`;
}

export function phaseName(view, id) {
  const phase = view.phases.find((one) => one.id === id);
  return phase ? phase.name : id || "not known";
}
