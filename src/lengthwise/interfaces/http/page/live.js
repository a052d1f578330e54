/* The live page: reads v1/live every two seconds and shows it.

Times of day arrive as seconds since 1970, durations in milliseconds. Order of this file: a section
per target, the other parts of the page, reading. */

import {
  finite, digits, count, ms, percent, words, ascending, median, clock, moment, ago, unitOf,
  named, byId, fill, element, shape, table, drawScatter, drawTimes, drawShare, BARS_UP_TO,
} from "./charts.js";

const POLL_MS = 2000, SLOWEST_POLL_MS = 10000, ANSWER_MS = 8000;
const QUIET_S = 60, LATEST_ROWS = 20, LATEST_EVENTS = 12;
const TARGETS = { ttft: "Time to first token", tpot: "Time per output token" };
const FEATURES = {
  input_tokens: ["prompt length", "tokens"], cached_share: ["prompt found in cache", "share"],
  kv_share: ["KV cache in use", "share"], waiting: ["requests waiting", "requests"],
  running: ["requests running", "requests"], generated: ["tokens generated", "tokens"],
  prefill_in_flight: ["prefill tokens in flight", "tokens"],
  decode_in_flight: ["decode tokens in flight", "tokens"],
  encoder_tokens: ["encoder input", "tokens"], encoder_matched: ["encoder input found in cache", "tokens"],
};
const KINDS = {
  promoted: "fit promoted", kept: "fit not better, kept", rolled_back: "fit rolled back", drift: "drift noticed",
  widened: "intervals widened", offset_refitted: "level refitted", covariance_reset: "memory reset",
  replaced: "fit replaced", law_refused: "law not published",
  recovered: "recovered", correction_on: "correction on", correction_off: "correction off",
  alarm: "detectors alarmed", pinned: "law pinned", released: "newest law again",
  flushed: "flushed", learner_reset: "learner begun again", batch_set_aside: "batch set aside",
};
const CALM = /promoted|kept|recovered|correction|started|published|pinned|released|flushed/;

/* One section per target */

const views = {};

function figure(title, note, extra = null) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("role", "img");
  const small = element("small", {}, note);
  return { svg, small, root: element("figure", {}, element("figcaption", {}, element("h3", {}, title, small), extra), svg) };
}

function choice(target) {
  const option = (value, text) => {
    const input = element("input", { type: "radio", name: `as-${target}`, value });
    input.checked = value === "ratio";
    return element("label", {}, input, text);
  };
  return element("fieldset", { class: "choice" }, element("legend", {}, "as"), option("ratio", "ratio"), option("time", "time"));
}

function keyOf(entries) {
  return element("ul", { class: "key" }, ...entries.map(([draw, text]) => {
    const item = element("li", {}), svg = shape(item, "svg", { viewBox: "0 0 20 12", "aria-hidden": "true" });
    for (const [tag, attributes] of draw) shape(svg, tag, attributes);
    item.append(text);
    return item;
  }));
}

const KEY = [
  [[["path", { class: "in", "stroke-width": 5.2, d: "M10 6h.01" }]], "inside its interval"],
  [[["path", { class: "out", "stroke-width": 1.5, d: "M7 3l6 6m0-6l-6 6" }]], "outside"],
  [[["rect", { class: "band", width: 20, height: 12 }]], "interval"],
  [[["line", { class: "ideal", x1: 0, x2: 20, y1: 6, y2: 6 }]], "predicted = observed"],
  [[["line", { class: "event", x1: 10, x2: 10, y1: 0, y2: 12 }]], "event, numbered below"],
];

