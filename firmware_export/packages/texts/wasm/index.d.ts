// @sentence@, made by edge_seq @version@.

export interface Channel {
  readonly name: string;
  readonly unit: string;
  /** Raw counts of one unit. */
  readonly counts_per_unit: number;
  /** Largest value that the sensor measures, in the unit. */
  readonly full_scale: number;
}

export interface Contract {
  readonly sample_rate_hz: number;
  /** In the order of a sample's counts. */
  readonly channels: readonly Channel[];
  readonly window_length: number;
  readonly window_stride: number;
  readonly preprocessing: { readonly step: string; readonly gravity_shift: number; readonly companding?: number; readonly magnitude?: boolean };
}

export interface Answer {
  /** Text of the label, or "unknown". */
  readonly label: string;
  /** Index of the label in `labels`; -1 for unknown. */
  readonly index: number;
  /** Index of the largest logit. A decision stage may answer otherwise. */
  readonly top: number;
  /** One for each label, times 65536. */
  readonly logits: Int32Array;
}

export interface Model {
  /**
   * Processes one sample.
   * @param sample raw counts, integers from -32768 to 32767, in the order of the contract's channels
   * @returns the answer if one is due, else null
   * @throws RangeError if the sample has another number of counts, or a count is out of range
   */
  step(sample: ArrayLike<number> & Iterable<number>): Answer | null;
  /** Sets all states to zero and begins a window. */
  reset(): void;
  /** Resets the model and gives the answers for the windows of the self-test. */
  replay(): Generator<Answer, void, undefined>;
}

export const name: "@model@";
/** SHA-256 of the model. */
export const modelHash: string;
export const labels: readonly string[];
export const contract: Contract;

/**
 * Loads the model and runs its self-test.
 * @param source URL or bytes of the module; by default the file beside this one
 * @returns a model with states of its own
 * @throws Error if the module cannot be read or its self-test fails
 */
export function load(source?: URL | BufferSource): Promise<Model>;
