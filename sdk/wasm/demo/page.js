// The page around the verifier: takes files, shows the answers. Text from files is only ever shown as text.
import { load } from "../verifier.js";

const byId = (id) => document.getElementById(id);
const VERDICTS = { ok: "OK", failed: "FAILED", "not-established": "NOT ESTABLISHED", bounded: "BOUNDED" };
const QUESTIONS = ["integrity", "trust", "completeness", "time"];
const READ_BYTES_MAX = 4 * 1024 * 1024;

const encoded = byId("module").textContent.trim();
const ready = load(Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0)));
let proof;
let trust;

async function bytesOf(file) {
  // What is longer than any proof is not read to its end.
  return new Uint8Array(await file.slice(0, READ_BYTES_MAX).arrayBuffer());
}

/** Takes files of either kind, then shows once what they say together. */
async function take(files) {
  for (const file of files) {
    const bytes = await bytesOf(file);
    // A trust file is a JSON object; a passport begins with CBOR, a receipt with its name.
    const first = bytes.find((byte) => ![9, 10, 13, 32].includes(byte));
    (first === 0x7b ? setTrust : setProof)(file, bytes);
  }
  await show();
}

function setProof(file, bytes) {
  proof = bytes;
  byId("proof-name").textContent = file.name;
}

function setTrust(file, bytes) {
  trust = new TextDecoder().decode(bytes);
  byId("trust-name").textContent = file.name;
}

async function choose(files, set) {
  for (const file of files) set(file, await bytesOf(file));
  await show();
}

async function show() {
  if (!proof) return;
  const options = {};
  if (byId("holder").value.trim()) options.expectHolder = byId("holder").value.trim();
  if (byId("age").value !== "") options.maxAgeSeconds = Number(byId("age").value) * 86400;
  const verifier = await ready;
  const started = performance.now();
  const found = verifier.verify(proof, trust, Date.now() / 1000, options);
  byId("result").dataset.took = String(performance.now() - started);
  byId("result").replaceChildren(...told(found));
}

function told(found) {
  const said = found.accused ? "MISBEHAVIOUR PROVEN" : !found.verified ? "NOT VERIFIED" : found.unmet.length ? "VERIFIED, BUT NOT AS ASKED" : "VERIFIED";
  const parts = [
    element("h2", "said " + (found.code === "ok" ? "ok" : "failed"), said),
    element("p", "subject", found.subject),
    list("answers", QUESTIONS.map((name) => answer(name, found[name]))),
  ];
  if (found.unmet.length) {
    parts.push(list("answers unmet", found.unmet.map((unmet) => element("li", "", "Not so: " + unmet.detail))));
  }
  if (found.accused) {
    parts.push(list("answers accused", found.accused.map((accused) => element("li", "", accused))));
  }
  if (found.story) {
    parts.push(element("p", "holder", "Holder: " + found.holder));
    parts.push(element("p", "flags", "Flags: " + (found.flags.length ? found.flags.join(", ") : "none")));
    parts.push(element("h2", "", "What happened"));
    parts.push(list("story", found.story.map((line) => element("li", "", line))));
  }
  return parts;
}

function answer(name, { verdict, detail }) {
  const line = element("li", "", "");
  const title = name[0].toUpperCase() + name.slice(1);
  line.append(element("strong", "", title), " ", element("span", "verdict " + verdict, VERDICTS[verdict]), " ");
  line.append(element("span", "", detail));
  return line;
}

function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  made.textContent = text;
  return made;
}

function list(classes, items) {
  const made = element("ul", classes, "");
  made.append(...items);
  return made;
}

byId("proof").addEventListener("change", (event) => choose([...event.target.files], setProof));
byId("trust").addEventListener("change", (event) => choose([...event.target.files], setTrust));
byId("holder").addEventListener("change", show);
byId("age").addEventListener("change", show);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").classList.add("over");
});
document.addEventListener("dragleave", () => byId("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  take([...event.dataTransfer.files]);
});
