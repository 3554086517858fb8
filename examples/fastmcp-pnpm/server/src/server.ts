// An MCP server of one's own: a tool that asks the model. In a sealed pod the address and the name of the model come by
// variables, OPENAI_BASE_URL and LLM_MODEL; OPENAI_API_KEY is a placeholder there, and the gate adds the real key.
import { FastMCP } from "fastmcp";
import OpenAI from "openai";
import { z } from "zod";

// Reads OPENAI_BASE_URL and OPENAI_API_KEY by itself.
const openai = new OpenAI({ timeout: 60_000 });
const model = process.env.LLM_MODEL ?? "assistant";

const server = new FastMCP({ name: "ask", version: "1.0.0" });

server.addTool({
  name: "ask",
  description: "Asks the model a question and returns its answer.",
  parameters: z.object({ question: z.string().max(4000) }),
  execute: async ({ question }) => {
    const answer = await openai.chat.completions.create({
      model,
      temperature: 0,
      max_tokens: 64,
      messages: [
        { role: "system", content: "You are a helpful assistant." },
        { role: "user", content: question },
      ],
    });
    return answer.choices[0]?.message.content ?? "";
  },
});

// Over standard input and output: bridge and gate make the endpoint.
await server.start({ transportType: "stdio" });
