// The WebAssembly trainer, with JavaScript's own types. Its functions are in ../src/exports.rs.

/** A mistake in a file or a setting, in the crate's words. The trainer is as it was before. */
export class Refusal extends Error {}

/** The builds, best first, and what the page calls them. */
const BUILDS = [
  ["trainer-simd.wasm", "WebAssembly with simd128"],
  ["trainer-scalar.wasm", "WebAssembly without simd128"],
];

export class Trainer {
  #wasm;

  constructor(wasm, build) {
    this.#wasm = wasm;
    /** Which build runs. */
    this.build = build;
  }

  /** The fastest build that this browser can run; without simd128 if so wanted. */
  static async load(isScalar) {
    if (typeof WebAssembly !== "object") throw new Error("This browser has no WebAssembly.");
    let refusal;
    for (const [file, build] of isScalar ? BUILDS.slice(1) : BUILDS) {
      const response = await fetch(new URL(file, import.meta.url));
      if (!response.ok) throw new Error(`${file} is not here; web/build makes it.`);
      try {
        const { instance } = await WebAssembly.instantiate(await response.arrayBuffer(), {});
        return new Trainer(instance.exports, build);
      } catch (error) {
        if (!(error instanceof WebAssembly.CompileError)) throw error;
        refusal = error;
      }
    }
    throw new Error(`This browser cannot run the trainer: ${refusal.message}`);
  }

  /** Takes the names in a file's bytes, or the sample; returns how many they are. */
  takeNames(bytes) {
    const { take_file, take_sample } = this.#wasm;
    if (bytes === null) this.#check(take_sample());
    else {
      this.#put(bytes);
      this.#check(take_file());
    }
    return Number(this.#text());
  }

  start({ layers, rate, batch, steps, seed }) {
    this.#check(this.#wasm.start(layers, rate, batch, steps, BigInt(seed)));
  }

  /** Starts from a weight file; returns the number of hidden layers of its model. */
  load(bytes, { layers, rate, batch, steps, seed }) {
    this.#put(bytes);
    this.#check(this.#wasm.load(layers, rate, batch, steps, BigInt(seed)));
    return this.#bytes()[0];
  }

  /** Trains; returns the mean loss of the steps' batches. */
  train(steps) {
    return this.#number(this.#wasm.train(steps));
  }

  /** The loss over the "train", "validation" or "test" part of the names. */
  evaluate(part) {
    return this.#number(this.#wasm.evaluate(["train", "validation", "test"].indexOf(part)));
  }

  /** x and y of the 27 tokens, one after another. */
  letters() {
    this.#check(this.#wasm.letters());
    return new Float32Array(this.#bytes().buffer);
  }

  invent() {
    this.#check(this.#wasm.invent());
    return this.#text();
  }

  /** A safetensors file. */
  weights() {
    this.#check(this.#wasm.weights());
    return this.#bytes();
  }

  /** The hash of the parameters, in hexadecimal digits. */
  checksum() {
    return BigInt.asUintN(64, this.#wasm.checksum()).toString(16).padStart(16, "0");
  }

  parameters() {
    return this.#wasm.parameters();
  }

  #put(bytes) {
    const start = this.#wasm.input(bytes.length) >>> 0;
    new Uint8Array(this.#wasm.memory.buffer).set(bytes, start);
  }

  /** A copy: the memory moves when it grows. */
  #bytes() {
    const { memory, output, output_len } = this.#wasm;
    return new Uint8Array(memory.buffer).slice(output() >>> 0, (output() >>> 0) + output_len());
  }

  #text() {
    return new TextDecoder().decode(this.#bytes());
  }

  #check(isOk) {
    if (!isOk) throw new Refusal(this.#text());
  }

  #number(number) {
    if (Number.isNaN(number)) throw new Refusal(this.#text());
    return number;
  }
}
