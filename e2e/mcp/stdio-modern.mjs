// The fixture's stateless endpoint over standard streams: each line is a POST to it over a Unix socket, each message of
// the answer is a line. A cancelled request's connection is closed, as its revision asks.
import http from 'node:http';
import readline from 'node:readline';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
const socketPath = join(mkdtempSync(join(tmpdir(), 'fixture-')), 's');
process.env.PORT = socketPath;
console.log = (...args) => console.error(...args);
await import(new URL('./everything-server.ts', import.meta.url));
const open = new Map();
const out = (text) => process.stdout.write(text.replace(/\n/g, ' ') + '\n');
function ask(line) {
  const message = JSON.parse(line);
  if (message.method === 'notifications/cancelled') return void open.get(message.params?.requestId)?.destroy();
  const meta = message.params?._meta ?? {};
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', host: 'localhost',
    'mcp-method': message.method };
  const version = meta['io.modelcontextprotocol/protocolVersion'];
  if (version) headers['mcp-protocol-version'] = version;
  const name = message.params?.name ?? message.params?.uri;
  if (typeof name === 'string' && /^(tools\/call|prompts\/get|resources\/read)$/.test(message.method)) {
    headers['mcp-name'] = /^[\x21-\x7e]*$/.test(name) ? name : `=?base64?${Buffer.from(name).toString('base64')}?=`;
  }
  const request = http.request({ socketPath, path: '/mcp', method: 'POST', headers }, (answer) => {
    let text = '';
    answer.setEncoding('utf8');
    answer.on('data', (part) => {
      text += part;
      for (let end; (end = text.indexOf('\n')) >= 0; text = text.slice(end + 1)) {
        const one = text.slice(0, end).trim();
        const data = one.startsWith('data:') ? one.slice(5).trim() : one.startsWith('{') ? one : '';
        if (data) out(data);
      }
    });
    answer.on('end', () => { open.delete(message.id); if (text.trim().startsWith('{')) out(text.trim()); });
    answer.on('error', () => {});
  });
  request.on('error', () => {});
  if (message.id !== undefined) open.set(message.id, request);
  request.end(line);
}
readline.createInterface({ input: process.stdin }).on('line', (line) => line.trim() && ask(line)).on('close', () => process.exit(0));
