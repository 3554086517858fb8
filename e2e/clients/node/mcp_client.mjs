// What the official client of TypeScript sees. Each check is made with the package's own types; one that held is a line.
// `config` stands before this text: url and key say who is asked, era how (`legacy`, `auto`), checks what, and the others
// what is expected.
import assert from "node:assert/strict";
import { Client, ProtocolError, SdkHttpError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const INVALID_PARAMS = -32602;

async function connected(key = config.key) {
  const client = new Client(
    { name: "e2e", version: "1" },
    { capabilities: { elicitation: {} }, versionNegotiation: { mode: config.era } },
  );
  const tellsItsName = () => ({ action: "accept", content: { name: config.phrase } });
  client.setRequestHandler("elicitation/create", tellsItsName);
  const headers = { authorization: `Bearer ${key}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(config.url), { requestInit: { headers } }));
  return client;
}

const result = (client, name, args) => client.callTool({ name, arguments: args }, { timeout: 90_000 });

async function call(client, name, args) {
  const said = await result(client, name, args);
  assert.ok(!said.isError, JSON.stringify(said));
  return said.content[0].text;
}

const within = {
  async who(client) {
    const { name, version } = client.getServerVersion();
    assert.deepEqual([name, version], config.server);
    assert.equal(client.getNegotiatedProtocolVersion(), config.protocol);
  },
  async tools(client) {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.deepEqual(names.sort(), config.tools.toSorted());
  },
  async echo(client) {
    assert.equal(await call(client, "echo", { text: config.phrase }), config.phrase);
  },
  async ask(client) {
    const answer = await call(client, "ask", { question: "What is the capital of France?" });
    assert.match(answer, /Paris/);
  },
  async variables(client) {
    const text = await call(client, "variables", {});
    const base = "http://127.0.0.1:11500/v1";
    for (const expected of [`OPENAI_BASE_URL=${base}`, `OPENAI_API_BASE=${base}`, `LLM_MODEL=${config.model}`]) {
      assert.ok(text.split("\n").includes(expected), text);
    }
    assert.ok(!text.includes(config.model_key));
  },
  async dial(client) {
    for (const [address, port] of config.dial) {
      const [stream, datagram] = (await call(client, "dial", { address, port })).split(" ");
      assert.ok(config.stream.includes(stream), `${address} ${port} ${stream}`);
      assert.equal(datagram, "PermissionError");
    }
  },
  /** The server asks for a name in the middle of a call, and goes on with the answer. */
  async elicits(client) {
    const said = await result(client, "trigger-elicitation-request", {});
    assert.ok(!said.isError && JSON.stringify(said.content).includes(config.phrase), JSON.stringify(said));
  },
  async unknown(client) {
    const said = await result(client, "no_such_tool", {}).catch((error) => error);
    assert.ok(said instanceof ProtocolError ? said.code === INVALID_PARAMS : said.isError, said?.stack);
  },
};

const alone = {
  /** Nobody with another key gets as far as a session. */
  async wrong_key() {
    const error = await connected("wrong").catch((error) => error);
    assert.ok(error instanceof SdkHttpError && error.status === 401, error?.stack);
    assert.equal(JSON.parse(error.data.text).error.data.reason, "invalid_api_key");
  },
};

const inside = config.checks.filter((check) => check in within);
if (inside.length > 0) {
  const client = await connected();
  for (const check of inside) {
    await within[check](client);
    console.log(check);
  }
  await client.close();
}
for (const check of config.checks.filter((check) => check in alone)) {
  await alone[check]();
  console.log(check);
}