function build(target) {
  const as = choice(target);
  const view = { target, as: "ratio", rows: [], places: {}, picked: null,
    scatter: figure("Predicted against observed", ""), times: figure("Observed over predicted", "", as),
    error: figure("Median error", ""), coverage: figure("Inside the interval", ""),
    empty: element("p", { class: "empty" }), later: element("p", { class: "empty" }, "The error and the coverage over time appear here once a few more requests have been observed."), readout: element("p", { class: "readout", "aria-live": "off" }),
    latest: element("details", {}, element("summary", {}, "Latest values as a table"), element("div")) };
  view.charts = element("div", { class: "charts" },
    element("div", {}, view.scatter.root, keyOf(KEY), view.readout),
    element("div", {}, view.times.root, view.error.root, view.coverage.root, view.later));
  fill(byId(target), element("h2", { id: `${target}-title` }, TARGETS[target], element("small", {}, target.toUpperCase())),
    view.empty, view.charts, view.latest);
  as.addEventListener("change", (event) => { view.as = event.target.value; drawTarget(view); });
  for (const name of ["scatter", "times"]) makeReadable(view, name);
  new ResizeObserver(() => { if (view.charts.clientWidth !== view.width) drawTarget(view); }).observe(view.charts);
  return view;
}

function makeReadable(view, name) {
  const svg = view[name].svg;
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("pointermove", (event) => pick(view, nearest(view, name, event)));
  svg.addEventListener("pointerleave", () => pick(view, null));
  svg.addEventListener("focus", () => view.readout.setAttribute("aria-live", "polite"));
  svg.addEventListener("blur", () => { view.readout.setAttribute("aria-live", "off"); pick(view, null); });
  svg.addEventListener("keydown", (event) => {
    const last = view.rows.length - 1, at = view.picked ?? last + 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault();
    pick(view, to === undefined ? null : Math.max(0, Math.min(last, to)));
  });
}

function nearest(view, name, event) {
  const bounds = view[name].svg.getBoundingClientRect(), px = event.clientX - bounds.left, py = event.clientY - bounds.top;
  let best = null, least = 40 ** 2;
  view.places[name]?.forEach((place, i) => {
    const far = place ? (place[0] - px) ** 2 + (place[1] - py) ** 2 : Infinity;
    if (far < least) [best, least] = [i, far];
  });
  return best;
}

function pick(view, index) {
  view.picked = index;
  for (const name of ["scatter", "times"]) {
    const svg = view[name].svg, place = view.places[name]?.[index];
    svg.querySelector(".pick")?.remove();
    if (place) shape(svg, "circle", { class: "pick", cx: place[0], cy: place[1], r: 6 });
  }
  view.readout.textContent = index === null || !view.rows[index] ? view.summary : reading(view.rows[index]);
}

const interval = (r) => finite(r.lo) && finite(r.hi) ? `${ms(r.lo)} to ${ms(r.hi)}` : "no interval";
const reading = (r) => `${moment(r.t)}: observed ${ms(r.observed)}, predicted ${ms(r.predicted)} (${interval(r)})`;

function requestsOf(series) {
  const at = (name, i) => series[name]?.[i] ?? NaN;
  return (series?.time_s ?? []).map((t, i) => {
    const row = { t, observed: at("observed_ms", i), predicted: at("predicted_ms", i), lo: at("lo_ms", i), hi: at("hi_ms", i) };
    return { ...row, inside: !(row.observed < row.lo || row.observed > row.hi) };
  }).filter((r) => finite(r.t) && r.observed > 0 && r.predicted > 0).sort((a, b) => a.t - b.t);
}

const seriesOf = (error, name) => (error?.time_s ?? []).map((t, i) => [t, error[name]?.[i]]).filter(([t, v]) => finite(t) && finite(v));

function spanOf(times) {
  const lo = Math.min(...times), hi = Math.max(...times), short = Math.max(0, 2 - (hi - lo)) / 2;
  return [lo - short, hi + short];
}

