// Puts the page, its style, the verifier and the module into one HTML file that works from a disk, and
// prints sizes. `node build.mjs MODULE.wasm FOLDER`
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const [module, folder] = process.argv.slice(2);
const here = import.meta.dirname;
const read = (...path) => readFileSync(join(here, ...path), "utf8");

// Of a module within one file, neither import nor export is left.
const glue = read("verifier.js");
const page = read("demo", "page.js").replace(/^import .*\n/m, "");
const script = "\n" + glue.replace(/^export /gm, "") + page;
const style = "\n" + read("demo", "page.css");
const wasm = readFileSync(module);

// Only this script and this style run, and nothing may be fetched: not even from where the page came.
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const csp = `default-src 'none'; script-src ${hash(script)} 'wasm-unsafe-eval'; style-src ${hash(style)}; ` +
  "img-src data:; base-uri 'none'; form-action 'none'";
const parts = { CSP: csp, STYLE: style, WASM: wasm.toString("base64"), SCRIPT: script };
const html = read("demo", "page.html").replace(/@(CSP|STYLE|WASM|SCRIPT)@/g, (_, part) => parts[part]);

mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "verify.html"), html);
writeFileSync(join(folder, "consign.wasm"), wasm);
for (const name of ["verifier.js", "verifier.d.ts"]) copyFileSync(join(here, name), join(folder, name));

const zipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const sizes = { "consign.wasm": zipped(wasm), "verifier.js": zipped(glue) };
for (const [name, size] of Object.entries(sizes)) console.log(`${name}: ${size} bytes gzipped`);
const total = Object.values(sizes).reduce((sum, size) => sum + size);
console.log(`together: ${total} bytes gzipped (${(total / 1024).toFixed(1)} KiB)`);
