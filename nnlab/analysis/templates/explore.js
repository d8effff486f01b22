"use strict";
// Draws what nnlab/analysis/explore.py has put into the page. Texts of the store reach the page as
// textContent, or through `plain` where Plotly would read them as HTML.
const all = JSON.parse(document.getElementById("content").textContent);
const at = id => document.getElementById(id);
const plain = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const floats = text => new Float32Array(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer);
const lazily = (tables, decode) => {  // each is decoded when it is first asked for
  const made = {};
  for (const [name, table] of Object.entries(tables)) Object.defineProperty(made, name, { configurable: true, enumerable: true,
    get() { Object.defineProperty(made, name, { value: decode(table), enumerable: true }); return made[name]; } });
  return made;
};
const decoded = tables => lazily(tables, floats);
const number = value => {
  if (value === null) return "none";
  const rounded = Number(value.toPrecision(4));
  return Math.abs(rounded) < 1e5 ? String(rounded) : rounded.toExponential().replace("e+", "e");
};
const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

const { runs, groups, endings, axes } = all;
const count = runs.id.length;
const curves = lazily(all.curves, decoded);
const ends = decoded(all.ends);
const colourings = {
  ...all.colourings,
  outcome: { labels: endings.names, colours: endings.colours, runs: endings.runs, groups: endings.groups },
};
const layout = {
  margin: { l: 70, r: 20, t: 10, b: 50 }, hovermode: "closest", paper_bgcolor: "#fff", plot_bgcolor: "#fff",
  font: { family: "system-ui, sans-serif", size: 13, color: "#222" },
};
const narrow = matchMedia("(max-width: 50rem)");
const grid = { gridcolor: "#e6e6e6", zeroline: false, linecolor: "#888", ticks: "outside" };
const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function options(id, names, chosen, changed) {
  const select = at(id);
  for (const [value, text] of names) element("option", text, select).value = value;
  if (chosen !== null) select.value = chosen;
  select.addEventListener("change", changed);
}

const linkOf = run => `${all.address}${encodeURIComponent(runs.id[run])}?workflowType=machine_learning`;

function link(run, parent) {
  const made = element("a", runs.id[run], parent);
  made.href = linkOf(run);
  made.target = "_blank";
  made.rel = "noopener noreferrer";
  return made;
}

const words = runs.id.map((id, run) => {
  const facts = Object.values(axes).map(axis => `${plain(axis.label)}: ${plain(written(axis, run))}`);
  return [`<b>${plain(id)}</b>`, plain(runs.name[run]), plain(endings.names[endings.runs[run]]), ...facts]
    .join("<br>");
});

function written(axis, run) {
  const value = axis.values[run];
  return axis.ticks ? axis.ticks[value] : number(value);
}

// What was clicked on: a run as its number, a configuration as -1 minus its number.
function pick(what) {
  const box = at("picked"), chosen = what < 0 ? runs.group.flatMap((g, run) => g === -1 - what ? [run] : []) : [what];
  box.replaceChildren();
  box.hidden = false;
  const close = element("button", "×", box);
  close.setAttribute("aria-label", "close");
  close.style.float = "right";
  close.addEventListener("click", () => { box.hidden = true; });
  element("strong", what < 0 ? `${groups[-1 - what]}: ${plural(chosen.length, "run")}` : runs.name[what], box);
  for (const run of chosen) {
    const line = element("div", "", box);
    element("code", null, line).append(link(run, null));
    line.append(` ${endings.names[endings.runs[run]]}`);
    if (what < 0) line.append(` ${runs.name[run]}`);
  }
  if (what >= 0) {
    for (const axis of Object.values(axes)) element("div", `${axis.label}: ${written(axis, what)}`, box);
    element("div", "In a terminal: ", box).append(element("code", `nnlab ui ${runs.id[what].slice(0, 8)}`, null));
  }
}