function spansOf(view) {
  const near = view.rows.map((r) => r.t), long = [...view.errors, ...view.inside].map(([t]) => t);
  const [lo, hi] = near.length ? [near[0], near.at(-1)] : [0, 0];
  const [first, last] = long.reduce(([a, b], t) => [Math.min(a, t), Math.max(b, t)], [Infinity, -Infinity]);
  const both = [Math.min(lo, first), Math.max(hi, last)];
  const alike = !long.length || hi - lo >= (both[1] - both[0]) / 3;
  return alike ? [spanOf(both), spanOf(both), true] : [spanOf([lo, hi]), spanOf([first, last]), false];
}

function showTarget(view, live) {
  const error = live.error?.[view.target];
  Object.assign(view, { rows: requestsOf(live.recent?.[view.target] ?? {}), errors: seriesOf(error, "median_percent"),
    inside: seriesOf(error, "coverage_percent"), goal: 100 * levelOf(live), picked: null,
    events: eventsOf(live).filter((e) => !e.target || e.target === view.target || !(e.target in TARGETS)) });
  const none = !view.rows.length;
  view.empty.hidden = !none;
  view.charts.hidden = view.latest.hidden = none;
  view.empty.textContent = isReplica(live) ? "This process answers only. Its trainer keeps the observations: open the page of the trainer." : `No observed ${TARGETS[view.target].toLowerCase()} yet. Answers come from the prior until completed requests are reported.`;
  if (none) return;
  view.width = null;
  drawTarget(view);
  fill(view.latest.lastChild, latestTable(view.rows));
}

function drawTarget(view) {
  if (!view.rows.length || !view.charts.clientWidth) return;
  view.width = view.charts.clientWidth;
  const { rows, goal, events } = view, [near, long, shared] = spansOf(view), ratio = view.as === "ratio";
  const held = 100 * rows.filter((r) => r.inside).length / rows.length;
  view.summary = `${count(rows.length)} ${rows.length === 1 ? `request at ${moment(rows[0].t)}` : `requests, ${moment(rows[0].t)} to ${moment(rows.at(-1).t)}`}; `
    + `${percent(held, 0)} inside their ${digits(goal)} % interval. Point at one to read it, or use the arrow keys.`;
  view.places = { scatter: drawScatter(view.scatter.svg, rows), times: drawLatest(view, near) };
  const goalText = `target ${digits(goal)} %`;
  drawShare(view.error.svg, view.errors, events, long, { labels: !shared, numbered: !shared });
  drawShare(view.coverage.svg, view.inside, events, long, { goal, labels: true });
  view.times.root.querySelector("h3").firstChild.data = ratio ? "Observed over predicted" : "Observed over time";
  view.times.small.textContent = ratio ? "1 is a perfect prediction" : rows.length > BARS_UP_TO ? `the latest ${BARS_UP_TO}, with their intervals` : "with their intervals";
  view.error.root.hidden = !view.errors.length;
  view.coverage.root.hidden = !view.inside.length;
  view.later.hidden = Boolean(view.errors.length || view.inside.length);
  view.error.small.textContent = `of recent requests${view.errors.length ? `, now ${percent(view.errors.at(-1)[1])}` : ""}`;
  view.coverage.small.textContent = `${goalText}${view.inside.length ? `, now ${percent(view.inside.at(-1)[1], 0)}` : ""}`;
  describe(view, held, goalText);
  pick(view, view.picked);
}

/* As times, requests differ by their length: only single intervals say anything, of the latest. */
function drawLatest(view, span) {
  const { rows, events } = view, svg = view.times.svg;
  if (view.as === "ratio" || rows.length <= BARS_UP_TO) return drawTimes(svg, rows, events, span, view.as);
  const latest = rows.slice(-BARS_UP_TO), before = Array(rows.length - BARS_UP_TO).fill(null);
  return [...before, ...drawTimes(svg, latest, events, spanOf([latest[0].t, latest.at(-1).t]), view.as)];
}

