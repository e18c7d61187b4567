// The motion sensor of a phone as a source of samples: axes by channel, units, and the contract's rate.

const GRAVITY = 9.80665, RADIAN = 180 / Math.PI;
// What a DeviceMotionEvent gives, and how many units of a channel are one of its units.
const KINDS = {
  acceleration: {unit: "m/s\u00b2", factors: {"m/s^2": 1, "g": 1 / GRAVITY, "mg": 1000 / GRAVITY}},
  rotation: {unit: "\u00b0/s", factors: {"deg/s": 1, "rad/s": 1 / RADIAN}},
};
// As all browsers give them, and the specification since 2018 (w3c/deviceorientation, pull request 43); orientation differs.
const ROTATION_AXES = {x: "alpha", y: "beta", z: "gamma"};
export const AXES = ["x", "y", "z"];
const LINEAR_RATIO = 1.05, SETTLING_S = 1, LONGEST_GAP_S = 0.5;
const CUTOFF = 0.45, TRANSITION = 0.1, KAISER_BETA = 5.65, KAISER_LENGTH = 3.62; // as in edge_seq/data/resample.py

/** Kind of a phone's signal that a channel with this unit can be, or null. */
export const kindOf = (unit) => Object.keys(KINDS).find((kind) => unit in KINDS[kind].factors) ?? null;

/** Axis that a channel's name says: its last letter, its first, or a word of it; null if it says none. */
export function axisOf(name) {
  const lower = name.toLowerCase();
  const word = /(?:^|[\W_])([xyz])(?:$|[\W_])/.exec(lower) ?? /([xyz])$/.exec(lower) ?? /^([xyz])/.exec(lower);
  return word ? word[1] : null;
}

/** Axis for each channel; null where the name says none, or two channels of a kind say the same one. */
export function axesOf(channels) {
  const said = channels.map(({name, unit}) => [kindOf(unit), axisOf(name)]);
  return said.map(([kind, axis]) => said.filter((other) => other[0] === kind && other[1] === axis).length === 1 ? axis : null);
}

/**
 * Values of a DeviceMotionEvent in the channels' units.
 * @param axes axis for each channel
 * @param turned true if the phone gives accelerations with the other sign, as Safari does
 * @returns values, or null if the phone lacks one of them
 */
export function valuesOf(event, channels, axes, turned) {
  const values = channels.map(({unit}, index) => {
    const kind = kindOf(unit);
    const found = kind === "acceleration" ? event.accelerationIncludingGravity?.[axes[index]]
      : event.rotationRate?.[ROTATION_AXES[axes[index]]];
    return typeof found === "number" ? found * KINDS[kind].factors[unit] * (turned && kind === "acceleration" ? -1 : 1) : null;
  });
  return values.includes(null) ? null : values;
}

function besselI0(x) {
  let term = 1, sum = 1;
  for (let k = 1; term > 1e-17 * sum; k += 1) { term *= (x / 2 / k) ** 2; sum += term; }
  return sum;
}

/** Taps of the low-pass before a resampling to a lower rate: sinc times a Kaiser window, [2 half + 1]. */
export function lowpassTaps(rate, newRate) {
  const half = Math.ceil(KAISER_LENGTH * rate / (TRANSITION * newRate) / 2);
  return Float64Array.from({length: 2 * half + 1}, (_, index) => {
    const at = index - half, x = Math.PI * 2 * CUTOFF * newRate / rate * at;
    return (at ? Math.sin(x) / x : 1) * besselI0(KAISER_BETA * Math.sqrt(Math.max(0, 1 - (at / half) ** 2))) / besselI0(KAISER_BETA);
  });
}

/**
 * Brings samples with times onto the contract's even grid as they come. The first second measures the rate. At up to
 * 1.05 times the contract's rate it interpolates linearly; above, a low-pass comes first, which is late by half its length.
 */
export class Resampler {
  #rate; #period; #typicalPeriod;
  #settling = [];
  #grid = null; // {start, step, taps, rows: even rows from number `first`, first, made, given}

  constructor(rate, typicalPeriod) {
    this.#rate = rate;
    this.#typicalPeriod = typicalPeriod;
  }

  /** Rate of the phone, Hz; null until it is known. */
  get found() { return this.#period === undefined ? null : 1 / this.#period; }

  /** True if a low-pass is used. */
  get filters() { return this.#grid !== null && this.#grid.taps.length > 1; }

  /** Time from a sample to its place in the output, seconds. */
  get delay() { return this.filters ? (this.#grid.taps.length - 1) / 2 * this.#grid.step : 0; }

  /**
   * Takes a sample.
   * @returns samples of the grid that are now known; null after a gap, at which everything begins again
   */
  push(time, values) {
    const previous = this.#settling.at(-1);
    if (previous && time <= previous.time) return [];
    if (previous && time - previous.time > LONGEST_GAP_S) {
      this.#settling = [{time, values}];
      this.#grid = null;
      return null;
    }
    this.#settling.push({time, values});
    if (this.#grid !== null) {
      this.#settling.shift();
      return this.#go(previous);
    }
    if (time - this.#settling[0].time < SETTLING_S) return [];
    const steps = this.#settling.slice(1).map((one, index) => one.time - this.#settling[index].time);
    this.#period = this.#typicalPeriod(steps);
    const filters = this.found > LINEAR_RATIO * this.#rate;
    this.#grid = {
      start: this.#settling[0].time, step: filters ? this.#period : 1 / this.#rate,
      taps: filters ? lowpassTaps(this.found, this.#rate) : Float64Array.of(1), rows: [], first: 0, made: 0, given: 0,
    };
    const all = this.#settling, out = [];
    for (let at = 1; at < all.length; at += 1) {
      this.#settling = [all[at]];
      out.push(...this.#go(all[at - 1]));
    }
    return out;
  }

  /** Even rows up to the latest sample by linear interpolation from the one before, then what they give. */
  #go(previous) {
    const grid = this.#grid, latest = this.#settling.at(-1), out = [];
    for (;; grid.made += 1) {
      const time = grid.start + grid.made * grid.step;
      if (time > latest.time + 1e-9) break;
      const share = (time - previous.time) / (latest.time - previous.time);
      grid.rows.push(previous.values.map((value, index) => value + share * (latest.values[index] - value)));
    }
    if (grid.taps.length === 1) return grid.rows.splice(0);
    const half = (grid.taps.length - 1) / 2;
    for (;;) {
      const at = grid.given / this.#rate / grid.step, row = Math.floor(at + 1e-9);
      if (row + 1 + half >= grid.made) break;
      const low = this.#filtered(row), high = this.#filtered(row + 1);
      out.push(low.map((value, index) => value + Math.max(0, at - row) * (high[index] - value)));
      grid.given += 1;
    }
    const kept = Math.floor(grid.given / this.#rate / grid.step) - half - 1;
    if (kept > grid.first) grid.rows.splice(0, kept - grid.first), grid.first = kept;
    return out;
  }

  /** Filtered row. Before the first sample the kernel is cut off and rescaled, so that a constant stays constant. */
  #filtered(row) {
    const {taps, rows, first} = this.#grid, half = (taps.length - 1) / 2, sums = rows[0].map(() => 0);
    let reach = 0;
    for (let at = Math.max(0, row - half); at <= row + half; at += 1) {
      const tap = taps[row - at + half];
      reach += tap;
      rows[at - first].forEach((value, index) => { sums[index] += tap * value; });
    }
    return sums.map((sum) => sum / reach);
  }
}
