// Reads CSV files as the sensor contract or the run's data source says, with the checks of edge_seq/data/checks.py.
// What cannot be read is refused: a wrong column or unit would give wrong labels in silence.

export const MOST_BYTES = 100e6;
const ROUNDING = 1e-6, NEIGHBOURS = 16;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A file that is not read, with what was found and what to do. */
export class Refused extends Error {}

/** Rounds half to even, as numpy does. */
export function rint(value) {
  const below = Math.floor(value), rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

/** The count of a value in the channel's unit: scaled, rounded half to even, saturated. */
export function countOf(value, channel) {
  return Math.min(channel.count_limit, Math.max(-channel.count_limit, rint(value * channel.counts_per_unit)));
}

/** Mean of the steps that are within half of the usual step; see edge_seq/data/periods.py. */
export function typicalPeriod(steps) {
  const count = Math.min(NEIGHBOURS, Math.floor(steps.length / 4));
  let means = steps;
  if (count > 1) {
    means = [];
    for (let first = 0; first + count <= steps.length; first += 1) {
      let sum = 0;
      for (let at = first; at < first + count; at += 1) sum += steps[at];
      means.push(sum / count);
    }
  }
  const usual = median(means);
  const near = steps.filter((step) => step > 0.5 * usual && step < 1.5 * usual);
  return near.length ? near.reduce((sum, step) => sum + step, 0) / near.length : usual;
}

function median(values) {
  const sorted = Float64Array.from(values).sort(), middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Rows of a CSV with the line on which each begins; fields may be quoted as in RFC 4180. */
export function* rowsOf(text, delimiter) {
  let at = 0, line = 1;
  while (at < text.length) {
    const row = [], first = line;
    for (let more = true; more;) {
      let field = "";
      if (text[at] === '"') {
        let end = at;
        for (;;) {
          end = text.indexOf('"', end + 1);
          if (end < 0) throw new Refused(`line ${first}: a quoted text has no end; close it with "`);
          if (text[end + 1] !== '"') break;
          end += 1;
        }
        field = text.slice(at + 1, end).replaceAll('""', '"');
        line += field.split("\n").length - 1;
        at = end + 1;
      }
      const from = at;
      while (at < text.length && text[at] !== delimiter && text[at] !== "\n" && text[at] !== "\r") at += 1;
      row.push(field + text.slice(from, at));
      more = text[at] === delimiter;
      if (more) at += 1;
    }
    at += text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1;
    line += 1;
    if (row.length > 1 || row[0].trim() !== "") yield [first, row];
  }
}

/** Positions of what a layout needs among the columns; null if a column is not there exactly once. */
function positionsOf(columns, layout) {
  const once = (name) => columns.filter((column) => column === name).length === 1 ? columns.indexOf(name) : -1;
  const channels = layout.channels.map(({column}) => once(column));
  const times = layout.times.filter(({column}) => once(column) >= 0);
  if (channels.includes(-1) || (layout.needs_time && !times.length)) return null;
  const recording = layout.recording_column === null ? -1 : once(layout.recording_column);
  return {channels, time: times.length ? {...times[0], at: once(times[0].column)} : null, recording};
}

/** The first line as columns, by the delimiter and layout with which all needed columns are there. */
function layoutOf(text, told) {
  const header = text.slice(0, 65536).split(/\r\n|\n|\r/).find((line) => line.trim() !== "");
  if (header === undefined) throw new Refused("the file is empty; expected a header and rows of numbers");
  const columnsBy = (delimiter) => rowsOf(header, delimiter).next().value[1].map((name) => name.trim());
  for (const layout of told.layouts) {
    for (const delimiter of [",", ";", "\t"]) {
      const columns = columnsBy(delimiter), positions = positionsOf(columns, layout);
      if (positions !== null) return {layout, delimiter, columns, positions};
    }
  }
  const wanted = new Set(told.layouts.map((layout) => layout.channels.map(({column}) => column).join(", ")));
  throw new Refused(`the first line is ${JSON.stringify(header.slice(0, 200))}; it must name each of these columns ` +
    `once: ${[...wanted].join("; or ")}. Rename the columns, or convert the file`);
}

const plain = (unit) => unit.replace("^2", "\u00b2");

/** What each column was taken for, as sentences. */
function takenFor({layout, columns, positions}, channels) {
  const said = layout.channels.map(({column, unit, factor}, index) => {
    const {name, unit: wanted} = channels[index];
    const converted = factor === 1 ? `in ${plain(wanted)}` : `${plain(unit)} converted to ${plain(wanted)}, times ${Number(factor.toPrecision(7))}`;
    return column === name ? `${name}: ${converted}` : `${column}: channel ${name}, ${converted}`;
  });
  const {time, recording} = positions;
  said.push(time === null ? "no column of times: the rate was not checked" : `${time.column}: time in ${time.unit}`);
  if (recording >= 0) said.push(`${columns[recording]}: name of the recording`);
  const used = new Set([...positions.channels, time?.at, recording]);
  const rest = columns.filter((_, index) => !used.has(index));
  if (rest.length) said.push(`not used: ${rest.join(", ")}`);
  return said;
}

/**
 * Reads the text of a file.
 * @param told layouts, limits and channels, written by edge_seq/live/model_page.py
 * @returns recordings {name, counts: Int16Array [n * C], samples}, sentences `taken`, and `warnings`
 * @throws Refused
 */
export function readText(text, told) {
  const found = layoutOf(text, told), {positions, delimiter, layout} = found, width = told.channels.length;
  const parts = new Map();
  let latest = null, isHeader = true;
  for (const [line, row] of rowsOf(text, delimiter)) {
    if (isHeader) { isHeader = false; continue; }
    const name = positions.recording < 0 ? "" : row[positions.recording];
    if (positions.recording >= 0 && !name) {
      throw new Refused(`line ${line}: no value in column ${layout.recording_column}, which names the recording`);
    }
    if (latest === null || latest.name !== name) {
      if (parts.has(name)) {
        throw new Refused(`line ${line}: recording ${name} goes on after another; keep its rows together`);
      }
      latest = {name, values: [], times: [], lines: []};
      parts.set(name, latest);
    }
    const numberAt = (at, what) => {
      const field = row[at]?.trim() ?? "";
      if (!NUMBER.test(field) || !Number.isFinite(Number(field))) {
        throw new Refused(`line ${line}: ${JSON.stringify(field.slice(0, 40))} in column ${what} is no number; correct ` +
          "or drop the row. Numbers have a decimal point");
      }
      return Number(field);
    };
    positions.channels.forEach((at, index) => {
      const {column, factor} = layout.channels[index];
      latest.values.push(numberAt(at, column) * factor);
    });
    if (positions.time) latest.times.push(numberAt(positions.time.at, positions.time.column) * positions.time.seconds);
    latest.lines.push(line);
  }
  if (!parts.size) throw new Refused("the file has a header and no rows; expected rows of numbers");
  const warnings = [], recordings = [];
  let rate = null;
  for (const part of parts.values()) {
    const where = part.name ? `recording ${part.name}: ` : "";
    checkSaturation(part, told, layout, where);
    if (part.times.length > 1) rate = checkTimes(part, told, layout, where);
    const pieces = pieceEnds(part, layout, told.channels.length, where);
    pieces.forEach((end, index) => {
      const first = index ? pieces[index - 1] : 0, name = (part.name || "the file") + (pieces.length > 1 ? `#${index + 1}` : "");
      if (end - first < told.window_length && layout.skips_short) {
        warnings.push(`${name} has ${end - first} samples, less than a window; it is left out`);
        return;
      }
      const counts = new Int16Array((end - first) * width);
      for (let at = 0; at < counts.length; at += 1) {
        counts[at] = countOf(part.values[first * width + at], told.channels[at % width]);
      }
      warnings.push(...constantChannels(counts, told, name));
      recordings.push({name, counts, samples: end - first});
    });
  }
  const taken = takenFor(found, told.channels);
  if (rate !== null) taken.push(`${rate.toPrecision(4)} Hz found, ${told.rate_hz} Hz expected`);
  if (!recordings.length) throw new Refused(`no recording has a window of ${told.window_length} samples`);
  return {recordings, taken, warnings};
}

function checkSaturation(part, told, layout, where) {
  const width = told.channels.length, samples = part.values.length / width;
  told.channels.forEach((channel, index) => {
    let beyond = 0, largest = 0;
    for (let at = index; at < part.values.length; at += width) {
      const magnitude = Math.abs(part.values[at]);
      largest = Math.max(largest, magnitude);
      beyond += magnitude > channel.full_scale * (1 + 1e-3) ? 1 : 0;
    }
    if (beyond / samples > layout.max_saturated_share) {
      throw new Refused(`${where}${(100 * beyond / samples).toFixed(1)} % of channel ${channel.name} lies beyond full ` +
        `scale (largest ${largest.toPrecision(4)}, full scale ${channel.full_scale} ${channel.unit}). Check the unit`);
    }
  });
}

function checkTimes({times, lines}, told, layout, where) {
  const steps = [];
  for (let at = 1; at < times.length; at += 1) {
    if (times[at] <= times[at - 1]) {
      throw new Refused(`${where}line ${lines[at]}: ${times[at]} s is not later than the row before, ` +
        `${times[at - 1]} s. Sort the rows, or give each recording by itself`);
    }
    steps.push(times[at] - times[at - 1]);
  }
  const rate = 1 / typicalPeriod(steps);
  if (Math.abs(rate - told.rate_hz) > layout.rate_tolerance * told.rate_hz * (1 + ROUNDING)) {
    throw new Refused(`${where}sampled at ${rate.toPrecision(4)} Hz, the sensor contract says ${told.rate_hz} Hz with a ` +
      `tolerance of ${(100 * layout.rate_tolerance).toFixed(1)} %. Resample the file, or train for its rate`);
  }
  return rate;
}

/** Ends of the pieces of a recording between gaps. */
function pieceEnds({times, values}, layout, width, where) {
  const ends = [];
  for (let at = 1; at < times.length; at += 1) {
    if (times[at] - times[at - 1] <= layout.max_gap_s * (1 + ROUNDING)) continue;
    if (!layout.cuts_at_gaps) {
      throw new Refused(`${where}a gap of ${(times[at] - times[at - 1]).toPrecision(4)} s after t = ` +
        `${times[at - 1].toPrecision(6)} s; at most ${layout.max_gap_s} s may pass. Give the parts by themselves`);
    }
    ends.push(at);
  }
  return [...ends, values.length / width];
}

function constantChannels(counts, told, name) {
  const width = told.channels.length;
  if (counts.length <= width) return [];
  return told.channels.filter((_, index) => {
    for (let at = index; at < counts.length; at += width) if (counts[at] !== counts[index]) return false;
    return true;
  }).map((channel) => `${name}: channel ${channel.name} is constant. Is the axis dead, or a wire off?`);
}