function describe(view, held, goalText) {
  const name = TARGETS[view.target].toLowerCase(), { rows, events } = view;
  const seen = ascending(rows.map((r) => r.observed)), off = median(rows.map((r) => 100 * Math.abs(r.predicted / r.observed - 1)));
  const label = (chart, text) => view[chart].svg.setAttribute("aria-label", text);
  label("scatter", `Scatter of predicted against observed ${name}: ${count(rows.length)} requests, observed ${ms(seen[0])} to ${ms(seen.at(-1))}, `
    + `median error ${percent(off)}, ${percent(held, 0)} inside their interval. Arrow keys step through the requests.`);
  label("times", `Observed ${view.as === "ratio" ? "over predicted " : ""}${name} from ${moment(rows[0].t)} to ${moment(rows.at(-1).t)}; `
    + `${events.length} events. Arrow keys step through the requests.`);
  const trend = (series) => series.length ? `from ${percent(series[0][1])} to ${percent(series.at(-1)[1])}` : "not known yet";
  label("error", `Median error of ${name} over time, ${trend(view.errors)}.`);
  label("coverage", `Share inside the interval over time, ${trend(view.inside)}, ${goalText}.`);
}

function latestTable(rows) {
  const latest = rows.slice(-LATEST_ROWS).reverse();
  return table(["time", "observed", "predicted", "interval", "error", ""], latest.map((r) => [moment(r.t), ms(r.observed), ms(r.predicted), interval(r),
    `${r.predicted >= r.observed ? "+" : "−"}${percent(Math.abs(100 * (r.predicted / r.observed - 1)))}`, r.inside ? "" : "outside"]), [1, 2, 3, 4], `Latest ${latest.length} requests, newest first`);
}

/* The other parts of the page */

const observationsOf = (counts) => counts.accepted ?? counts.observations;
const quarantinedOf = (counts) => typeof counts.quarantined === "object" ? Object.values(counts.quarantined ?? {}).reduce((a, b) => a + b, 0) : counts.quarantined;
function reasonsOf(counts) {
  if (typeof counts.quarantined !== "object") return "";
  const reasons = Object.entries(counts.quarantined ?? {}).sort((a, b) => b[1] - a[1]);
  const plain = (why) => words(why.replaceAll(/\b(ttft|tpot)_s\b/g, (_, target) => target.toUpperCase()));
  const more = reasons.length > 2 ? `, and ${reasons.length - 2} other reasons` : "";
  return reasons.slice(0, 2).map(([why, n]) => `${plain(why)} (${count(n)})`).join(", ") + more;
}
const isReplica = (live) => live.law?.version > 0 && !Object.keys(live.counts ?? {}).length;
const hasLearnt = (live) => Object.keys(live.domain ?? {}).length > 0;
const levelOf = (live) => finite(live.level) ? live.level : 0.9;
const readyOf = (live, target) => typeof live.law?.ready === "boolean" ? live.law.ready : Boolean(live.law?.ready?.[target]);

function eventsOf(live) {
  return (live.events ?? []).filter((e) => finite(e?.time_s)).sort((a, b) => a.time_s - b.time_s)
    .map((e, i) => ({ ...e, no: i + 1, calm: CALM.test(e.kind) }));
}

function tile(name, value, why, kind = "") {
  return element("div", {}, element("dt", {}, name), element("dd", { class: `value ${value === "-" ? "none" : kind}` }, value === "-" ? "none yet" : value), element("dd", { class: "why" }, why));
}

