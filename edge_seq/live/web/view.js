// Signals, decisions and figures of a stream, drawn as they come: shared by the monitor and the page of a model.
const ROWS = 60, CHANNELS_SHOWN = 16;
export const at = (id) => document.getElementById(id);
export const make = (kind, name, text) => {
  const one = document.createElement(kind);
  if (name) one.className = name;
  if (text !== undefined) one.textContent = text;
  return one;
};
const colour = (index) => `var(--c${index % 8})`;
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
// A decision stage may answer "unknown", the index after the last label; without a stage the decision is the label.
const nameOf = (decision) => about.labels[decision] ?? about.unknown;
const colourOf = (decision) => decision < about.labels.length ? colour(decision) : "var(--muted)";
export const number = (value, digits) => value.toLocaleString("en", {maximumFractionDigits: digits, minimumFractionDigits: digits});
const percent = (share) => `${number(100 * share, 1)} %`;

let about = null, bins = [], decisions = [], latest = null, paused = false, dirty = false, spokenLabel = null, listed = -1;
const shares = [], plots = [], figures = [];

// Makes the parts of the page. `told` is an About of monitor.py; `shown` has a name for each figure, and a function that
// takes a Snapshot and gives the figure's text and whether it is bad.
export function build(told, shown) {
  about = told;
  about.labels.forEach((label, index) => {
    const row = make("div", "share"), bar = make("div", "bar"), fill = make("i");
    const value = make("span", "value", "\u2013");
    fill.style.background = colour(index);
    bar.append(fill);
    row.append(make("span", "name", label), value, bar);
    at("shares").append(row);
    shares.push({row, value, fill});
  });
  about.channels.slice(0, CHANNELS_SHOWN).forEach((channel) => {
    const row = make("div", "channel"), axis = make("div", "axis"), canvas = make("canvas");
    const high = make("span", "", "\u2013"), low = make("span", "", "\u2013"), middle = make("span");
    middle.append(make("b", "", channel.name), make("br"), channel.unit.replace("^2", "\u00b2"));
    axis.append(high, middle, low);
    canvas.setAttribute("role", "img");
    const plot = make("div", "plot");
    plot.append(canvas);
    row.append(axis, plot);
    at("channels").append(row);
    plots.push({canvas, high, low, channel});
  });
  at("signals-title").textContent = "Signals" + (about.channels.length > CHANNELS_SHOWN
    ? `, ${CHANNELS_SHOWN} of ${about.channels.length} channels` : "");
  at("oldest").textContent = `${number(about.bins * about.bin_s, 0)} s ago`;
  for (const [name, show] of shown) {
    const box = make("div", "figure"), value = make("dd", "", "\u2013");
    box.append(make("dt", "", name), value);
    at("numbers").append(box);
    figures.push({box, value, show});
  }
  requestAnimationFrame(draw);
}

export function clear() {
  bins = []; decisions = []; listed = -1; dirty = true;
  at("rows").replaceChildren();
  at("label").textContent = "\u2013";
  at("since").textContent = "waiting for the first decision";
  at("history-title").textContent = "Decisions";
  shares.forEach(({row, value, fill}) => {
    row.classList.remove("chosen");
    value.textContent = "\u2013";
    fill.style.width = "0";
  });
}

export function take(snapshot) {
  bins = bins.concat(snapshot.bins).slice(-about.bins);
  decisions = decisions.concat(snapshot.decisions).slice(-about.decisions);
  latest = snapshot;
  dirty = true;
}

function sized(canvas) {
  const scale = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  const width = Math.max(1, Math.round(box.width * scale)), height = Math.max(1, Math.round(box.height * scale));
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  return {pen, width: box.width, height: box.height};
}

function drawSignal(plot, index) {
  const {pen, width, height} = sized(plot.canvas);
  let low = Infinity, high = -Infinity, last = null;
  for (const bin of bins) if (bin.length) {
    low = Math.min(low, bin[2 * index]); high = Math.max(high, bin[2 * index + 1]); last = bin;
  }
  pen.strokeStyle = token("--grid"); pen.lineWidth = 1;
  for (const share of [0, 0.5, 1]) {
    const y = Math.round(share * (height - 1)) + 0.5;
    pen.beginPath(); pen.moveTo(0, y); pen.lineTo(width, y); pen.stroke();
  }
  if (last === null) return;
  plot.high.textContent = low === high ? "" : high.toPrecision(3);
  plot.low.textContent = low.toPrecision(3);
  const {name, unit} = plot.channel;
  plot.canvas.setAttribute("aria-label", `${name} from ${low.toPrecision(3)} to ${high.toPrecision(3)} ${unit}`);
  const span = high - low || 1, step = width / about.bins, offset = about.bins - bins.length;
  const y = (value) => low === high ? height / 2 : height - 3 - (value - low) / span * (height - 6);
  const x = (position) => (offset + position + 0.5) * step;
  pen.strokeStyle = token("--bad");
  bins.forEach((bin, position) => {
    if (!bin.length) { pen.beginPath(); pen.moveTo(x(position), 0); pen.lineTo(x(position), height); pen.stroke(); }
  });
  pen.strokeStyle = pen.fillStyle = token("--signal"); pen.lineWidth = 1.5; pen.lineJoin = "round";
  for (let first = 0; first < bins.length;) {
    if (!bins[first].length) { first += 1; continue; }
    let end = first;
    while (end < bins.length && bins[end].length) end += 1;
    pen.globalAlpha = 0.3;
    pen.beginPath();
    for (let i = first; i < end; i += 1) pen.lineTo(x(i), y(bins[i][2 * index + 1]) - 0.5);
    for (let i = end - 1; i >= first; i -= 1) pen.lineTo(x(i), y(bins[i][2 * index]) + 0.5);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    for (let i = first; i < end; i += 1) pen.lineTo(x(i), (y(bins[i][2 * index]) + y(bins[i][2 * index + 1])) / 2);
    pen.stroke();
    first = end;
  }
}

