// The page of a model: its self-test, then recordings or a phone's sensor through the model, drawn as they come.
import {at, build, clear, isPaused, make, number, showState, take, tell} from "./view.js";
import {countOf, MOST_BYTES, readText, Refused, typicalPeriod} from "./reading.js";
import {AXES, axesOf, kindOf, Resampler, valuesOf} from "./sensor.js";
import {contract, labels, load} from "./index.js";

const told = JSON.parse(at("model").textContent);
const BINS = 600, SHOWN_S = 10, DECISIONS = 200, LOGIT_ONE = 65536, MOST_DECISIONS = 500000, FRAME_MS = 12, SILENCE_MS = 2000;
const binSamples = Math.max(1, Math.round(SHOWN_S * told.rate_hz / BINS));

/** A stream of counts through the model: the part of a Snapshot of monitor.py that the view needs. */
class Stream {
  constructor(model) {
    this.model = model;
    this.decisions = [];
    this.messages = [];
    this.samples = this.recordings = this.gaps = this.fresh = this.sent = 0;
    this.ended = this.rate = null;
    this.bins = [];
    this.began = performance.now();
  }

  start(name) {
    this.name = name;
    this.recordings += 1;
    this.#anew();
  }

  gap(message) {
    this.gaps += 1;
    this.warn(message);
    this.#anew();
  }

  #anew() {
    this.model.reset();
    this.index = -1;
    if (this.samples) this.bins.push([]);
    this.open = null;
  }

  warn(message) {
    if (!this.messages.includes(message)) this.messages.push(message);
  }

  push(counts) {
    this.index += 1;
    this.samples += 1;
    this.open ??= {size: 0, bin: told.channels.flatMap(() => [Infinity, -Infinity])};
    told.channels.forEach(({counts_per_unit: perUnit}, channel) => {
      const value = counts[channel] / perUnit, {bin} = this.open;
      bin[2 * channel] = Math.min(bin[2 * channel], value);
      bin[2 * channel + 1] = Math.max(bin[2 * channel + 1], value);
    });
    this.open.size += 1;
    if (this.open.size === binSamples) {
      this.bins.push(this.open.bin);
      this.open = null;
    }
    const answer = this.model.step(counts);
    if (answer === null) return;
    if (this.decisions.length === MOST_DECISIONS) throw new Refused(`${MOST_DECISIONS} decisions are the most of this page; start again`);
    this.decisions.push({
      n: this.decisions.length, name: this.name, sample: this.index, t: this.index / told.rate_hz, label: answer.top,
      d: answer.index < 0 ? labels.length : answer.index, p: softmax(answer.logits),
    });
  }

  /** What is new since the last call, for the view. */
  snapshot() {
    const bins = this.bins.splice(0), decisions = this.decisions.slice(this.sent);
    this.sent = this.decisions.length;
    return {bins, decisions: decisions.slice(-DECISIONS), next_decision: this.sent, samples: this.samples, gaps: this.gaps,
      recordings: this.recordings, rate_hz: this.rate, seconds: (performance.now() - this.began) / 1000,
      messages: this.messages, ended: this.ended};
  }
}