function showTiles(live) {
  const last = (target, name) => seriesOf(live.error?.[target], name).at(-1)?.[1];
  const goal = 100 * levelOf(live), inside = Object.keys(TARGETS).map((t) => [t.toUpperCase(), last(t, "coverage_percent")]).filter(([, v]) => finite(v));
  const counts = live.counts ?? {}, drifts = eventsOf(live).filter((e) => e.kind === "drift");
  const newest = Math.max(...Object.values(live.recent ?? {}).map((s) => s?.time_s?.at(-1) ?? 0), 0);
  const worst = Math.min(...inside.map(([, v]) => v));
  fill(byId("tiles"),
    ...Object.keys(TARGETS).map((t) => tile(`${t.toUpperCase()} error`, percent(last(t, "median_percent")), "median, recent requests")),
    tile(`inside ${digits(goal)} % interval`, inside.length ? percent(inside[0][1], 0) : "-",
      inside.length ? `of ${inside.map(([t, v], i) => i ? `${percent(v, 0)} of ${t}` : t).join(", ")}` : "not checked yet", worst < goal - 10 ? "warn" : ""),
    tile("law version", live.law?.version ? String(live.law.version) : "-", live.law?.pinned ? "pinned; newer ones wait" : hasLearnt(live) ? "the newest" : "answers from the prior"),
    tile("observations", count(observationsOf(counts)), newest ? `latest ${ago((live.now_s ?? newest) - newest)}${counts.waiting ? `; ${count(counts.waiting)} still to learn` : ""}` : isReplica(live) ? "kept by the trainer" : "none reported yet"),
    tile("quarantined", count(quarantinedOf(counts)), reasonsOf(counts) || "kept, never learnt from", quarantinedOf(counts) > 0 ? "warn" : ""),
    tile("drifts noticed", count(drifts.length), drifts.length ? `latest ${ago((live.now_s ?? 0) - drifts.at(-1).time_s)}` : hasLearnt(live) ? "the engine is as it was" : "nothing learnt yet"));
}

/* Versions count laws published; those of one target count its own fits. */
const WORDED = {
  widen: (v) => `width × ${digits(v)}`, factor: (v) => `× ${digits(v)}`, after_requests: (v) => `after ${count(v)} requests`,
  version: (v, event) => event.target in TARGETS ? `fit ${v}` : `version ${v}`,
};

function eventItem(event) {
  const worded = ([key, value]) => finite(value) && WORDED[key] ? WORDED[key](value, event) : named(key, value);
  const detail = Object.entries(event.detail ?? {}).filter(([, value]) => value !== false && value !== null).map(worded).join(", ");
  return element("li", event.calm ? {} : { class: "alarming" }, element("span", { class: "no" }, String(event.no)),
    element("time", { datetime: new Date(event.time_s * 1000).toISOString() }, moment(event.time_s)),
    element("span", { class: "kind" }, KINDS[event.kind] ?? words(event.kind)), element("span", {}, event.target in TARGETS ? event.target.toUpperCase() : String(event.target ?? "")),
    element("span", { class: "detail" }, detail));
}

function showEvents(live) {
  const events = eventsOf(live).reverse(), early = events.slice(LATEST_EVENTS);
  const open = byId("events").querySelector("details")?.open;
  const more = early.length ? element("details", {}, element("summary", {}, `${early.length} earlier`), element("ol", { class: "log" }, ...early.map(eventItem))) : null;
  if (more && open) more.open = true;
  fill(byId("events"), element("h2", { id: "events-title" }, "Events", element("small", {}, "what changed, and what was done")),
    events.length ? element("ol", { class: "log", reversed: "" }, ...events.slice(0, LATEST_EVENTS).map(eventItem))
      : element("p", { class: "empty" }, "None. Drift, refits, promotions and roll-backs are listed here as they happen."), more);
}

function unitCell(unit) {
  const parts = unit.split(/\^([\d.]+)/);
  return element("td", {}, ...parts.map((text, i) => i % 2 ? element("sup", {}, text) : text));
}

/* Coefficients are positive and known to a factor: sd is that of their logarithm. */
function termRow(term, learnt) {
  const [size, unit] = unitOf(term.value, term.unit), weak = !learnt || term.sd > 0.5;
  const known = !learnt ? "prior" : !finite(term.sd) ? "" : weak ? `factor ${digits(Math.exp(term.sd), 2)}` : `± ${percent(100 * Math.expm1(term.sd))}`;
  return [element("th", { scope: "row" }, words(term.name)), element("td", { class: "n" }, finite(term.value) ? digits(term.value / size) : "-"),
    unitCell(unit), element("td", { class: weak ? "n weak" : "n" }, known)];
}

