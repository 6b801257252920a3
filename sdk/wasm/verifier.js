// The verifier of `consign verify`, in JavaScript. Sends nothing anywhere and reads no clock.
//
// Whatever the files hold, `verify` returns a value; it throws only where the caller's types are wrong.

/** More than any proof; the module refuses more than 4 MiB in all. */
const FILE_BYTES_MAX = 2 * 1024 * 1024;
/** A trust file has at most 1 MiB. */
const TRUST_BYTES_MAX = 1024 * 1024;
/** How the module is told that no age is asked for. */
const NO_AGE = 0xffff_ffff_ffff_ffffn;

/** Compiles the module from its bytes (or takes a `WebAssembly.Module`) and returns the verifier. */
export async function load(source) {
  const module = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source);
  let instance = await WebAssembly.instantiate(module, {});
  return {
    verify(fileBytes, trustText, nowSeconds, options = {}) {
      try {
        return call(instance.exports, fileBytes, trustText, nowSeconds, options);
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error;
        // A fault of the verifier. Its memory is not used again.
        instance = new WebAssembly.Instance(module, {});
        return unchecked("internal", "the verifier failed on this file; please report it");
      }
    },
    checkSignatures(lines) {
      const bytes = new TextEncoder().encode(lines);
      const { exports: wasm } = instance;
      const start = wasm.input(bytes.length);
      if (start === 0) throw new RangeError("more lines than the module takes at once");
      new Uint8Array(wasm.memory.buffer, start >>> 0, bytes.length).set(bytes);
      const length = wasm.signatures();
      const text = new Uint8Array(wasm.memory.buffer, wasm.output() >>> 0, length >>> 0);
      return new TextDecoder().decode(text).split("\n").slice(0, -1);
    },
  };
}

function call(wasm, fileBytes, trustText, nowSeconds, options) {
  const encode = (text) => new TextEncoder().encode(text);
  const parts = [
    fileBytes,
    encode(trustText ?? ""),
    options.event ?? new Uint8Array(),
    encode(options.unit ?? ""),
    encode(options.expectHolder ?? ""),
    encode((options.notFlags ?? []).join(",")),
  ];
  if (fileBytes.length > FILE_BYTES_MAX || parts[1].length > TRUST_BYTES_MAX) {
    return unchecked("too_large", "the file is larger than a proof or a trust file can be");
  }
  const start = wasm.input(parts.reduce((sum, part) => sum + part.length, 0));
  if (start === 0) return unchecked("too_large", "the files are larger than a proof can be");
  let at = start >>> 0;
  for (const part of parts) {
    new Uint8Array(wasm.memory.buffer, at, part.length).set(part);
    at += part.length;
  }
  const whole = (seconds) => BigInt(Math.max(0, Math.floor(seconds)));
  const age = options.maxAgeSeconds === undefined ? NO_AGE : whole(options.maxAgeSeconds);
  const accept = options.acceptLogKey ? 1 : 0;
  const sizes = parts.map((part) => part.length);
  const length = wasm.verify(...sizes, accept, age, whole(nowSeconds));
  const json = new Uint8Array(wasm.memory.buffer, wasm.output() >>> 0, length >>> 0);
  return JSON.parse(new TextDecoder().decode(json));
}

function unchecked(code, why) {
  const answer = () => ({ verdict: "not-established", detail: "not checked" });
  return {
    verified: false,
    code,
    subject: "unreadable",
    integrity: { verdict: "failed", detail: why },
    trust: answer(),
    completeness: answer(),
    time: answer(),
    unmet: [],
  };
}
