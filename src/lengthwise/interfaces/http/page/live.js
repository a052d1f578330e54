"use strict";
/* The live page: reads v1/live every two seconds and draws it.

Times of day arrive as seconds since 1970, durations in milliseconds. All text is written as text
nodes, never as markup: names and details of events come from outside. Order of this file: numbers,
elements, scales, charts, parts of the page, reading. */

const POLL_MS = 2000, SLOWEST_POLL_MS = 10000, ANSWER_MS = 8000;
const QUIET_S = 60, LATEST_ROWS = 20, LATEST_EVENTS = 12, BARS_UP_TO = 120;
const TARGETS = { ttft: "Time to first token", tpot: "Time per output token" };
const FEATURES = {
  input_tokens: ["prompt length", "tokens"], cached_share: ["prompt found in cache", "share"],
  kv_share: ["KV cache in use", "share"], waiting: ["requests waiting", "requests"],
  running: ["requests running", "requests"], generated: ["tokens generated", "tokens"],
  prefill_in_flight: ["prefill tokens in flight", "tokens"],
  decode_in_flight: ["decode tokens in flight", "tokens"],
  encoder_tokens: ["encoder input", "tokens"], encoder_matched: ["encoder input found in cache", "tokens"],
};
const CALM = /promot|publish|start|resume|recover|shrink|narrow/;

/* Numbers */

const finite = (x) => typeof x === "number" && Number.isFinite(x);
const digits = (x, n = 3) => Math.abs(x) >= 1000 && Math.abs(x) < 1e15
  ? Math.round(x).toLocaleString("en-GB") : String(Number(x.toPrecision(n)));
const count = (x) => finite(x) ? Math.round(x).toLocaleString("en-GB") : "0";
const ms = (x) => !finite(x) ? "-" : x >= 1000 ? `${fixed(x / 1000)} s` : `${fixed(x)} ms`;
const fixed = (x) => x >= 1000 ? digits(x) : x.toPrecision(3).includes("e") ? digits(x) : x.toPrecision(3);
const msTick = (x) => x >= 1000 ? `${digits(x / 1000)} s` : `${digits(x)} ms`;
const percent = (x, n = 1) => finite(x) ? `${x >= 10 ? x.toFixed(Math.min(n, x >= 100 ? 0 : n)) : x.toFixed(n)} %` : "-";
const words = (key) => String(key).replaceAll("_", " ");
const two = (n) => String(n).padStart(2, "0");

function quantile(sorted, q) {
  const at = (sorted.length - 1) * q, i = Math.floor(at);
  return sorted[i] + (at - i) * ((sorted[i + 1] ?? sorted[i]) - sorted[i]);
}
const ascending = (values) => Float64Array.from(values).sort();
const median = (values) => quantile(ascending(values), 0.5);

function clock(t, withSeconds = true) {
  const d = new Date(t * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? `:${two(d.getSeconds())}` : ""}`;
}
const day = (t) => new Date(t * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
const moment = (t) => Math.abs(Date.now() / 1000 - t) < 43200 ? clock(t) : `${day(t)} ${clock(t)}`;

function ago(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]])
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.max(0, Math.floor(seconds))} s ago`;
}

function unitOf(value, unit = "") {
  if (unit !== "s" && !unit.startsWith("s/")) return [1, unit];
  const prefixes = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"], [1e-12, "ps"]];
  const [size, name] = prefixes.find(([s]) => Math.abs(value) >= s * 0.9995) ?? (value ? prefixes[4] : prefixes[0]);
  return [size, name + unit.slice(1)];
}

function named(key, value) {
  const [, stem, unit] = /^(.*?)_(ms|s|percent)$/.exec(key) ?? [null, key, ""];
  const text = finite(value) ? digits(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
  return `${words(stem)} ${text}${unit ? ` ${unit === "percent" ? "%" : unit}` : ""}`;
}

/* Elements */

const byId = (id) => document.getElementById(id);
const fill = (parent, ...children) => (parent.replaceChildren(...children.filter((c) => c != null)), parent);

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((c) => c != null));
  return node;
}

function shape(parent, tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function table(head, rows, numeric = [], caption = null) {
  const mark = (i) => numeric.includes(i) ? { class: "n" } : {};
  return element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption ?? head.join(", ") },
    element("table", {}, caption ? element("caption", {}, caption) : null,
      element("thead", {}, element("tr", {}, ...head.map((text, i) => element("th", { scope: "col", ...mark(i) }, text)))),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell, i) =>
        cell instanceof Element ? cell : element("td", mark(i), cell)))))));
}