function termTable([target, pods], terms, learnt) {
  const of = pods === undefined || pods === "*" ? "" : pods ? `, pods of type ${pods}` : ", pods without a type";
  return table(["term", "value", "unit", "known to"], terms.map((term) => termRow(term, learnt)), [1, 3], `${TARGETS[target] ?? words(target)}${of}`);
}

/* One table for each target and type of pods; "*" is for types not seen yet, so it comes last. */
function showLaw(live) {
  const terms = live.law?.terms ?? [], learnt = hasLearnt(live), groups = new Map();
  for (const term of terms) {
    const key = JSON.stringify([term.target ?? "", term.pod_type]);
    groups.set(key, [...(groups.get(key) ?? []), term]);
  }
  const tables = [...groups].map(([key, some]) => [JSON.parse(key), some]);
  const typed = tables.filter(([[, pods]]) => pods && pods !== "*" || pods === ""), rest = typed.length ? tables.filter((t) => !typed.includes(t)) : [];
  if (typed.length && typed.every(([[, pods]]) => pods === "")) typed.forEach(([key]) => { key[1] = undefined; });
  const grid = (some) => element("div", { class: "tables" }, ...some.map(([key, of]) => termTable(key, of, learnt)));
  const open = byId("law").querySelector("details")?.open, other = rest.length ? element("details", {}, element("summary", {}, "For pods of a type not seen yet"), grid(rest)) : null;
  if (other && open) other.open = true;
  fill(byId("law"), element("h2", { id: "law-title" }, "Current law", element("small", {}, `${live.law?.version ? `version ${live.law.version}` : "the prior"}${learnt ? "" : ", nothing learnt yet"}`)),
    terms.length ? grid(typed.length ? typed : tables) : element("p", { class: "empty" }, "No terms to show."), levelsOf(live), other);
}

/* What the last requests say on top of the law, as it fades. */
function levelsOf(live) {
  const told = Object.entries(live.law?.recent ?? {}).filter(([target, r]) => target in TARGETS && r?.at_s > 0 && finite(r.percent))
    .map(([target, r]) => `${target.toUpperCase()} ${r.percent < 0 ? "−" : "+"}${percent(Math.abs(r.percent))} at ${moment(r.at_s)}, a third of it left after ${digits(r.fades_s)} s`);
  return told.length ? element("p", { class: "empty", id: "levels" }, `Recent level, on top of the law and fading: ${told.join("; ")}.`) : null;
}