function draw(id, traces, more) {
  const place = at(id), first = !place.data;
  const legend = { itemsizing: "constant", ...(narrow.matches ? { orientation: "h", x: 0, y: -0.2 } : {}) };
  Plotly.react(place, traces, { ...layout, legend, ...more }, settings);
  if (first) place.on("plotly_click", event => {
    const what = event.points[0].customdata;
    if (typeof what === "number") pick(what);
  });
}

// A line for each configuration: the median of its runs. It is dotted where runs have ended.
function drawCurves(id, metric) {
  const log = at("scale").value !== "linear", { middle, low, high, count: alive } = curves[metric];
  const colouring = colourings[at("colour").value], width = all.epochs.length, traces = [];
  let hidden = 0, calm = [Infinity, -Infinity];
  const shown = value => !(log && value <= 0);
  const look = value => { if (shown(value)) calm = [Math.min(calm[0], value), Math.max(calm[1], value)]; };
  const crowded = groups.length > 12;
  colouring.labels.forEach((label, level) => {
    const members = groups.flatMap((_, g) => colouring.groups[g] === level ? [g] : []);
    const line = () => ({ x: [], y: [], text: [], customdata: [] });
    const whole = line(), fewer = line(), band = { x: [], y: [] };
    for (const g of members) {
      const text = plain(groups[g]), diverged = endings.names[endings.groups[g]] === "diverged";
      const add = (to, column, value) => {
        to.x.push(column === null ? null : all.epochs[column]);
        to.y.push(value);
        to.text.push(text);
        to.customdata.push(-1 - g);
      };
      let most = 0, before = null;
      const known = [];
      for (let column = 0; column < width; column++) {
        const value = middle[g * width + column];
        if (Number.isNaN(value)) continue;
        if (!shown(value)) { hidden++; continue; }
        known.push(column);
        if (!diverged) look(value);
        const seeds = alive ? alive[g * width + column] : 1;
        most = Math.max(most, seeds);
        if (seeds < most && before !== null && (fewer.x.length === 0 || fewer.x.at(-1) === null))
          add(fewer, before, middle[g * width + before]);
        add(seeds < most ? fewer : whole, column, value);
        before = column;
      }
      add(whole, null, null);
      add(fewer, null, null);
      if (low && known.length) {
        const edge = (table, column) => shown(table[g * width + column]) ? table[g * width + column] : middle[g * width + column];
        for (const column of known) { band.x.push(all.epochs[column]); band.y.push(edge(low, column)); }
        for (const column of known.slice().reverse()) { band.x.push(all.epochs[column]); band.y.push(edge(high, column)); }
        band.x.push(null); band.y.push(null);
      }
    }
    const common = { type: "scatter", mode: "lines", legendgroup: String(level), showlegend: false };
    const colour = colouring.colours[level], hover = "%{text}<br>epoch %{x}: %{y:.4g}<extra></extra>";
    const opacity = crowded ? 0.55 : 1, size = crowded ? 1.2 : 2.2;
    if (low) traces.push({ ...common, ...band, fill: "toself", fillcolor: colour, opacity: crowded ? 0.06 : 0.18,
      line: { width: 0 }, hoverinfo: "skip" });
    traces.push({ ...common, ...whole, opacity, line: { color: colour, width: size }, hovertemplate: hover,
      showlegend: members.length > 0, name: plain(label) + (groups.length > colouring.labels.length ? ` (${members.length})` : "") });
    traces.push({ ...common, ...fewer, opacity, line: { color: colour, width: size, dash: "dot" }, hovertemplate: hover });
    const last = runs.id.flatMap((_, run) =>
      colouring.runs[run] === level && !Number.isNaN(ends[metric][run]) && shown(ends[metric][run]) ? [run] : []);
    for (const run of last) if (endings.names[endings.runs[run]] !== "diverged") look(ends[metric][run]);
    traces.push({ ...common, mode: "markers", x: last.map(run => ends.epoch[run]), y: last.map(run => ends[metric][run]),
      text: last.map(run => words[run]), customdata: last, hovertemplate: "%{text}<extra></extra>",
      marker: { symbol: last.map(run => endings.marks[endings.runs[run]]), color: colour, size: crowded ? 6 : 9,
        line: { width: 1.5, color: colour } } });
  });
  // A loss that explodes leaves through the top: on its scale all others would be one line.
  const fraction = metric.endsWith("accuracy") || metric === "dead_fraction";
  const bounds = log ? calm.map(Math.log10) : fraction ? [0, 1] : calm, room = 0.04 * (bounds[1] - bounds[0] || 1);
  const range = Number.isFinite(calm[0]) ? [bounds[0] - room, bounds[1] + room] : undefined;
  const outside = runs.id.filter((_, run) => range && (log ? Math.log10(ends[metric][run]) : ends[metric][run]) > range[1]).length;
  const without = runs.id.filter((_, run) => Number.isNaN(ends[metric][run])).length;
  const target = metric === "val/accuracy" && all.target !== null;
  draw(id, traces, {
    uirevision: id + metric + log + at("epochs").value,
    xaxis: { ...grid, title: { text: "epochs" }, type: at("epochs").value === "linear" ? "linear" : "log" },
    yaxis: { ...grid, title: { text: metric }, type: log ? "log" : "linear", range },
    shapes: target ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: all.target, y1: all.target,
      line: { color: "#666", dash: "dash", width: 1.2 } }] : [],
  });
  at(`${id}-note`).textContent = [
    `${plural(groups.length, "configuration")}, ${plural(count, "run")}`,
    low ? "line: the median run, dotted where some have ended; band: lowest to highest" : "",
    "mark: the last value of a run, its form is the outcome",
    all.epochs.length < all.logged ? `${all.epochs.length} of ${all.logged.toLocaleString("en")} epochs are drawn` : "",
    outside ? `${plural(outside, "run")} that diverged left through the top` : "",
    hidden ? `${plural(hidden, "value")} of 0 or less have no place on a logarithmic axis` : "",
    at("epochs").value !== "linear" ? "epoch 0 has no place on a logarithmic axis" : "",
    without ? `${plural(without, "run")} without any value` : "",
  ].filter(Boolean).join(" · ");
}