function softmax(logits) {
  const largest = Math.max(...logits), powers = Array.from(logits, (logit) => Math.exp((logit - largest) / LOGIT_ONE));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

let model = null, stream = null, shown = "", stop = () => {};

function begin(title) {
  shown = title;
  stop();
  stop = () => {};
  clear();
  stream = new Stream(model);
  at("where").textContent = title;
  at("error").hidden = true;
  at("save").disabled = true;
}

function end(why) {
  stop();
  stop = () => {};
  at("stop").disabled = at("pause").disabled = true;
  if (stream === null) return;
  stream.ended = why;
  if (stream.samples && !stream.decisions.length) stream.warn("no decision was due; a model may give one at the end of a window only");
  show();
  at("save").disabled = stream.decisions.length === 0;
}

function show() {
  take(stream.snapshot());
  at("where").textContent = stream.recordings > 1 ? `${shown}, ${stream.name}` : shown;
  if (stream.ended === null) showState();
  else tell(stream.ended, "");
}

function refuse(error, what) {
  end("not read");
  if (!(error instanceof Refused)) console.error(error);
  at("error").textContent = `${what}: ${error.message}.`;
  at("error").hidden = false;
  tell("not read", "off");
}

function say(lines) {
  at("taken").replaceChildren(...lines.map((line) => make("li", "", line)));
  at("taken").hidden = lines.length === 0;
}

async function readFile(file) {
  begin(file.name);
  say([]);
  const own = stream;
  try {
    if (file.size > MOST_BYTES) throw new Refused(`${number(file.size / 1e6, 0)} MB; this page reads up to ${MOST_BYTES / 1e6} MB`);
    const text = decoded(await file.arrayBuffer());
    if (stream !== own) return; // something else began meanwhile
    const {recordings, taken, warnings} = readText(text, told);
    say(taken);
    warnings.forEach((message) => stream.warn(message));
    play(recordings, file.name);
  } catch (error) {
    refuse(error, file.name);
  }
}

function decoded(bytes) {
  try {
    return new TextDecoder("utf-8", {fatal: true}).decode(bytes);
  } catch {
    throw new Refused("not text in UTF-8; give a CSV, saved as UTF-8");
  }
}

/** Plays recordings at the chosen speed; each starts the model anew. */
function play(recordings, what) {
  const width = told.channels.length;
  let which = 0, next = 0, before = performance.now(), owed = 0, running = true;
  stop = () => { running = false; };
  at("stop").disabled = at("pause").disabled = false;
  stream.start(recordings[0].name);
  const frame = (now) => {
    if (!running) return;
    const speed = Number(at("speed").value), until = performance.now() + FRAME_MS;
    owed = isPaused() ? 0 : speed ? owed + (now - before) / 1000 * speed * told.rate_hz : Infinity;
    before = now;
    try {
      while (owed >= 1 && performance.now() < until) {
        const {counts, samples} = recordings[which];
        stream.push(counts.subarray(next * width, (next + 1) * width));
        owed -= 1;
        next += 1;
        if (next < samples) continue;
        if (which + 1 === recordings.length) {
          end("all was read");
          return;
        }
        which += 1;
        next = 0;
        stream.start(recordings[which].name);
      }
    } catch (error) {
      refuse(error, what);
      return;
    }
    owed = Math.min(owed, speed * told.rate_hz); // a slow computer or a hidden page falls behind
    show();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** Selects the axis of each channel. A channel whose unit no phone gives has none. */
const selects = told.channels.map(({name, unit}, index) => {
  const row = make("label", "axis-of"), select = make("select"), kind = kindOf(unit);
  if (kind === null) {
    select.append(new Option("not in a browser", ""));
    select.disabled = true;
  } else {
    select.append(new Option("choose", ""), ...AXES.map((axis) => new Option(`${kind} ${axis}`, axis)));
    select.value = axesOf(told.channels)[index] ?? "";
  }
  row.append(`${name} (${unit.replace("^2", "\u00b2")})`, select);
  at("axes").append(row);
  return select;
});

async function listen() {
  const useless = told.channels.filter(({unit}) => kindOf(unit) === null);
  const what = "the motion sensor";
  begin("the motion sensor of this device");
  say([]);
  const own = stream;
  try {
    if (useless.length) {
      throw new Refused(`a browser gives acceleration and rotation; ${useless.map(({name, unit}) => `${name} is in ${unit}`).join(", ")}`);
    }
    if (typeof DeviceMotionEvent === "undefined" || !isSecureContext) {
      throw new Refused("the browser gives it to pages from an https:// address only. Put this file on a web server with https, and open it there");
    }
    const unchosen = told.channels.filter((_, index) => !selects[index].value);
    if (unchosen.length) {
      at("sensor").open = true;
      throw new Refused(`choose the axis of ${unchosen.map(({name}) => name).join(", ")}`);
    }
    if (DeviceMotionEvent.requestPermission && await DeviceMotionEvent.requestPermission() !== "granted") {
      throw new Refused("its use was not allowed. Allow it when asked, or in the settings of the browser");
    }
  } catch (error) {
    refuse(error, what);
    return;
  }
  const resampler = new Resampler(told.rate_hz, typicalPeriod), axes = selects.map((select) => select.value);
  const turned = at("turned").checked, awake = await navigator.wakeLock?.request("screen").catch(() => undefined);
  if (stream !== own) { awake?.release(); return; }
  let events = 0, running = true;
  stream.start("sensor");
  const onMotion = (event) => {
    const values = valuesOf(event, told.channels, axes, turned);
    if (values === null) {
      if (events) stream.warn("an event without all values was left out");
      return;
    }
    events += 1;
    const made = resampler.push(event.timeStamp / 1000, values);
    try {
      if (made === null) stream.gap("the sensor was silent for a while; the model starts again");
      made?.forEach((sample) => stream.push(sample.map((value, index) => countOf(value, told.channels[index]))));
    } catch (error) {
      refuse(error, what);
      return;
    }
    if (resampler.found !== null && stream.rate === null) say(spoken(resampler, axes));
    stream.rate = resampler.found;
  };
  const silence = setTimeout(() => {
    if (!events) refuse(new Refused("none answers. Open this page on a phone or tablet that has one, and allow its use"), what);
  }, SILENCE_MS);
  stop = () => {
    running = false;
    clearTimeout(silence);
    removeEventListener("devicemotion", onMotion);
    awake?.release();
  };
  addEventListener("devicemotion", onMotion);
  at("stop").disabled = at("pause").disabled = false;
  const frame = () => {
    if (!running) return;
    show();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

/** What the sensor gives and what is made of it, as sentences. */
function spoken(resampler, axes) {
  const {found, filters, delay} = resampler, lines = told.channels.map(({name, unit}, index) =>
    `${name}: ${kindOf(unit)} ${axes[index]} in ${unit}${kindOf(unit) === "acceleration" ? ", with gravity" : ""}`);
  lines.push(`${number(found, 1)} Hz, resampled to ${told.rate_hz} Hz ` +
    (filters ? `through a low-pass, ${number(delay, 2)} s late` : "by linear interpolation"));
  if (found < told.rate_hz * (1 - told.rate_tolerance)) {
    stream.warn(`this sensor gives ${number(found, 1)} samples a second, the model expects ${told.rate_hz}: it lacks ` +
      `vibration above ${number(found / 2, 0)} Hz, and decisions may be wrong`);
  }
  return lines;
}

function save() {
  const quoted = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const names = [...labels, "unknown"];
  const rows = [["recording", "sample", "time_s", "label", "decision", ...labels.map((label) => `probability of ${label}`)],
    ...stream.decisions.map((one) => [one.name, one.sample, one.t, names[one.label], names[one.d], ...one.p.map((share) => share.toFixed(6))])];
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(rows.map((row) => `${row.map(String).map(quoted).join(",")}\n`), {type: "text/csv"}));
  link.download = "decisions.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

const FIGURES = [
  ["samples", (latest) => [number(latest.samples, 0)]],
  ["recordings", (latest) => [number(latest.recordings, 0)]],
  ["gaps", (latest) => [number(latest.gaps, 0), latest.gaps > 0]],
  ["rate of the sensor", ({rate_hz: rate}) => [rate === null ? "\u2013" : `${number(rate, 1)} Hz`]],
  ["watched for", (latest) => [`${number(latest.seconds, 0)} s`]],
];

build({labels, unknown: "unknown", expected_hz: told.rate_hz, bins: BINS, bin_s: binSamples / told.rate_hz, decisions: DECISIONS,
  channels: contract.channels}, FIGURES);
at("turned").checked = /iPhone|iPad|iPod/.test(navigator.userAgent);
try {
  model = await load(Uint8Array.from(atob(told.wasm), (character) => character.charCodeAt(0)));
  const replayed = [...model.replay()].map((answer) => answer.label);
  at("self-test").textContent = `Self-test passed: ${replayed.length} stored ${replayed.length === 1 ? "answer" : "answers"} of the ` +
    `reference (${[...new Set(replayed)].join(", ")}) computed here, bit for bit.`;
  at("self-test").className = "good";
  tell("ready", "live");
  for (const id of ["file", "listen"]) at(id).disabled = false;
} catch (error) {
  at("self-test").textContent = `The self-test failed, and the model is not run: ${error.message}. This page needs a browser of 2022 or later.`;
  at("self-test").className = "bad";
  tell("self-test failed", "off");
}
const chosen = (files) => { if (model !== null && files.length) readFile(files[0]); };
at("file").addEventListener("change", () => { chosen(at("file").files); at("file").value = ""; });
for (const kind of ["dragover", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    if (kind === "drop") chosen(event.dataTransfer.files);
  });
}
at("listen").addEventListener("click", listen);
at("stop").addEventListener("click", () => end("stopped"));
at("save").addEventListener("click", save);
