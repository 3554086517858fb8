// What the official client of Node sees. Each check is made with the library's own types; one that held is a line.
// `config` stands before this text: base, model and key say who is asked, checks what, tools whether its template has a
// place for them, retries how often the client may try again by itself.
import assert from "node:assert/strict";
import OpenAI from "openai";

const FRANCE = [
  { role: "system", content: "You are a helpful assistant." },
  { role: "user", content: "What is the capital of France?" },
];
const CITIES = ["Paris", "Rome"];
const WEATHER = {
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string", enum: CITIES } },
      required: ["city"],
      additionalProperties: false,
    },
  },
};
// SmolLM2-135M's width.
const WIDTH = 576;

const { model } = config;
const client = new OpenAI({ baseURL: config.base, apiKey: config.key, maxRetries: config.retries, timeout: 90_000 });
const question = { model, temperature: 0, seed: 7, max_tokens: 24, messages: FRANCE };
// One call, and enough tokens for all of it.
const required = {
  ...question,
  messages: [{ role: "user", content: "What is the weather in Paris?" }],
  tools: [WEATHER],
  tool_choice: "required",
  parallel_tool_calls: false,
  max_tokens: 96,
};

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

function bySchema(name, text) {
  const said = JSON.parse(text);
  assert.equal(name, "weather");
  assert.deepEqual(Object.keys(said), ["city"]);
  assert.ok(CITIES.includes(said.city), text);
}

function agree(one, other) {
  assert.equal(one.length, other.length);
  one.forEach((value, i) => assert.ok(Math.abs(value - other[i]) < 1e-4, `${value} and ${other[i]} at ${i}`));
}

const checks = {
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert.deepEqual(ids, [model]);
    const { id, object } = await client.models.retrieve(model);
    assert.deepEqual([id, object], [model, "model"]);
    // The library encodes the slash.
    await refused(OpenAI.NotFoundError, "model_not_found", () => client.models.retrieve("lab/another"));
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
    const ask = (tool_choice) => client.chat.completions.create({ ...required, tool_choice });
    if (!config.tools) return refused(OpenAI.BadRequestError, null, () => ask("auto"));
    // Here the model may call or not: the requests are accepted, and each answer is one.
    for (const choice of ["auto", "none"]) {
      const { message } = (await ask(choice)).choices[0];
      assert.ok(message.content || message.tool_calls?.length, JSON.stringify(message));
    }
    const [whole] = (await ask("required")).choices;
    assert.equal(whole.finish_reason, "tool_calls");
    assert.equal(whole.message.tool_calls.length, 1);
    const [call] = whole.message.tool_calls;
    assert.ok(call.id && call.type === "function", JSON.stringify(call));
    bySchema(call.function.name, call.function.arguments);

    let [name, text, pieces, reason] = ["", "", 0, null];
    for await (const chunk of await client.chat.completions.create({ ...required, stream: true })) {
      for (const { delta, finish_reason } of chunk.choices) {
        reason = finish_reason ?? reason;
        for (const piece of delta.tool_calls ?? []) {
          assert.equal(piece.index, 0);
          name += piece.function.name ?? "";
          text += piece.function.arguments ?? "";
          pieces += 1;
        }
      }
    }
    assert.ok(reason === "tool_calls" && pieces > 1, `${reason}, ${pieces} pieces`);
    bySchema(name, text);
  },

  // An object serves chats or makes embeddings, and says which.
  async embeddings() {
    await refused(OpenAI.NotFoundError, "wrong_mode", () => client.embeddings.create({ model, input: CITIES }));
  },

  async no_chat() {
    await refused(OpenAI.NotFoundError, "wrong_mode", () => client.chat.completions.create(question));
  },

  async vectors() {
    const ask = async (input, more) => (await client.embeddings.create({ model, input, ...more })).data;
    for (const input of [CITIES[0], CITIES]) {
      // Without a format the library asks for base64, and decodes it.
      const packed = await ask(input);
      const plain = await ask(input, { encoding_format: "float" });
      assert.equal(packed.length, input === CITIES ? CITIES.length : 1);
      assert.equal(plain.length, packed.length);
      packed.forEach((one, i) => {
        assert.ok(one.index === i && one.embedding.length === WIDTH && one.embedding.some((value) => value !== 0));
        agree(one.embedding, plain[i].embedding);
      });
      if (input === CITIES) assert.notDeepEqual(plain[0].embedding, plain[1].embedding);
    }
    const [raw] = await ask(CITIES[0], { encoding_format: "base64" });
    assert.equal(typeof raw.embedding, "string");
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
