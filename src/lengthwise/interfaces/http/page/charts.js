/* Numbers, elements, scales and charts of the live page.

A chart is a function that draws into one svg whose units are pixels and gives back where its
points lie. Text becomes text nodes, never markup: names and details come from outside. */

const BARS_UP_TO = 120, MOST_CALM_MARKS = 30, UNMARKED = /kept|correction/;
const LETTER = 7.6, LINE = 15;  // pixels: widest a digit gets, and least between two lines of text

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
  if (!unit && finite(value) && /error|share|coverage/.test(key)) return `${words(key)} ${percent(100 * value)}`;
  const text = finite(value) ? digits(value) : typeof value === "object" ? JSON.stringify(value) : words(value);
  return value === true ? words(key) : `${words(stem)} ${text}${unit ? ` ${unit === "percent" ? "%" : unit}` : ""}`;
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
  return element("div", { class: "scroll" },
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
  if (hi / lo < 6) return linearTicks(lo, hi, most + 1).filter((v) => v > 0);
  const fits = [[1, 2, 5], [1, 3], [1]].map(inside).find((ticks) => ticks.length <= most);
  if (fits) return fits;
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
  const lo = Math.max(sorted[0], quantile(sorted, 0.002) / 1.5), hi = Math.min(sorted.at(-1), quantile(sorted, 0.998) * 1.5);
  const middle = Math.sqrt(lo * hi);
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

/* Labels that would touch the one before are left out; their grid lines stay. */
function axisY(box, ticks, at, label) {
  let last = Infinity;
  for (const tick of ticks) {
    const y = at(tick);
    shape(box.svg, "line", { class: "grid", x1: box.left, x2: box.right, y1: y, y2: y });
    if (last - y < LINE) continue;
    shape(box.svg, "text", { x: box.left - 7, y: y + 4, "text-anchor": "end" }, label(tick));
    last = y;
  }
}

function axisX(box, ticks, at, lines = false) {
  let end = -Infinity;
  for (const [tick, label] of ticks) {
    const x = at(tick), half = LETTER * label.length / 2, middle = Math.min(x, box.width - half);
    if (lines) shape(box.svg, "line", { class: "grid", x1: x, x2: x, y1: box.top, y2: box.bottom });
    shape(box.svg, "line", { class: "axis", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 });
    if (!label || middle - half < end + LETTER) continue;
    shape(box.svg, "text", { x: middle, y: box.bottom + 17, "text-anchor": "middle" }, label);
    end = middle + half;
  }
  shape(box.svg, "line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom });
}

function dots(box, places, inside) {
  const many = places.length, r = many > 1500 ? 1.3 : many > 300 ? 1.8 : many > 40 ? 2.6 : 3.5;
  const held = places.filter((_, i) => inside[i]), missed = places.filter((_, i) => !inside[i]);
  const at = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  shape(box.svg, "path", { class: "in", "stroke-width": 2 * r, "stroke-opacity": many > 1500 ? 0.4 : many > 300 ? 0.6 : 0.85,
    d: held.map((p) => `M${at(p)}h.01`).join("") });
  shape(box.svg, "path", { class: "out", "stroke-opacity": many > 1500 ? 0.6 : 1, "stroke-width": many > 1500 ? 1.1 : 1.5, d: missed.map(([x, y]) => `M${at([x - r, y - r])}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`).join("") });
}

/* Places, [x, ...] each, cut where there was no traffic: an eighth of the chart, and ten usual steps. */
function runs(box, places) {
  const steps = places.slice(1).map(([x], i) => x - places[i][0]);
  const gap = Math.max((box.right - box.left) / 8, 10 * (steps.length ? median(steps) : 0)), found = [];
  places.forEach((place, i) => i && steps[i - 1] <= gap ? found.at(-1).push(place) : found.push([place]));
  return found;
}
const polyline = (places) => places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

function line(box, places, kind) {
  const some = runs(box, places);
  for (const [[x, y]] of some.filter((run) => run.length === 1)) shape(box.svg, "circle", { class: "dot", cx: x, cy: y, r: 2.5 });
  shape(box.svg, "path", { class: kind, d: some.map(polyline).join("") });
}

function drawScatter(svg, rows) {
  const box = frame(svg, Math.min(svg.clientWidth || 400, 432), { left: 78, bottom: 42, right: 14 });
  const [lo, hi] = spread(rows.flatMap((r) => [r.observed, r.predicted]), 1.12, 1.5);
  const x = logarithmic(lo, hi, box.left, box.right), y = logarithmic(lo, hi, box.bottom, box.top);
  const keep = (v) => Math.min(hi, Math.max(lo, v)), ticks = logTicks(lo, hi, 7);
  const fits = logTicks(lo, hi, Math.floor((box.right - box.left) / 60));
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
  const areas = runs(box, bandOf(rows, x, low, high)).map((run) => {
    if (run.length === 1) run = [-3, 3].map((by) => [run[0][0] + by, ...run[0].slice(1)]);
    return polyline([...run.map(([at, , hi]) => [at, kept(hi)]), ...run.map(([at, lo]) => [at, kept(lo)]).reverse()]) + "Z";
  });
  return shape(box.svg, "path", { class: "band", d: areas.join("") });
}

function drawEvents(box, events, x, span, numbered) {
  const near = events.filter((e) => e.time_s >= span[0] && e.time_s <= span[1] && !UNMARKED.test(e.kind));
  const crowded = near.filter((e) => e.calm).length > MOST_CALM_MARKS;
  let last = -99;
  for (const event of near.filter((e) => !crowded || !e.calm)) {
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
  const box = frame(svg, 244, { top: 16 });
  const [lo, hi] = spread([...rows.map(value), ...rows.map(low), ...rows.map(high), ...(ratio ? [0.8, 1.25] : [])], 1.06);
  const x = linear(...span, box.left, box.right), y = logarithmic(lo, hi, box.bottom, box.top);
  axisY(box, logTicks(lo, hi, 6), y, ratio ? (v) => digits(v) : msTick);
  axisX(box, timeTicks(...span, (box.right - box.left) / 75), x);
  drawIntervals(box, rows, x, y, low, high);
  if (ratio) shape(svg, "line", { class: "ideal", x1: box.left, x2: box.right, y1: y(1), y2: y(1) });
  drawEvents(box, events, x, span, true);
  const places = rows.map((r) => [x(r.t), y(Math.min(hi, Math.max(lo, value(r))))]);
  dots(box, places, rows.map((r) => r.inside));
  return places;
}

function drawShare(svg, series, events, span, { goal = null, labels = false, numbered = false } = {}) {
  const box = frame(svg, labels ? 124 : 108, { top: numbered ? 16 : 8, bottom: labels ? 24 : 8 });
  const values = series.map(([, v]) => v);
  const hi = goal === null ? Math.max(5, ...values) * 1.08 : 101;
  const lo = goal === null ? 0 : Math.max(0, Math.min(goal - 15, ...values) - 3);
  const x = linear(...span, box.left, box.right), y = linear(lo, hi, box.bottom, box.top);
  axisY(box, linearTicks(lo, hi, 3), y, (v) => `${digits(v)} %`);
  axisX(box, timeTicks(...span, (box.right - box.left) / 75).map(([t, text]) => [t, labels ? text : ""]), x);
  if (goal !== null) shape(svg, "line", { class: "target", x1: box.left, x2: box.right, y1: y(goal), y2: y(goal) });
  drawEvents(box, events, x, span, numbered);
  line(box, series.map(([t, v]) => [x(t), y(v)]), "law");
}

export {
  finite, digits, count, ms, percent, words, ascending, median, clock, moment, ago, unitOf,
  named, byId, fill, element, shape, table, drawScatter, drawTimes, drawShare, BARS_UP_TO,
};
