// Drops files on the page in headless Chromium, offline, and reads what it says.
//
// `node browser.mjs CHROMIUM verify.html FILES`: FILES is what the example `files` wrote. No package is
// needed: the browser is spoken to through a pipe, in its own protocol.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, html, files] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(join(files, "cases.json"), "utf8"));
/** A day after the first checkpoint, as the example has it. */
const NOW_S = 1_700_086_400;
/** So long may the whole test take; nothing waits for time to pass. */
const DEADLINE_MS = 60_000;

class Browser {
  #waiting = new Map();
  #listeners = [];
  #last = 0;
  #rest = "";

  constructor(profile) {
    const flags = ["--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND",
      "--remote-debugging-pipe", `--user-data-dir=${profile}`];
    // Root has no sandbox.
    if (process.getuid?.() === 0) flags.push("--no-sandbox");
    this.process = spawn(chromium, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    this.process.stdio[4].setEncoding("utf8").on("data", (text) => this.#take(text));
  }

  #take(text) {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop();
    for (const message of messages.map((message) => JSON.parse(message))) {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (!waiting) this.#listeners.forEach((listener) => listener(message));
      else if (message.error) waiting.reject(new Error(`${waiting.method}: ${message.error.message}`));
      else waiting.resolve(message.result);
    }
  }

  on(listener) {
    this.#listeners.push(listener);
  }

  event(method) {
    return new Promise((resolve) => this.on((message) => message.method === method && resolve(message.params)));
  }

  send(method, params = {}) {
    const id = ++this.#last;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId: this.session }) + "\0");
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject, method }));
  }

  async run(expression) {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", params);
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }
}

const profile = mkdtempSync(join(tmpdir(), "consign-browser-"));
const browser = new Browser(profile);
const late = setTimeout(() => {
  console.error(`not done after ${DEADLINE_MS} ms`);
  browser.process.kill();
  process.exit(1);
}, DEADLINE_MS);

const address = pathToFileURL(resolve(html)).href;
const requests = [];
const complaints = [];
browser.on(({ method, params }) => {
  if (method === "Network.requestWillBeSent") requests.push(params.request.url);
  if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.text);
  if (method === "Log.entryAdded") complaints.push(params.entry.text);
});