// Where the runs stand on an axis; those without a value stand below all others, at "none".
function placed(axis, logarithmic) {
  const known = axis.values.filter(value => value !== null), missing = known.length < axis.values.length;
  const scale = value => logarithmic && axis.log ? Math.log10(value) : value;
  const low = Math.min(...known.map(scale)), high = Math.max(...known.map(scale));
  const none = low - 0.12 * (high - low || 1);
  return { values: axis.values.map(value => value === null ? none : scale(value)), none, low, high, missing };
}

function thinned(values, most) {
  const every = Math.ceil(values.length / most), zero = Math.max(0, values.indexOf(0));
  return values.filter((_, place) => (place - zero) % every === 0);
}

function ticksOf(axis, { low, high, none, missing }) {
  let values = [], texts = [];
  if (axis.ticks) {
    values = axis.ticks.map((_, place) => place);
    texts = axis.ticks.map(plain);
  } else if (axis.log) {
    for (let power = Math.floor(low); power <= Math.ceil(high); power++)
      for (const step of high - low > 2 ? [1] : [1, 2, 5]) values.push(power + Math.log10(step));
    values = values.filter(value => value >= low - 1e-9 && value <= high + 1e-9);
  } else {
    const least = (high - low || 1) / 8, power = 10 ** Math.floor(Math.log10(least));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= least);
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step / 1e3; value += step) values.push(value);
  }
  if (!axis.ticks) {
    values = thinned(values, 10);
    texts = values.map(value => number(axis.log ? 10 ** value : value));
  }
  if (missing) { values.unshift(none); texts.unshift("none"); }
  return { tickvals: values, ticktext: texts };
}

