// @sentence@, made by edge_seq @version@.
// Do not edit; export the model again.

export const name = "@model@";
export const modelHash = "@hash@";
export const labels = @labels@;
export const contract = @contract@;

const UNKNOWN = 0xfffe;

/**
 * Loads the model and runs its self-test.
 * @param source URL or bytes of the module; by default the file beside this one.
 * @returns a model with states of its own
 */
export async function load(source = new URL("./@model@.wasm", import.meta.url)) {
  const bytes = source instanceof URL ? await read(source) : source;
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return new Model(instance.exports);
}

async function read(url) {
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`loading ${url}: the server answers ${response.status}`);
  }
  return response.arrayBuffer();
}

class Model {
  #module;
  #counts;

  constructor(module) {
    this.#module = module;
    const status = module.start();
    if (status !== 0) {
      throw new Error(`@model@: the self-test fails with status ${status}; the module is damaged`);
    }
    this.#counts = new Int16Array(module.memory.buffer, module.counts(), contract.channels.length);
  }

  step(sample) {
    if (sample.length !== this.#counts.length) {
      throw new RangeError(`@model@: a sample of ${sample.length} counts; expected ${this.#counts.length}`);
    }
    for (const count of sample) {
      if (!Number.isInteger(count) || count < -32768 || count > 32767) {
        throw new RangeError(`@model@: count ${count}; expected integers from -32768 to 32767`);
      }
    }
    this.#counts.set(sample);
    return this.#answered();
  }

  reset() {
    this.#module.reset();
  }

  *replay() {
    for (let window = 0; this.#module.golden(window, 0); window++) {
      this.reset();
      for (let step = 0; this.#module.golden(window, step); step++) {
        const answer = this.#answered();
        if (answer !== null) {
          yield answer;
        }
      }
    }
    this.reset();
  }

  #answered() {
    if (!this.#module.step()) {
      return null;
    }
    const index = this.#module.answer(), top = this.#module.label();
    const logits = new Int32Array(this.#module.memory.buffer, this.#module.logits(), labels.length).slice();
    return index === UNKNOWN ? { label: "unknown", index: -1, top, logits } : { label: labels[index], index, top, logits };
  }
}
