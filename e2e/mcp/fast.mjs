// An MCP server as somebody writes one with FastMCP of npm; it is baked into the clients' image.
// With HTTP_PORT it listens there, otherwise it reads its standard input.
import { FastMCP } from "fastmcp";
import { z } from "zod";

const server = new FastMCP({ name: "fast", version: "4.5.6" });
server.addTool({
  name: "echo",
  description: "Says it again",
  parameters: z.object({ text: z.string() }),
  execute: async ({ text }) => text,
});

const port = Number(process.env.HTTP_PORT);
await server.start(
  port ? { transportType: "httpStream", httpStream: { port, host: "127.0.0.1" } } : { transportType: "stdio" },
);