function drawMap() {
  const x = { axis: axes[at("across").value] }, y = { axis: axes[at("up").value] };
  for (const side of [x, y]) Object.assign(side, placed(side.axis, true));
  const cells = new Map(), shift = runs.id.map(() => [0, 0]);
  if (x.axis.ticks && y.axis.ticks) {
    for (let run = 0; run < count; run++) {
      const cell = `${x.values[run]} ${y.values[run]}`;
      cells.set(cell, [...(cells.get(cell) ?? []), run]);
    }
    for (const members of cells.values()) {
      const side = Math.ceil(Math.sqrt(members.length)), rows = Math.ceil(members.length / side);
      members.forEach((run, place) => {
        const offset = (k, n) => 0.8 * ((k + 0.5) / n - 0.5);
        shift[run] = [offset(place % side, side), -offset(Math.floor(place / side), rows)];
      });
    }
  }
  const most = Math.max(1, ...[...cells.values()].map(members => members.length));
  const colouring = colourings[at("colour").value];
  const traces = colouring.labels.flatMap((label, level) => {
    const members = runs.id.flatMap((_, run) => colouring.runs[run] === level ? [run] : []);
    const common = { type: "scatter", mode: "markers", legendgroup: String(level) };
    const outcomes = new Set(members.map(run => endings.runs[run]));
    return members.length === 0 ? [] : [{
      ...common, showlegend: true, name: `${plain(label)} (${members.length})`, x: [null], y: [null], hoverinfo: "skip",
      marker: { color: colouring.colours[level], size: 10, line: { width: 1.8, color: colouring.colours[level] },
        symbol: outcomes.size === 1 ? endings.marks[[...outcomes][0]] : "circle" },
    }, {
      ...common, showlegend: false,
      x: members.map(run => x.values[run] + shift[run][0]), y: members.map(run => y.values[run] + shift[run][1]),
      text: members.map(run => words[run]), customdata: members, hovertemplate: "%{text}<extra></extra>",
      marker: { symbol: members.map(run => endings.marks[endings.runs[run]]), color: colouring.colours[level],
        size: most > 30 || count > 600 ? 6 : most > 8 ? 8 : 11, line: { width: 1.8, color: colouring.colours[level] } },
    }];
  });
  const axisOf = side => ({
    ...grid, title: { text: plain(side.axis.label) }, ...ticksOf(side.axis, side), showgrid: !side.axis.ticks,
    ...(side.axis.ticks ? { range: [-0.55, side.axis.ticks.length - 0.45],
      minor: { tickvals: side.axis.ticks.map((_, place) => place + 0.5), showgrid: true, gridcolor: "#ddd", ticks: "" } } : {}),
  });
  draw("map", traces, { uirevision: at("across").value + at("up").value, margin: { ...layout.margin, l: 130 },
    xaxis: axisOf(x), yaxis: { ...axisOf(y), automargin: true } });
}

function drawParallel() {
  const outcome = { label: "outcome", ticks: endings.names, log: false, values: endings.runs };
  const colouring = colourings[at("colour").value], steps = colouring.colours.length;
  const shown = [...Object.values(axes), outcome];
  const dimensions = shown.map(axis => {
    const place = placed(axis, true), bottom = place.missing ? place.none : place.low, empty = place.high === bottom;
    return { label: plain(axis.label), values: place.values, ...ticksOf(axis, place),
      range: empty ? [bottom - 1, bottom + 1] : [bottom, place.high] };
  });
  const colorscale = colouring.colours.flatMap((colour, k) => [[k / steps, colour], [(k + 1) / steps, colour]]);
  const place = at("parallel"), first = !place.data;
  Plotly.react(place, [{ type: "parcoords", dimensions, labelfont: { size: 12 },
    line: { color: colouring.runs, colorscale, cmin: -0.5, cmax: steps - 0.5 } }],
  { ...layout, margin: { l: 90, r: 90, t: 60, b: 30 } }, settings);
  const report = () => {
    const limits = place.data[0].dimensions.map(({ constraintrange }) =>
      !constraintrange ? null : Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange]);
    if (limits.every(limit => limit === null)) { at("selected").replaceChildren(); return; }
    const inside = runs.id.flatMap((_, run) => limits.every((limit, k) => limit === null ||
      limit.some(([from, to]) => dimensions[k].values[run] >= from && dimensions[k].values[run] <= to)) ? [run] : []);
    at("selected").replaceChildren(`Selected: ${inside.length} of ${count}. `);
    for (const run of inside.slice(0, 20)) { link(run, at("selected")).textContent = runs.id[run].slice(0, 8); at("selected").append(" "); }
    if (inside.length > 20) at("selected").append("…");
  };
  if (first) place.on("plotly_restyle", report);
}