/* Scales and ticks */

const linear = (lo, hi, from, to) => (x) => from + (x - lo) / (hi - lo || 1) * (to - from);
const logarithmic = (lo, hi, from, to) => {
  const scale = linear(Math.log(lo), Math.log(hi), from, to);
  return (x) => scale(Math.log(x));
};

function linearTicks(lo, hi, most) {
  const raw = (hi - lo) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw) * power;
  const first = Math.ceil(lo / step - 1e-9);
  return Array.from({ length: Math.floor(hi / step + 1e-9) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

function logTicks(lo, hi, most) {
  const decades = Array.from({ length: Math.ceil(Math.log10(hi)) - Math.floor(Math.log10(lo)) + 1 },
    (_, i) => Math.floor(Math.log10(lo)) + i);
  const inside = (steps) => decades.flatMap((d) => steps.map((s) => Number((s * 10 ** d).toPrecision(3)))).filter((v) => v >= lo && v <= hi);
  for (const steps of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = inside(steps);
    if (ticks.length <= most) return ticks.length >= 3 ? ticks : linearTicks(lo, hi, Math.min(most, 5)).filter((v) => v > 0);
  }
  const tens = inside([1]), every = Math.ceil(tens.length / most);
  return tens.filter((_, i) => i % every === 0);
}

function timeTicks(lo, hi, most) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const step = steps.find((s) => (hi - lo) / s <= most) ?? 86400 * Math.ceil((hi - lo) / 86400 / most);
  const zone = new Date(lo * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((lo - zone) / step);
  const ticks = Array.from({ length: Math.max(0, Math.floor((hi - zone) / step) - first + 1) }, (_, i) => (first + i) * step + zone);
  return ticks.map((t) => [t, step >= 86400 ? day(t) : clock(t, step < 60)]);
}

function spread(values, padding, floor = 1.25) {
  const sorted = ascending(values.filter((v) => finite(v) && v > 0));
  const lo = quantile(sorted, 0.002), hi = quantile(sorted, 0.998), middle = Math.sqrt(lo * hi);
  const half = Math.max(Math.sqrt(hi / lo) * padding, floor);
  return [middle / half, middle * half];
}

/* Charts: each draws into one svg whose units are pixels */

function frame(svg, height, { left = 62, right = 12, top = 8, bottom = 24 } = {}) {
  const width = Math.max(svg.clientWidth || 400, 220);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
  return { svg, left, right: width - right, top, bottom: height - bottom, width, height };
}

function axisY(box, ticks, at, label) {
  for (const tick of ticks) {
    shape(box.svg, "line", { class: "grid", x1: box.left, x2: box.right, y1: at(tick), y2: at(tick) });
    shape(box.svg, "text", { x: box.left - 7, y: at(tick) + 4, "text-anchor": "end" }, label(tick));
  }
}

function axisX(box, ticks, at, lines = false) {
  for (const [tick, label] of ticks) {
    const x = at(tick);
    if (lines) shape(box.svg, "line", { class: "grid", x1: x, x2: x, y1: box.top, y2: box.bottom });
    shape(box.svg, "line", { class: "axis", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 });
    if (label) shape(box.svg, "text", { x, y: box.bottom + 17, "text-anchor": "middle" }, label);
  }
  shape(box.svg, "line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom });
}

function dots(box, places, inside) {
  const r = places.length > 1500 ? 1.3 : places.length > 300 ? 1.8 : 2.6;
  const held = places.filter((_, i) => inside[i]), missed = places.filter((_, i) => !inside[i]);
  const at = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  shape(box.svg, "path", { class: "in", "stroke-width": 2 * r, "stroke-opacity": places.length > 1500 ? 0.4 : places.length > 300 ? 0.6 : 0.85,
    d: held.map((p) => `M${at(p)}h.01`).join("") });
  shape(box.svg, "path", { class: "out", d: missed.map(([x, y]) => `M${at([x - r, y - r])}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`).join("") });
}

function line(box, places, kind) {
  if (places.length === 1) shape(box.svg, "circle", { class: "dot", cx: places[0][0], cy: places[0][1], r: 3 });
  shape(box.svg, "path", { class: kind, d: places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") });
}

function drawScatter(svg, rows) {
  const box = frame(svg, Math.min(svg.clientWidth || 400, 432), { left: 66, bottom: 42, right: 14 });
  const [lo, hi] = spread(rows.flatMap((r) => [r.observed, r.predicted]), 1.12, 1.5);
  const x = logarithmic(lo, hi, box.left, box.right), y = logarithmic(lo, hi, box.bottom, box.top);
  const keep = (v) => Math.min(hi, Math.max(lo, v)), ticks = logTicks(lo, hi, 7);
  const fits = logTicks(lo, hi, box.right - box.left > 320 ? 7 : 4);
  axisY(box, ticks, y, msTick);
  axisX(box, fits.map((t) => [t, msTick(t)]), x, true);
  shape(box.svg, "line", { class: "ideal", x1: box.left, y1: box.bottom, x2: box.right, y2: box.top });
  const places = rows.map((r) => [x(keep(r.predicted)), y(keep(r.observed))]);
  dots(box, places, rows.map((r) => r.inside));
  shape(svg, "text", { x: (box.left + box.right) / 2, y: box.height - 4, "text-anchor": "middle" }, "predicted");
  shape(svg, "text", { transform: `translate(11 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "observed");
  return places;
}

function bandOf(rows, x, low, high) {
  const bins = new Map();
  for (const row of rows.filter((r) => finite(r.lo) && finite(r.hi))) {
    const key = Math.round(x(row.t) / 6);
    bins.has(key) ? bins.get(key).push(row) : bins.set(key, [row]);
  }
  return [...bins.keys()].sort((a, b) => a - b).map((key) => {
    const some = bins.get(key);
    return [median(some.map((r) => x(r.t))), median(some.map(low)), median(some.map(high))];
  });
}

function drawIntervals(box, rows, x, y, low, high) {
  const kept = (v) => Math.min(box.bottom, Math.max(box.top, y(v)));
  if (rows.length <= BARS_UP_TO) {
    const d = rows.filter((r) => finite(r.lo) && finite(r.hi)).map((r) => `M${x(r.t).toFixed(1)} ${kept(low(r)).toFixed(1)}V${kept(high(r)).toFixed(1)}`);
    return shape(box.svg, "path", { class: "bars", d: d.join("") });
  }
  const band = bandOf(rows, x, low, high);
  const points = [...band.map(([at, , hi]) => [at, hi]), ...band.map(([at, lo]) => [at, lo]).reverse()];
  return shape(box.svg, "path", { class: "band", d: points.map(([at, v], i) => `${i ? "L" : "M"}${at.toFixed(1)} ${kept(v).toFixed(1)}`).join("") + "Z" });
}

function drawEvents(box, events, x, span, numbered) {
  let last = -99;
  for (const event of events.filter((e) => e.time_s >= span[0] && e.time_s <= span[1])) {
    const at = x(event.time_s), calm = event.calm ? " calm" : "";
    shape(box.svg, "line", { class: `event${calm}`, x1: at, x2: at, y1: box.top, y2: box.bottom });
    if (numbered && at - last >= 8 + 7 * String(event.no).length) {
      shape(box.svg, "text", { class: `mark${calm}`, x: at, y: box.top - 4 }, event.no);
      last = at;
    }
  }
}

function drawTimes(svg, rows, events, span, as) {
  const ratio = as === "ratio", unit = ratio ? (r) => r.predicted : () => 1;
  const value = (r) => r.observed / unit(r), low = (r) => r.lo / unit(r), high = (r) => r.hi / unit(r);
  const box = frame(svg, 200, { top: 16 });
  const [lo, hi] = spread([...rows.map(value), ...rows.map(low), ...rows.map(high), ...(ratio ? [0.8, 1.25] : [])], 1.06);
  const x = linear(...span, box.left, box.right), y = logarithmic(lo, hi, box.bottom, box.top);
  axisY(box, logTicks(lo, hi, 6), y, ratio ? (v) => digits(v) : msTick);
  axisX(box, timeTicks(...span, (box.right - box.left) / 90), x);
  drawIntervals(box, rows, x, y, low, high);
  if (ratio) shape(svg, "line", { class: "ideal", x1: box.left, x2: box.right, y1: y(1), y2: y(1) });
  drawEvents(box, events, x, span, true);
  const places = rows.map((r) => [x(r.t), y(Math.min(hi, Math.max(lo, value(r))))]);
  dots(box, places, rows.map((r) => r.inside));
  return places;
}

function drawShare(svg, series, events, span, { goal = null, labels = false } = {}) {
  const box = frame(svg, labels ? 112 : 96, { bottom: labels ? 24 : 8 });
  const values = series.map(([, v]) => v);
  const hi = goal === null ? Math.max(5, ...values) * 1.08 : 101;
  const lo = goal === null ? 0 : Math.max(0, Math.min(goal - 15, ...values) - 3);
  const x = linear(...span, box.left, box.right), y = linear(lo, hi, box.bottom, box.top);
  axisY(box, linearTicks(lo, hi, 3), y, (v) => `${digits(v)} %`);
  axisX(box, timeTicks(...span, (box.right - box.left) / 90).map(([t, text]) => [t, labels ? text : ""]), x);
  if (goal !== null) shape(svg, "line", { class: "target", x1: box.left, x2: box.right, y1: y(goal), y2: y(goal) });
  drawEvents(box, events, x, span, false);
  line(box, series.map(([t, v]) => [x(t), y(v)]), "law");
}

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
  [[["path", { class: "out", d: "M7 3l6 6m0-6l-6 6" }]], "outside"],
  [[["rect", { class: "band", width: 20, height: 12 }]], "interval"],
  [[["line", { class: "ideal", x1: 0, x2: 20, y1: 6, y2: 6 }]], "predicted = observed"],
  [[["line", { class: "event", x1: 10, x2: 10, y1: 0, y2: 12 }]], "event, numbered below"],
];

function build(target) {
  const as = choice(target);
  const view = { target, as: "ratio", rows: [], places: {}, picked: null,
    scatter: figure("Predicted against observed", ""), times: figure("Observed over predicted", "", as),
    error: figure("Median error", ""), coverage: figure("Inside the interval", ""),
    empty: element("p", { class: "empty" }), readout: element("p", { class: "readout", "aria-live": "off" }),
    latest: element("details", {}, element("summary", {}, "Latest values as a table"), element("div")) };
  view.charts = element("div", { class: "charts" },
    element("div", {}, view.scatter.root, keyOf(KEY), view.readout),
    element("div", {}, view.times.root, view.error.root, view.coverage.root));
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
  view.places[name]?.forEach(([x, y], i) => {
    const far = (x - px) ** 2 + (y - py) ** 2;
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
  const lo = Math.min(...times), hi = Math.max(...times), short = Math.max(0, 10 - (hi - lo)) / 2;
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
  view.empty.textContent = `No observed ${TARGETS[view.target].toLowerCase()} yet. Answers come from the prior until completed requests are reported.`;
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
  view.summary = `${count(rows.length)} ${rows.length === 1 ? "request" : "requests"}, ${moment(rows[0].t)} to ${moment(rows.at(-1).t)}; `
    + `${percent(held, 0)} inside their ${digits(goal)} % interval. Point at one to read it, or use the arrow keys.`;
  view.places = { scatter: drawScatter(view.scatter.svg, rows), times: drawTimes(view.times.svg, rows, events, near, view.as) };
  const goalText = `target ${digits(goal)} %`;
  drawShare(view.error.svg, view.errors, events, long, { labels: !shared });
  drawShare(view.coverage.svg, view.inside, events, long, { goal, labels: true });
  view.times.root.querySelector("h3").firstChild.data = ratio ? "Observed over predicted" : "Observed over time";
  view.times.small.textContent = ratio ? "1 is a perfect prediction" : "with the predicted interval";
  view.error.root.hidden = !view.errors.length;
  view.coverage.root.hidden = !view.inside.length;
  view.error.small.textContent = `of recent requests${view.errors.length ? `, now ${percent(view.errors.at(-1)[1])}` : ""}`;
  view.coverage.small.textContent = `${goalText}${view.inside.length ? `, now ${percent(view.inside.at(-1)[1], 0)}` : ""}`;
  describe(view, held, goalText);
  pick(view, view.picked);
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
    `${r.predicted >= r.observed ? "+" : "-"}${percent(Math.abs(100 * (r.predicted / r.observed - 1)))}`, r.inside ? "" : "outside"]), [1, 2, 3, 4], `Latest ${latest.length} requests, newest first`);
}

/* The other parts of the page */

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
  const ready = Object.keys(TARGETS).filter((t) => readyOf(live, t)).map((t) => t.toUpperCase());
  const counts = live.counts ?? {}, alarms = eventsOf(live).filter((e) => !e.calm);
  const newest = Math.max(...Object.values(live.recent ?? {}).map((s) => s?.time_s?.at(-1) ?? 0), 0);
  const worst = Math.min(...inside.map(([, v]) => v));
  fill(byId("tiles"),
    ...Object.keys(TARGETS).map((t) => tile(`${t.toUpperCase()} error`, percent(last(t, "median_percent")), "median of recent requests")),
    tile(`inside ${digits(goal)} % interval`, inside.length ? percent(inside[0][1], 0) : "-",
      inside.length ? inside.map(([t, v], i) => i ? `${t} ${percent(v, 0)}` : t).join("; ") : "target not yet checked", worst < goal - 10 ? "warn" : ""),
    tile("law", finite(live.law?.version) ? `version ${live.law.version}` : "-", ready.length ? `ready for ${ready.join(" and ")}` : "learning, answers from the prior"),
    tile("observations", count(counts.observations), newest ? `latest ${ago((live.now_s ?? newest) - newest)}` : "none reported yet"),
    tile("quarantined", count(counts.quarantined), "kept, never learnt from", counts.quarantined > 0 ? "warn" : ""),
    tile("drift events", count(alarms.length), alarms.length ? `latest ${ago((live.now_s ?? 0) - alarms.at(-1).time_s)}` : "no change noticed"));
}

function eventItem(event) {
  const detail = Object.entries(event.detail ?? {}).map(([key, value]) => named(key, value)).join(", ");
  return element("li", event.calm ? {} : { class: "alarming" }, element("span", { class: "no" }, String(event.no)),
    element("time", { datetime: new Date(event.time_s * 1000).toISOString() }, moment(event.time_s)),
    element("span", { class: "kind" }, words(event.kind)), element("span", {}, event.target in TARGETS ? event.target.toUpperCase() : String(event.target ?? "")),
    element("span", { class: "detail" }, detail));
}

function showEvents(live) {
  const events = eventsOf(live).reverse(), early = events.slice(LATEST_EVENTS);
  const open = byId("events").querySelector("details")?.open;
  const more = early.length ? element("details", {}, element("summary", {}, `${early.length} earlier`), element("ol", { class: "log" }, ...early.map(eventItem))) : null;
  if (more && open) more.open = true;
  fill(byId("events"), element("h2", { id: "events-title" }, "Events", element("small", {}, "drift noticed, what was done, laws promoted")),
    events.length ? element("ol", { class: "log", reversed: "" }, ...events.slice(0, LATEST_EVENTS).map(eventItem))
      : element("p", { class: "empty" }, "None. Drift, refits, promotions and roll-backs are listed here as they happen."), more);
}

function termRow(term) {
  const [size, unit] = unitOf(term.value, term.unit), share = Math.abs(term.sd / term.value);
  const known = finite(term.sd), weak = known && share > 0.5;
  return [element("th", { scope: "row" }, words(term.name)), element("td", { class: "n" }, finite(term.value) ? digits(term.value / size) : "-"),
    element("td", { class: "n" }, known ? digits(term.sd / size, 2) : "-"), unit, element("td", { class: weak ? "weak" : "n" }, !known || !finite(share) ? "" : weak ? "hardly known yet" : percent(100 * share, share < 0.01 ? 2 : 0))];
}

function showLaw(live) {
  const terms = live.law?.terms ?? [], targets = [...new Set(terms.map((t) => t.target ?? ""))];
  fill(byId("law"), element("h2", { id: "law-title" }, "Current law", element("small", {}, finite(live.law?.version) ? `version ${live.law.version}` : "none published")),
    terms.length ? null : element("p", { class: "empty" }, "No terms yet: answers come from the prior."),
    ...targets.map((target) => table(["term", "value", "± one sd", "unit", "relative"], terms.filter((t) => (t.target ?? "") === target).map(termRow), [1, 2, 4], TARGETS[target] ?? words(target))));
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
    rows.length ? table(["", "from", "to", "unit", "range"], rows.map(domainRow), [1, 2], "Beyond these bounds answers extrapolate and say so. Bars: to 100 % or, on a log scale, to 1 million.")
      : element("p", { class: "empty" }, "Nothing yet: every answer extrapolates from the prior."));
}

function showState(live) {
  const ready = Object.keys(TARGETS).filter((t) => readyOf(live, t)).map((t) => t.toUpperCase());
  const newest = Math.max(...Object.values(live.recent ?? {}).map((s) => s?.time_s?.at(-1) ?? 0), 0), quiet = (live.now_s ?? newest) - newest;
  const state = !ready.length ? "Learning" : ready.length === 2 ? "Ready" : `Ready for ${ready[0]}`;
  setState(`${state}${newest && quiet > QUIET_S ? `, no observation for ${ago(quiet).replace(" ago", "")}` : ""}`, ready.length ? "ready" : "");
}

function setState(text, kind) {
  const node = byId("state");
  if (node.textContent !== text) node.textContent = text;
  node.className = kind;
}

function show(live, changed) {
  byId("content").hidden = false;
  showState(live);
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