function drawStrip() {
  const {pen, width, height} = sized(at("strip"));
  pen.fillStyle = token("--grid"); pen.fillRect(0, 0, width, height);
  const shown = Math.min(decisions.length, Math.max(20, Math.floor(width / 4))), step = width / Math.max(shown, 20);
  decisions.slice(-shown).forEach((one, index) => {
    pen.fillStyle = token(one.d < about.labels.length ? `--c${one.d % 8}` : "--muted");
    pen.fillRect(width - (shown - index) * step, 0, Math.ceil(step * 10) / 10 - (step > 6 ? 1 : 0), height);
  });
  const counted = [...about.labels, about.unknown].map((name, index) => [name, decisions.filter((one) => one.d === index).length]);
  const text = counted.filter(([, times]) => times).map(([name, times]) => `${name} ${times}`).join(", ");
  at("strip").setAttribute("aria-label", `the last ${decisions.length} decisions: ${text || "none"}`);
}

function listDecisions() {
  if (!decisions.length || decisions[decisions.length - 1].n === listed) return;
  listed = decisions[decisions.length - 1].n;
  at("rows").replaceChildren(...decisions.slice(-ROWS).reverse().map((one) => {
    const row = make("tr"), decided = make("td"), swatch = make("span", "swatch");
    swatch.style.background = colourOf(one.d);
    decided.append(swatch, nameOf(one.d), one.d === one.label ? "" : ` (label ${nameOf(one.label)})`);
    row.append(make("td", "", `${number(one.t, 2)} s`), decided, make("td", "", percent(one.p[one.label])));
    return row;
  }));
  at("history-title").textContent = `Decisions, ${number(latest.next_decision, 0)} so far`;
}

function showDecision() {
  const one = decisions[decisions.length - 1];
  if (!one) return;
  let same = 0;
  while (same < decisions.length && decisions[decisions.length - 1 - same].d === one.d) same += 1;
  at("label").textContent = nameOf(one.d);
  at("since").textContent = (one.d === one.label ? "" : `label ${nameOf(one.label)}, `) +
    `${percent(one.p[one.label])} at ${number(one.t, 2)} s` +
    (same > 1 ? `, for ${same === decisions.length && same > 1 ? "at least " : ""}${same} decisions` : "");
  shares.forEach(({row, value, fill}, index) => {
    row.classList.toggle("chosen", index === one.d);
    value.textContent = percent(one.p[index]);
    fill.style.width = `${100 * one.p[index]}%`;
  });
}

function showFigures() {
  for (const {box, value, show} of figures) {
    const [text, bad] = show(latest);
    value.textContent = text;
    box.classList.toggle("bad", Boolean(bad));
  }
  at("messages").hidden = latest.messages.length === 0;
  at("texts").replaceChildren(...latest.messages.slice(-6).reverse().map((text) => make("li", "", text)));
}

function draw() {
  if (dirty && !paused && latest) {
    dirty = false;
    plots.forEach(drawSignal);
    drawStrip(); listDecisions(); showDecision(); showFigures();
  }
  requestAnimationFrame(draw);
}

export function tell(text, kind) {
  if (at("state").textContent !== text) at("state").textContent = text;
  at("state").className = `state ${kind}`;
}

export function showState() {
  if (latest && latest.ended !== null) tell(`ended: ${latest.ended}`, "off");
  else tell(paused ? "paused" : "live", paused ? "" : "live");
}

function pause() {
  if (at("pause").disabled) return;
  paused = !paused; dirty = true;
  at("pause").textContent = paused ? "Go on" : "Pause";
  at("pause").setAttribute("aria-pressed", String(paused));
  showState();
}

export const isPaused = () => paused;

setInterval(() => {  // announced to screen readers at most every three seconds, and only if it changed
  const one = decisions[decisions.length - 1];
  if (!one || paused || nameOf(one.d) === spokenLabel) return;
  spokenLabel = nameOf(one.d);
  at("spoken").textContent = spokenLabel;
}, 3000);
at("pause").addEventListener("click", pause);
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("select, input") !== null;
  if (event.key === "p" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) pause();
});
window.addEventListener("resize", () => { dirty = true; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { dirty = true; });
