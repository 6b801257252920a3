// Asks a node with jayson, over HTTP and over a WebSocket.
//
//     rpc.cjs FOLDER    FOLDER is where npm installed it
//
// Input and answer are those of rpc.py.

const { createRequire } = require("node:module");
const path = require("node:path");
const fs = require("node:fs");

const from = createRequire(path.join(process.argv[2], "x.js"));
const jayson = from("jayson");
const WebSocket = from("ws");

function outcome(response) {
  return response.error === undefined ? { result: response.result } : { error: response.error };
}

function ask(client, ...args) {
  return new Promise((done, failed) => {
    client.request(...args, (error, response) => (error ? failed(error) : done(response)));
  });
}

async function allOf(client, calls) {
  const alone = {};
  for (const call of calls) {
    alone[call.name] = outcome(await ask(client, call.method, call.params));
  }
  const batch = calls.map((call) => client.request(call.method, call.params, undefined, false));
  const names = new Map(batch.map((one, at) => [one.id, calls[at].name]));
  const together = {};
  for (const one of await ask(client, batch)) {
    together[names.get(one.id)] = outcome(one);
  }
  const { method, params } = calls[0];
  const silent = client.request(method, params, null, false);
  const spoken = client.request(method, params, "a text for an id", false);
  const answers = await ask(client, [silent, spoken]);
  return { alone, batch: together, answered: answers.map((one) => one.id) };
}

async function main() {
  const asked = JSON.parse(fs.readFileSync(0, "utf8"));
  const http = await allOf(jayson.client.http(asked.http), asked.calls);
  const ws = new WebSocket(asked.ws);
  await new Promise((done, failed) => ws.on("open", done).on("error", failed));
  const overSocket = await allOf(jayson.client.websocket({ ws }), asked.calls);
  ws.close();
  process.stdout.write(JSON.stringify({ http, ws: overSocket }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