const titles = {
  W1: "W1: weights of the hidden units", Z1: "Z1: pre-activations of the hidden units",
  W2: "W2: weights of the outputs", Z2: "Z2: logits",
};

function drawHistograms() {
  const { runs: kept, of, epochs, counts, edges } = all.snapshots;
  if (!kept.length) {
    at("histogram-controls").hidden = true;
    at("histograms").hidden = true;
    at("histograms-note").textContent = "No run has taken snapshots: snapshots=20 in the command of a sweep takes them.";
    return;
  }
  const chosen = Number(at("histogram-run").value), slider = at("histogram-epoch");
  slider.max = epochs[chosen].length - 1;
  const step = Math.min(Number(slider.value), Number(slider.max)), bins = edges.length + 1;
  at("histogram-at").textContent = epochs[chosen][step];
  const table = floats(counts[chosen]), names = Object.keys(titles), traces = [];
  const more = { grid: { rows: narrow.matches ? 4 : 2, columns: narrow.matches ? 1 : 2, pattern: "independent" }, annotations: [], showlegend: false, bargap: 0.05 };
  const zero = edges.indexOf(0);
  names.forEach((name, panel) => {
    const row = s => table.subarray((s * names.length + panel) * bins, (s * names.length + panel + 1) * bins);
    let highest = 0, used = [bins, 0];
    for (let s = 0; s <= Number(slider.max); s++) {
      const sum = row(s).reduce((a, b) => a + b, 0);
      row(s).forEach((value, bin) => {
        highest = Math.max(highest, 100 * value / sum);
        if (value) used = [Math.min(used[0], bin), Math.max(used[1], bin)];
      });
    }
    const now = Array.from(row(step)), sum = now.reduce((a, b) => a + b, 0);
    const above = 100 * now.slice(zero + 1).reduce((a, b) => a + b, 0) / sum;
    const suffix = panel ? panel + 1 : "";
    traces.push({
      type: "bar", x: now.map((_, bin) => bin), y: now.map(value => 100 * value / sum), xaxis: `x${suffix}`, yaxis: `y${suffix}`,
      marker: { color: now.map((_, bin) => bin > zero ? "#0072B2" : "#888") },
      text: now.map((value, bin) => `${bin ? number(edges[bin - 1]) : "−∞"} to ${bin < bins - 1 ? number(edges[bin]) : "∞"}: ${value.toLocaleString("en")} of ${sum.toLocaleString("en")}`),
      textposition: "none", hovertemplate: "%{text}<extra></extra>",
    });
    const ticks = thinned(edges.filter((edge, place) => place + 1 >= used[0] && place <= used[1]
      && (edge === 0 || Number.isInteger(Math.round(Math.log10(Math.abs(edge)) * 1e9) / 1e9))), 8);
    more[`xaxis${suffix}`] = { ...grid, range: [used[0] - 1, used[1] + 1], tickvals: ticks.map(tick => edges.indexOf(tick) + 0.5), ticktext: ticks.map(String) };
    more[`yaxis${suffix}`] = { ...grid, range: [0, 1.05 * highest], ticksuffix: " %" };
    more.annotations.push({ text: `${titles[name]}: ${number(above)} % above 0`, showarrow: false, xref: `x${suffix} domain`,
      yref: `y${suffix} domain`, x: 0, y: 1.12, xanchor: "left" });
  });
  draw("histograms", traces, { ...more, margin: { ...layout.margin, t: 40 } });
  at("histograms-note").textContent = "A hidden unit is dead where nothing of its Z1 is above 0. The bins grow with the distance from 0, and are the same for all runs."
    + (kept.length < of ? ` ${kept.length} of the ${of.toLocaleString("en")} runs with snapshots are on this page; snapshots.npz of each run has its own.` : "");
}

