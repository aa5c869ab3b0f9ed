import { FINDINGS } from "./findings.ts";

/**
 * What the browser runs. Text reaches the page through text nodes only, so nothing that a database
 * or an application says can become markup. Plain JavaScript: it is served as it stands here.
 */
export const SCRIPT: string = String.raw`
"use strict";
const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const state = { name: null, declined: false, shown: {} };

/* ---- building ---- */
function h(tag, attributes, ...children) {
  const svg = tag === "svg" || tag === "rect";
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (value !== undefined) node.setAttribute(name, value);
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}
/* Replaces only what changed, so that focus, selection and opened details stay. */
function show(id, value, build) {
  const text = JSON.stringify(value);
  if (state.shown[id] === text) return;
  state.shown[id] = text;
  $(id).replaceChildren(...[build(value)].flat());
}
function percent(part, whole) {
  if (!whole) return "–";
  const share = (100 * part) / whole;
  return (share > 99.9 && part < whole ? "99.9" : share.toFixed(share < 10 || share % 1 ? 1 : 0)) + " %";
}
function table(heads, rows, empty) {
  if (rows.length === 0) return h("p", { class: "none" }, empty);
  const cell = (tag, value, head) => h(tag, { class: head.number ? "number" : undefined }, value);
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: head.number ? "number" : undefined }, head.text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, row.map((value, i) => cell("td", value, heads[i])))))));
}
function bar(parts, label) {
  const whole = parts.reduce((sum, part) => sum + part.count, 0) || 1;
  let x = 0;
  return h("svg", { class: "bar", viewBox: "0 0 1000 14", preserveAspectRatio: "none", role: "img", "aria-label": label },
    parts.map((part) => {
      const width = (1000 * part.count) / whole;
      x += width;
      return h("rect", { class: "fill-" + part.fill, x: x - width, y: 0, width, height: 14 });
    }));
}
const sorted = (counts) => Object.entries(counts).sort((a, b) => b[1] - a[1]);
const words = (name) => name.replaceAll("_", " ");
const ago = (iso) => {
  const s = Math.max(0, Math.round((Date.now() - Date.parse(iso)) / 1000));
  return s < 90 ? s + " s ago" : s < 5400 ? Math.round(s / 60) + " min ago" : s < 172800 ? Math.round(s / 3600) + " h ago" : Math.round(s / 86400) + " days ago";
};

/* ---- talking ---- */
async function api(path, options) {
  const headers = { accept: "application/json" };
  const token = sessionStorage.getItem("twinwire-token");
  if (token) headers.authorization = "Bearer " + token;
  if (options && options.body) headers["content-type"] = "application/json";
  const response = await fetch(path, { cache: "no-store", ...options, headers });
  if (response.status !== 401) return response;
  /* Who has once declined is asked again only when they do something. */
  if (state.declined && !(options && options.method)) return response;
  const { detail } = await response.clone().json();
  const given = await ask("Token needed", detail, "Go on", true);
  state.declined = given === undefined;
  if (state.declined) return response;
  sessionStorage.setItem("twinwire-token", given);
  return api(path, options);
}
const base = () => "/api/v1/migrations/" + encodeURIComponent(state.name);
async function get(path) {
  const response = await api(path);
  if (!response.ok) throw new Error(response.status === 401 ? "token" : String(response.status));
  return response.json();
}
let asking = null;
function ask(title, text, yes, wantsToken, wantsAmount) {
  if (asking) return asking;
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-yes").textContent = yes;
  $("ask-token").hidden = !wantsToken;
  $("token").value = "";
  $("ask-amount").hidden = !wantsAmount;
  $("amount").value = "";
  $("ask").returnValue = "no";
  $("ask").showModal();
  asking = new Promise((resolve) => {
    $("ask").onclose = () => {
      asking = null;
      const agreed = $("ask").returnValue === "yes";
      resolve(!agreed ? undefined : wantsToken ? $("token").value.trim() : wantsAmount ? $("amount").value.trim() : true);
    };
  });
  return asking;
}
function notice(text) {
  $("notice").hidden = !text;
  $("notice").textContent = text || "";
}
async function act(path, body, question, yes, method) {
  if (question && !(await ask("Are you sure?", question, yes))) return;
  const response = await api(base() + path, { method: method || "POST", body: body && JSON.stringify(body) });
  const answer = await response.json().catch(() => ({}));
  const failed = (answer.guards || []).filter((guard) => !guard.ok).map((guard) => guard.name + ": " + guard.cure);
  notice(response.ok ? (answer.outcome ? "Asked again: " + answer.outcome + ". " + answer.detail : "") : [answer.detail || "Twinwire answered " + response.status, ...failed].join(" · "));
  refresh();
}
function button(text, label, onclick) {
  const node = h("button", { class: "plain", type: "button", "aria-label": label }, text);
  node.onclick = onclick;
  return node;
}

/* ---- showing ---- */
function showRoute(status) {
  const { primary, shadow } = status.route;
  $("phase").textContent = "phase " + words(status.phase) + " · epoch " + status.epoch + " · " + number.format(status.sessions) + (status.sessions === 1 ? " session" : " sessions");
  show("sides", [primary, shadow], () => ["old", "new"].map((side) => {
    const answers = side === primary;
    const role = answers ? "primary" : "shadow";
    const text = answers ? "answers the application" : shadow.enabled ? "mirrors " + percent(shadow.sample, 1) + " of the transactions · " + shadow.state : "mirroring is off";
    return h("div", { class: "side " + role }, h("b", {}, side.toUpperCase()), h("span", { class: "badge" }, role), h("p", { class: "quiet" }, text));
  }));
  $("to-new").hidden = primary === "new";
  $("to-old").hidden = primary === "old";
  $("shadow").textContent = shadow.enabled ? "Switch mirroring off" : "Switch mirroring on";
}
function legend(rows) {
  return table([{ text: "" }, { text: "exchanges", number: true }, { text: "share", number: true }], rows, "Nothing yet.");
}
function showCoverage({ seen, compared, skipped }) {
  const left = sorted(skipped);
  const rest = Math.max(0, seen - compared - left.reduce((sum, [, count]) => sum + count, 0));
  $("coverage-share").textContent = percent(compared, seen) + " compared";
  show("coverage", [seen, compared, skipped], () => [
    bar([{ fill: "compared", count: compared }, { fill: "skipped", count: seen - compared }], percent(compared, seen) + " of the exchanges were compared"),
    legend([
      [[h("span", { class: "key fill-compared" }), "compared"], number.format(compared), percent(compared, seen)],
      ...left.map(([reason, count]) => [[h("span", { class: "key fill-skipped" }), "not mirrored: " + words(reason)], number.format(count), percent(count, seen)]),
      ...(rest ? [[[h("span", { class: "key fill-skipped" }), "incomparable or on its way"], number.format(rest), percent(rest, seen)]] : []),
    ])]);
}
function showVerdicts(verdicts, incomparable) {
  const kinds = ["match", "tolerated", "divergent", "incomparable"];
  const whole = kinds.reduce((sum, kind) => sum + verdicts[kind], 0);
  $("verdicts-share").textContent = percent(verdicts.match, whole) + " match";
  show("verdicts", [verdicts, incomparable], () => [
    bar(kinds.map((kind) => ({ fill: kind, count: verdicts[kind] })), kinds.map((kind) => kind + " " + verdicts[kind]).join(", ")),
    legend(kinds.map((kind) => [[h("span", { class: "key fill-" + kind }), kind], number.format(verdicts[kind]), percent(verdicts[kind], whole)])),
    ...(sorted(incomparable).length ? [h("p", { class: "quiet" }, "Incomparable: " + sorted(incomparable).map(([reason, count]) => words(reason) + " " + number.format(count)).join(", "))] : [])]);
}
${FINDINGS}function showReadiness({ ready, guards }) {
  $("ready").textContent = ready ? "ready" : "not ready";
  show("guards", guards, () => table([{ text: "Guard" }, { text: "Value" }, { text: "Limit" }],
    guards.map((guard) => [[h("span", { class: guard.ok ? "ok" : "bad" }, words(guard.name)), guard.ok ? null : h("div", { class: "quiet" }, guard.cure)], guard.value, guard.limit]), "No guards."));
}
function showStatements({ items }) {
  const busy = [...items].sort((a, b) => b.seen - a.seen).slice(0, 12);
  const ms = (value) => (value === null ? "–" : value.toFixed(value < 10 ? 2 : 0));
  show("statements", busy, () => table([{ text: "Statement" }, { text: "Seen", number: true }, { text: "Compared", number: true }, { text: "p50 old / new, ms", number: true }, { text: "New is" }],
    busy.map((item) => [h("code", { title: item.statement }, item.statement), number.format(item.seen), percent(item.compared, item.seen), ms(item.latency.old.p50Ms) + " / " + ms(item.latency.new.p50Ms), item.latency.verdict === "indeterminate" ? "–" : item.latency.verdict]), "Nothing yet."));
}
function showAttempt(attempts) {
  const last = [...attempts].sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1))[0];
  const running = last !== undefined && last.state === "running";
  $("abort").hidden = !running;
  $("to-new").disabled = $("to-old").disabled = running;
  const before = $("attempt").querySelector("details");
  const unfold = running || (before !== null && before.open);
  show("attempt", last || null, () => (last ? [
    h("p", {}, h("strong", {}, last.verb + " " + last.state), " · ", h("time", { datetime: last.startedAt }, ago(last.startedAt)), (last.pauseMs === undefined ? "" : " · clients waited " + last.pauseMs.toFixed(0) + " ms") + (last.outcome ? " · " + last.outcome : "")),
    h("details", unfold ? { open: "" } : {}, h("summary", {}, "Timeline"), table([{ text: "at, ms", number: true }, { text: "Step" }, { text: "took, ms", number: true }, { text: "" }],
      last.timeline.map((step) => [step.atMs.toFixed(0), words(step.step), step.tookMs.toFixed(1), step.detail]), ""))] : []));
  return running;
}

/* ---- going on ---- */
let busy = false;
let again = false;
let timer = 0;
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  clearTimeout(timer);
  let pause = 2000;
  try {
    const { items } = await get("/api/v1/migrations");
    const names = items.map((item) => item.name);
    if (!names.includes(state.name)) state.name = names[0];
    show("names", names, () => names.map((name) => h("option", { value: name }, name)));
    $("names").value = state.name;
    $("picker").hidden = names.length < 2;
    const status = items.find((item) => item.name === state.name);
    if (status) {
      document.title = state.name + " on " + status.route.primary.toUpperCase() + " · Twinwire";
      showRoute(status);
      showCoverage(status.exchanges);
      showVerdicts(status.verdicts, status.incomparable);
      const [divergences, others, rules, readiness, statements, attempts] = await Promise.all(["/divergences?limit=50", "/divergences?state=all&limit=200", "/rules", "/readiness", "/fingerprints?limit=500", "/attempts"].map((path) => get(base() + path)));
      showDivergences(divergences);
      showOthers(others);
      showRules(rules);
      showReadiness(readiness);
      showStatements(statements);
      if (showAttempt(attempts.items)) pause = 250;
      for (const time of document.querySelectorAll("time")) time.textContent = ago(time.dateTime);
    }
    $("main").setAttribute("aria-busy", "false");
    link("live", "live");
  } catch (error) {
    link("lost", error.message === "token" ? "token needed" : "no answer from Twinwire");
  }
  busy = false;
  timer = setTimeout(refresh, again ? 250 : document.hidden ? 15000 : pause);
  again = false;
}
function link(kind, text) {
  $("link").dataset.state = kind;
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
}
let waiting = 0;
function soon() {
  waiting = waiting || setTimeout(() => { waiting = 0; refresh(); }, 200);
}
/* Events only say that something happened; what it is comes with the next refresh. */
async function listen() {
  for (;;) {
    const name = state.name;
    try {
      if (name) {
        const stop = new AbortController();
        const response = await api(base() + "/events", { signal: stop.signal });
        const reader = response.ok ? response.body.getReader() : null;
        for (let part = reader && (await reader.read()); part && !part.done && state.name === name; part = await reader.read()) soon();
        stop.abort();
      }
    } catch { /* the loop tries again, and refresh says that the link is lost */ }
    await new Promise((resolve) => setTimeout(resolve, 3000));
  }
}
$("names").onchange = () => { state.name = $("names").value; state.shown = {}; refresh(); };
$("to-new").onclick = () => act("/route", { primary: "new" }, "New transactions wait a moment while the traffic of " + state.name + " moves to NEW.", "Move to NEW");
$("to-old").onclick = () => act("/route", { primary: "old" }, "New transactions wait a moment while the traffic of " + state.name + " moves to OLD.", "Move to OLD");
$("abort").onclick = () => act("/abort");
$("shadow").onclick = () => {
  const off = $("shadow").textContent.endsWith("off");
  return act("/shadow", { enabled: !off }, off ? "While mirroring is off nothing is compared." : "", "Switch off");
};
for (const button of document.querySelectorAll("[data-report]")) {
  button.onclick = async () => {
    const format = button.dataset.report;
    const response = await api(base() + "/report?format=" + format);
    if (!response.ok) return notice("Twinwire answered " + response.status);
    const anchor = h("a", { href: URL.createObjectURL(await response.blob()), download: state.name + "-report." + format });
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(anchor.href), 10000);
  };
}
document.addEventListener("visibilitychange", () => document.hidden || refresh());
refresh().then(listen);
`;
