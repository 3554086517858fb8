// What the official client of Node sees. Each check is made with the library's own types; one that held is a line.
// `config` stands before this text: base, model and key say who is asked, checks what, tools what the
// engine can do, retries how often the client may try again by itself.
import assert from "node:assert/strict";
import OpenAI from "openai";

const FRANCE = [
  { role: "system", content: "You are a helpful assistant." },
  { role: "user", content: "What is the capital of France?" },
];
const WEATHER = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const { model } = config;
const client = new OpenAI({ baseURL: config.base, apiKey: config.key, maxRetries: config.retries, timeout: 90_000 });
const question = { model, temperature: 0, seed: 7, max_tokens: 24, messages: FRANCE };

/** `ask` must end in this class of error with this code. */
async function refused(kind, code, ask) {
  const answer = await ask().then(
    (answer) => assert.fail(`expected ${kind.name} ${code}, got ${JSON.stringify(answer)}`),
    (error) => error,
  );
  assert.ok(answer instanceof kind, `expected ${kind.name}, got ${answer}`);
  assert.equal(answer.code ?? null, code);
  assert.ok(answer.requestID);
}

const checks = {
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert.deepEqual(ids, [model]);
  },

  async chat() {
    const answer = await client.chat.completions.create(question);
    assert.match(answer.choices[0].message.content, /Paris/);
    assert.ok(["stop", "length"].includes(answer.choices[0].finish_reason));
    assert.equal(answer.model, model);
    assert.ok(answer._request_id);
    assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
  },

  async stream() {
    const options = { stream: true, stream_options: { include_usage: true } };
    let [text, pieces, usage] = ["", 0, null];
    for await (const chunk of await client.chat.completions.create({ ...question, ...options })) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
      pieces += 1;
    }
    assert.match(text, /Paris/);
    assert.ok(pieces > 3 && usage.completion_tokens > 0, `${pieces} pieces, ${JSON.stringify(usage)}`);
  },

  async stream_helper() {
    const runner = client.chat.completions.stream(question);
    assert.match(await runner.finalContent(), /Paris/);
  },

  async tools() {
    const ask = (tool_choice) => client.chat.completions.create({ ...question, tools: [WEATHER], tool_choice });
    if (!config.tools) return refused(OpenAI.BadRequestError, null, () => ask("auto"));
    // So small a model calls no tool: the requests are accepted, and each answer is one.
    for (const choice of ["auto", "none", "required"]) {
      const { message } = (await ask(choice)).choices[0];
      assert.ok(message.content || message.tool_calls?.length, JSON.stringify(message));
    }
  },

  // An object serves chats or makes embeddings, and says which.
  async embeddings() {
    await assert.rejects(client.embeddings.create({ model, input: ["Paris", "Rome"] }), OpenAI.NotFoundError);
  },

  async errors() {
    const stranger = client.withOptions({ apiKey: "wrong" });
    await refused(OpenAI.AuthenticationError, "invalid_api_key", () => stranger.chat.completions.create(question));
    const elsewhere = { ...question, model: "another" };
    await refused(OpenAI.NotFoundError, "model_not_found", () => client.chat.completions.create(elsewhere));
  },

  async aborted() {
    const stream = await client.chat.completions.create({ ...question, max_tokens: 400, stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.id);
      break; // which aborts the request, so that the engine is free for the next one
    }
    const answer = await client.withOptions({ maxRetries: 5 }).chat.completions.create(question);
    assert.match(answer.choices[0].message.content, /Paris/);
  },
};

for (const name of config.checks) {
  await checks[name]();
  console.log(name);
}