const signs = {
  circle: "●", "line-ew-open": "—", "x-thin-open": "×", "triangle-up": "▲", "square-open": "□", "diamond-open": "◇",
};

function fill() {
  at("title").textContent = all.title;
  at("framed").hidden = window === window.top;
  const tally = endings.names.map((name, k) =>
    `${signs[endings.marks[k]]} ${endings.runs.filter(ending => ending === k).length.toLocaleString("en")} ${name}`);
  at("summary").textContent = `${plural(count, "run")}, ${plural(groups.length, "configuration")}: ${tally.join(", ")}`;
}

function fillTable() {
  const columns = ["run", "", "outcome", ...Object.values(axes).map(axis => axis.label)];
  const head = element("tr", null, at("head"));
  for (const column of columns) element("th", column, head);
  const rows = document.createDocumentFragment();
  for (let run = 0; run < count; run++) {
    const line = element("tr", null, rows);
    element("code", null, element("td", null, line)).append(link(run, null));
    for (const text of [runs.name[run], endings.names[endings.runs[run]], ...Object.values(axes).map(axis => written(axis, run))])
      element("td", text, line);
  }
  at("table").append(rows);
}

const named = names => names.map(name => [name, axes[name]?.label ?? name]);
const metrics = Object.keys(curves), fields = Object.keys(axes);
const views = {
  curves: () => { if (metrics.length) drawCurves("curves", at("metric").value); },
  map: drawMap,
  parallel: drawParallel,
  units: () => { if (curves.dead_fraction) drawCurves("units", "dead_fraction"); },
  histograms: drawHistograms,
};
const drawn = new Set();  // a view is drawn as soon as one comes near it
const again = names => () => names.filter(name => drawn.has(name)).forEach(name => views[name]());
const across = all.across ?? fields[0];
const others = fields.filter(name => name !== across);
options("colour", named(Object.keys(colourings)), colourings.configuration ? "configuration" : "outcome",
  again(["curves", "map", "parallel", "units"]));
options("metric", metrics.map(name => [name, name]), metrics.includes("val/accuracy") ? "val/accuracy" : null, again(["curves"]));
for (const id of ["scale", "epochs"]) at(id).addEventListener("change", again(["curves", "units"]));
options("across", named(fields), across, again(["map"]));
options("up", named(fields), others.find(name => axes[name].ticks) ?? others[0] ?? across, again(["map"]));
options("histogram-run", all.snapshots.runs.map((run, k) =>
  [k, `${runs.id[run].slice(0, 8)} ${runs.name[run]} (${endings.names[endings.runs[run]]})`]), null, again(["histograms"]));
at("histogram-epoch").addEventListener("input", again(["histograms"]));
narrow.addEventListener("change", again(Object.keys(views)));
document.addEventListener("keydown", event => { if (event.key === "Escape") at("picked").hidden = true; });
fill();
// One view a task, so that the first is on the screen before the next is begun; the table comes last.
const waiting = [];
let busy = false;
function drawNext() {
  const next = waiting.shift();
  busy = next !== undefined;
  if (!busy) return;
  next();
  requestAnimationFrame(() => setTimeout(drawNext));
}
function soon(task) {
  waiting.push(task);
  if (!busy) setTimeout(drawNext);
  busy = true;
}
const observer = new IntersectionObserver(entries => {
  for (const { target } of entries.filter(entry => entry.isIntersecting)) {
    observer.unobserve(target);
    soon(() => { drawn.add(target.id); views[target.id](); });
  }
  if (!drawn.has("table")) soon(fillTable);
  drawn.add("table");
}, { rootMargin: "300px" });
Object.keys(views).forEach(id => observer.observe(at(id)));