function rangeCell(lo, hi, unit) {
  const cell = element("td", { class: "range" }), svg = shape(cell, "svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  const at = unit === "share" ? (v) => 100 * v : (v) => 100 * Math.min(1, Math.log10(1 + Math.max(0, v)) / 6);
  shape(svg, "rect", { class: "all", x: 0, y: 4, width: 100, height: 2 });
  shape(svg, "rect", { class: "seen", x: Math.min(at(lo), 99), y: 2, width: Math.max(1, at(hi) - at(lo)), height: 6 });
  return cell;
}

function domainRow([name, [lo, hi]]) {
  const [label, unit] = FEATURES[name] ?? [words(name), ""];
  const text = unit === "share" ? (v) => digits(100 * v) : (v) => digits(v);
  return [element("th", { scope: "row" }, label), text(lo), text(hi), unit === "share" ? "%" : unit, rangeCell(lo, hi, unit)];
}

function showDomain(live) {
  const rows = Object.entries(live.domain ?? {}).filter(([, r]) => Array.isArray(r) && finite(r[0]) && finite(r[1]));
  fill(byId("domain"), element("h2", { id: "domain-title" }, "Domain covered", element("small", {}, "what the law has seen")),
    element("p", { class: "empty" }, rows.length ? "Beyond these bounds answers extrapolate and say so. Bars end at 100 % or, on a log scale, at 1 million." : "Nothing yet: every answer extrapolates."),
    rows.length ? table(["feature", "from", "to", "unit", "range"], rows.map(domainRow), [1, 2]) : null);
}

function showState(live) {
  const ready = Object.keys(TARGETS).filter((t) => readyOf(live, t)).map((t) => t.toUpperCase());
  const newest = Math.max(...Object.values(live.recent ?? {}).map((s) => s?.time_s?.at(-1) ?? 0), 0), quiet = (live.now_s ?? newest) - newest;
  const state = Object.keys(live.law?.suspect ?? {}).length ? "Suspect" : !ready.length ? "Learning" : ready.length === 2 ? "Ready" : `Ready for ${ready[0]}`;
  setState(`${state}${newest && quiet > QUIET_S ? `, no observation for ${ago(quiet).replace(" ago", "")}` : ""}`, state === "Suspect" ? "lost" : ready.length ? "ready" : "");
}

function setState(text, kind) {
  const node = byId("state");
  if (node.textContent !== text) node.textContent = text;
  node.className = kind;
}

/* Above everything else: errors and coverage below may not be true. */
function showSuspect(live) {
  const node = byId("suspect"), why = Object.entries(live.law?.suspect ?? {});
  const text = why.length ? `Suspect: ${why.map(([t, w]) => `${t.toUpperCase()}, ${w}`).join("; ")}. Errors and coverage below may not be true.` : "";
  node.hidden = !text;
  if (node.textContent !== text) node.textContent = text;
}

function show(live, changed) {
  byId("content").hidden = false;
  showState(live);
  showSuspect(live);
  showTiles(live);
  if (!changed) return;
  for (const target of Object.keys(TARGETS)) showTarget(views[target] ??= build(target), live);
  showEvents(live);
  showLaw(live);
  showDomain(live);
}

/* Reading */

let timer = 0, failures = 0, shown = "", since = null;
const token = () => sessionStorage.getItem("lengthwise-token") ?? "";

function notice(text) {
  const node = byId("notice");
  node.hidden = !text;
  if (node.textContent !== text) node.textContent = text;
  document.body.classList.toggle("stale", Boolean(text) && !byId("content").hidden);
}

async function reasonOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  return `${answer.status} ${problem.detail ?? problem.title ?? answer.statusText}`.trim();
}

function askToken(status) {
  byId("login").hidden = false;
  byId("content").hidden = true;
  setState("Token needed", "lost");
  notice(!token() ? "" : status === 403 ? "This token may not read." : "The service did not accept this token.");
  byId("token").focus();
}

function accept(text) {
  const live = JSON.parse(text), same = text.replace(/"now_s": ?[^,}]*/, "");
  [failures, since] = [0, null];
  byId("login").hidden = true;
  notice("");
  show(live, same !== shown);
  shown = same;
}

function lost(problem) {
  failures += 1;
  since ??= Date.now() / 1000;
  const why = problem.name === "TimeoutError" ? "no answer in 8 seconds" : problem instanceof TypeError ? "no connection" : problem.message;
  setState("Not connected", "lost");
  notice(`The service cannot be read since ${clock(since)}: ${why}. ${shown ? "What is shown is from before; " : ""}trying again.`);
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const headers = token() ? { authorization: `Bearer ${token()}` } : {};
    const answer = await fetch("v1/live", { cache: "no-store", headers, signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer.status === 401 || answer.status === 403) return askToken(answer.status);
    if (!answer.ok) throw new Error(await reasonOf(answer));
    accept(await answer.text());
  } catch (problem) {
    lost(problem);
  }
  timer = setTimeout(poll, Math.min(POLL_MS * 2 ** Math.min(failures, 5), SLOWEST_POLL_MS));
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("lengthwise-token", byId("token").value.trim());
  byId("token").value = "";
  poll();
});
document.addEventListener("visibilitychange", poll);
poll();
