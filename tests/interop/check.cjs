// Checks what Consign makes with npm packages that others wrote.
//
//     node check.cjs TOOL FOLDER    TOOL is @sigstore/verify or @transmute/cose, installed in FOLDER
//
// Reads cases as JSON from standard input; answers, for each case of a kind that the tool knows, whether it
// accepts it. What is genuine and what is forged it is not told.

const path = require("node:path");
const fs = require("node:fs");

const [tool, folder] = process.argv.slice(2);
const load = (name) => require(path.join(folder, "node_modules", name));
const bytes = (text) => Buffer.from(text, "base64");

function sigstore() {
  const { verifyMerkleInclusion } = load("@sigstore/verify/dist/tlog/merkle.js");
  const { verifyCheckpoint } = load("@sigstore/verify/dist/tlog/checkpoint.js");
  return {
    inclusion: async (c) => {
      const proof = { logIndex: String(c.index), hashes: c.path.map(bytes) };
      const entry = { inclusionProof: proof, canonicalizedBody: bytes(c.leaf) };
      verifyMerkleInclusion(entry, { logSize: BigInt(c.size), logHash: bytes(c.root) });
    },
    checkpoint: async (c) => {
      // Name, id and key; the key's base64 may hold a plus too.
      const [origin, id, ...key] = c.vkey.split("+");
      const raw = bytes(key.join("+")).subarray(1).toString("base64url");
      const jwk = { kty: "OKP", crv: "Ed25519", x: raw };
      const publicKey = require("node:crypto").createPublicKey({ key: jwk, format: "jwk" });
      const log = { logID: Buffer.from(id, "hex"), baseURL: origin, publicKey };
      const entry = { inclusionProof: { checkpoint: { envelope: c.note } } };
      const read = verifyCheckpoint(entry, [log]);
      if (read.logSize !== BigInt(c.size) || !read.logHash.equals(bytes(c.root))) {
        throw new Error("another size or root");
      }
    },
  };
}

function transmute() {
  const cose = load("@transmute/cose");
  const plain = (buffer) => new Uint8Array(buffer).slice().buffer;
  return {
    // The event with its receipt, end to end: taken out, hashed, led to the root, verified. Its own
    // signature is Ed25519, which the package does not know.
    receipt: async (c) => {
      if (c.alg !== "es256") {
        return false;
      }
      const key = bytes(c.key);
      const point = (from) => key.subarray(from, from + 32).toString("base64url");
      const jwk = { kty: "EC", crv: "P-256", alg: "ES256", x: point(1), y: point(33) };
      const whole = plain(bytes(c.transparent));
      const receipts = await cose.receipt.get(whole);
      if (receipts.length !== 1) {
        throw new Error("not one receipt");
      }
      const leaf = new Uint8Array(await cose.receipt.remove(whole));
      if (Buffer.compare(Buffer.from(leaf), bytes(c.event)) !== 0) {
        throw new Error("what is left is not the event");
      }
      await cose.receipt.inclusion.verify({
        entry: await cose.receipt.leaf(leaf),
        receipt: receipts[0],
        verifier: cose.detached.verifier({ resolver: { resolve: async () => jwk } }),
      });
    },
  };
}

async function main() {
  const checks = { "@sigstore/verify": sigstore, "@transmute/cose": transmute }[tool]();
  const answers = {};
  for (const c of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const check = checks[c.kind];
    if (!check) {
      continue;
    }
    try {
      if ((await check(c)) !== false) {
        answers[c.name] = true;
      }
    } catch (refusal) {
      console.error(`${c.name}: ${refusal}`);
      answers[c.name] = false;
    }
  }
  process.stdout.write(JSON.stringify(answers));
}

main();