const { targetId } = await browser.send("Target.createTarget", { url: "about:blank" });
const { sessionId } = await browser.send("Target.attachToTarget", { targetId, flatten: true });
browser.session = sessionId;
for (const domain of ["Page", "Network", "Runtime", "Log", "DOM"]) await browser.send(`${domain}.enable`);
const offline = { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
await browser.send("Network.emulateNetworkConditions", offline);
const source = `Date.now = () => ${NOW_S}000;`;
await browser.send("Page.addScriptToEvaluateOnNewDocument", { source });

async function open() {
  const loaded = browser.event("Page.loadEventFired");
  await browser.send("Page.navigate", { url: address });
  await loaded;
}

/** Drops files as a person would; ends when the page has shown what it finds. */
async function drop(...names) {
  await browser.run(`window.shown = new Promise((resolve) =>
    new MutationObserver((_, observer) => { observer.disconnect(); resolve(); })
      .observe(document.getElementById("result"), { childList: true })), 0`);
  const data = { items: [], files: names.map((name) => resolve(files, name)), dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await browser.send("Input.dispatchDragEvent", { type, x: 200, y: 200, data });
  }
  await browser.run("window.shown");
}

const texts = (selector) =>
  browser.run(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((found) => found.textContent)`);

const WORDS = { ok: "OK", failed: "FAILED", "not-established": "NOT ESTABLISHED", bounded: "BOUNDED" };

/** What the page should show of what the verifier said outside of a browser. */
function lines(said) {
  return ["Integrity", "Trust", "Completeness", "Time"].map((name) => {
    const { verdict, detail } = said[name.toLowerCase()];
    return `${name} ${WORDS[verdict]} ${detail}`;
  });
}

// What the bytes of the example decide, as it is read outside of a browser.
const ROOT = cases[0].said.integrity.detail.match(/[0-9a-f]{64}$/)[0];
const GOOD = [
  `Integrity OK signatures, heads and entries lead to root ${ROOT}`,
  "Trust OK cosigned by 4 of 4 validators (airline, customs, forwarder, handler); 3 are needed",
  "Completeness OK all 10 events of the unit up to block 18, 2023-11-14T22:23:20.000Z",
  "Time BOUNDED as of 2023-11-14T22:23:21.000Z, as a quorum says: 23 h ago by this machine's clock; " +
    "times are block times, what devices claim is not shown",
];
const UNCHECKED = ["Completeness NOT ESTABLISHED not checked", "Time NOT ESTABLISHED not checked"];

const tests = {
  async "evidence names whoever it proves did it"() {
    await drop("trust.json", "number.evidence");
    assert.deepEqual(await texts("h2.said"), ["MISBEHAVIOUR PROVEN"]);
    assert.deepEqual(await texts(".accused li"), ["forwarder.dock1 signed two events under its number 9"]);
  },
  async "one log key's word is not verified"() {
    await drop("trust.json", "event.cose");
    assert.deepEqual(await texts("h2.said"), ["NOT VERIFIED"]);
    const says = "Trust BOUNDED one log key, that of airline, says so; that a quorum of validators made it final is not shown";
    assert.equal((await texts(".answers li"))[1], says);
  },
  async "a valid passport is verified and tells its story"() {
    await drop("trust.json", "ten.passport");
    assert.deepEqual(await texts(".answers li"), GOOD);
    assert.deepEqual(await texts(".said, .subject, .holder, .flags"), [
      "VERIFIED", "passport of trk/forwarder/A", "Holder: forwarder", "Flags: none",
    ]);
    const story = await texts(".story li");
    assert.deepEqual(story, cases[0].said.story);
    assert.equal(story[1], "2023-11-14T22:15:20.000Z  airline.dock1 brought the handover of " +
      "trk/forwarder/A from forwarder.dock1 to airline.dock1");
  },

  async "a wrong trust file leaves trust not established"() {
    await drop("other-trust.json", "ten.passport");
    assert.deepEqual(await texts(".said"), ["NOT VERIFIED"]);
    assert.deepEqual(await texts(".answers li"), [
      "Integrity NOT ESTABLISHED not checked",
      "Trust NOT ESTABLISHED the checkpoint is not established: 0 of the 3 cosignatures that are needed hold",
      ...UNCHECKED,
    ]);
  },

  async "what is no trust file is said to be none"() {
    await drop("ten.passport", "bad-trust.json");
    assert.deepEqual(await texts(".said"), ["NOT VERIFIED"]);
    assert.deepEqual(await texts(".answers li"), [
      "Integrity NOT ESTABLISHED not checked",
      "Trust FAILED this is no trust file: malformed trust file: invalid value: integer `-1`, expected u64 at line 5 column 13",
      ...UNCHECKED,
    ]);
  },

  async "a stale passport is verified but not as asked"() {
    await browser.run(`document.getElementById("age").value = "0", 0`);
    await drop("ten.passport", "trust.json");
    assert.deepEqual(await texts(".said"), ["VERIFIED, BUT NOT AS ASKED"]);
    assert.deepEqual(await texts(".answers li"), [
      ...GOOD,
      "Not so: the passport is 23 h old, more than 0 s; ask for a newer one",
    ]);
  },

  async "every proof gets the answers that it gets outside of a browser"() {
    let forged = 0;
    for (const { file, trust, said } of cases) {
      await open();
      if (trust) await dropTrustFirst(trust);
      await drop(file);
      assert.deepEqual((await texts(".answers li")).slice(0, 4), lines(said), `${file} with ${trust}`);
      const verified = said.accused ? "MISBEHAVIOUR PROVEN" : "VERIFIED";
      assert.deepEqual(await texts(".said"), [said.verified ? verified : "NOT VERIFIED"]);
      if (file.startsWith("forged")) {
        assert.equal(said.verified, false, file);
        forged += 1;
      }
    }
    assert.equal(forged, 80);
    console.log(`  ${cases.length} cases, ${forged} of them forged`);
  },

  async "whatever is dropped, the page answers"() {
    for (const [name, bytes] of Object.entries({ empty: "", text: "no proof", markup: "<img src=x onerror=alert(1)>" })) {
      await open();
      writeFileSync(join(profile, name), bytes);
      await drop(join(profile, name));
      assert.deepEqual(await texts(".said"), ["NOT VERIFIED"], name);
      assert.equal((await texts(".answers li"))[0], "Integrity FAILED malformed receipt: no blank line", name);
    }
  },

  async "every field has a label and the result is announced"() {
    assert.deepEqual(await browser.run(`[...document.querySelectorAll("input")].map((input) => input.labels.length)`), [1, 1, 1, 1]);
    assert.equal(await browser.run(`document.getElementById("result").getAttribute("aria-live")`), "polite");
    assert.equal(await browser.run(`document.documentElement.scrollWidth <= window.innerWidth`), true);
  },

  async "nothing left the page and nothing can"() {
    assert.deepEqual(requests.filter((url) => url !== address && !url.startsWith("data:")), []);
    assert.deepEqual(complaints, []);
    const refused = await browser.run(`fetch("http://127.0.0.1:9/").then(() => "sent", (error) => error.name)`);
    assert.equal(refused, "TypeError");
    // It is the page's own policy that refuses, not only the missing network.
    assert.match(complaints.join("\n"), /Content Security Policy/);
  },
};

/** Gives the page a trust file through its button; without a proof there is nothing to show yet. */
async function dropTrustFirst(name) {
  const { root } = await browser.send("DOM.getDocument");
  const { nodeId } = await browser.send("DOM.querySelector", { nodeId: root.nodeId, selector: "#trust" });
  const named = browser.run(`new Promise((resolve) => new MutationObserver(() => resolve())
    .observe(document.getElementById("trust-name"), { childList: true }))`);
  await browser.send("DOM.setFileInputFiles", { nodeId, files: [resolve(files, name)] });
  await named;
}

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await open();
    await test();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}

// Printed, not asserted: a busy machine is slow.
await open();
await dropTrustFirst("trust.json");
const took = [];
for (let n = 0; n < 20; n += 1) {
  await drop("ten.passport");
  took.push(Number(await browser.run(`document.getElementById("result").dataset.took`)));
}
took.sort((a, b) => a - b);
console.log(`a passport of ten events verifies in ${took[10].toFixed(1)} ms (median of 20, the worst ${took[19].toFixed(1)} ms)`);

clearTimeout(late);
const ended = new Promise((resolve) => browser.process.once("exit", resolve));
browser.session = undefined;
browser.send("Browser.close").catch(() => {});
await ended;
rmSync(profile, { recursive: true, force: true });
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
