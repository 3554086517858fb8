// An MCP server as somebody writes one with the official package of the era with sessions; it is baked into the image of
// musl. It answers, tells of its one resource those who asked for that, and takes memory until it ends.
import { readFileSync } from "node:fs";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { ErrorCode, McpError, SubscribeRequestSchema, UnsubscribeRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";

const NOTE = "note://one";
// More than any limit of the tests: where there is none, the machine is not to suffer.
const MOST_MEBIBYTES = 2048;

const server = new McpServer({ name: "musl", version: "3.2.1" }, { capabilities: { resources: { subscribe: true } } });
const says = (text) => ({ content: [{ type: "text", text }] });
const inputSchema = { text: z.string() };

server.registerTool("echo", { description: "Says it again", inputSchema }, ({ text }) => says(text));

server.registerTool("process", { description: "Which process this is" }, () => says(String(process.pid)));

server.registerTool("mapped", { description: "The files that the process is made of" }, () => {
  const maps = readFileSync("/proc/self/maps", "utf8");
  return says([...new Set(maps.match(/\/\S+/g))].join(" "));
});

server.registerTool("exhaust", { description: "Takes memory until somebody ends the server" }, () => {
  const taken = [];
  // A mebibyte of numbers each, which the heap of JavaScript holds.
  while (taken.length < MOST_MEBIBYTES) taken.push(new Array(1 << 17).fill(Math.random()));
  return says("survived");
});

let note = "";
let subscribed = false;

server.registerResource("note", NOTE, { description: "What was written last" }, () => ({
  contents: [{ uri: NOTE, text: note }],
}));

server.registerTool("write", { description: "Writes the note", inputSchema }, async ({ text }) => {
  note = text;
  if (subscribed) await server.server.sendResourceUpdated({ uri: NOTE });
  return says("written");
});

const wants = (whether) => (request) => {
  if (request.params.uri !== NOTE) throw new McpError(ErrorCode.InvalidParams, "no such resource");
  subscribed = whether;
  return {};
};
server.server.setRequestHandler(SubscribeRequestSchema, wants(true));
server.server.setRequestHandler(UnsubscribeRequestSchema, wants(false));

await server.connect(new StdioServerTransport());
