"""Clients that call a tool as the revision without sessions asks, one call after the other, until a file is there.

`config` stands before this text: url and key say who is asked, clients how many keep their connection and how many make
one for each call, pause how many seconds lie between two calls of a client, until which file ends it, seconds when it ends
by itself. One JSON object says how many calls were answered, how many were not by what they came to instead, and the first
of these as they came. No call is made again: one that got no answer may have run, and is a failure.
"""

import http.client
import json
import os
import select
import threading
import time
from urllib.parse import urlsplit

VERSION = "2026-07-28"
META = {"protocolVersion": VERSION, "clientInfo": {"name": "e2e", "version": "1"}, "clientCapabilities": {}}
FIELDS = {
    "authorization": f"Bearer {config['key']}",
    "accept": "application/json, text/event-stream",
    "content-type": "application/json",
    "mcp-protocol-version": VERSION,
    "mcp-method": "tools/call",
    "mcp-name": "echo",
}
KEPT = 20

begun = time.monotonic()
where = urlsplit(config["url"])
lock = threading.Lock()
told = {"answered": 0, "failed": {}, "first": []}


class Failed(Exception):
    """What a call came to instead of its answer, in a word or two, and what was seen of it."""


def connected():
    try:
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
        connection.connect()
        return connection
    except OSError as error:
        raise Failed("connect", repr(error))


def was_left(connection):
    """Whether the server has ended a connection on which nothing is under way: every client makes another one then."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def message(answer, body):
    """The message of a whole answer, or the last one of a stream."""
    if answer.headers.get_content_type() == "text/event-stream":
        body = [line for line in body.splitlines() if line.startswith(b"data:")][-1].removeprefix(b"data:")
    return json.loads(body)


def call(connection, text):
    params = {"name": "echo", "arguments": {"text": text}}
    params["_meta"] = {f"io.modelcontextprotocol/{name}": value for name, value in META.items()}
    request = {"jsonrpc": "2.0", "id": text, "method": "tools/call", "params": params}
    try:
        connection.request("POST", where.path, json.dumps(request), FIELDS)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise Failed("request", repr(error))
    try:
        body = answer.read()
        said = message(answer, body)
    except (OSError, http.client.HTTPException, ValueError, IndexError) as error:
        raise Failed("answer", f"{answer.status} {error!r}")
    if answer.status != 200:
        retry = ", Retry-After" if answer.getheader("retry-after") else ""
        reason = said.get("error", {}).get("data", {}).get("reason")
        raise Failed(f"{answer.status} {reason}{retry}", body.decode())
    if "error" in said:
        raise Failed(f"error {said['error'].get('code')}", body.decode())
    if said.get("id") != text or said["result"]["content"][0]["text"] != text:
        raise Failed("another answer", body.decode())


def count(name, failed):
    kind, seen = failed.args
    with lock:
        told["failed"][kind] = told["failed"].get(kind, 0) + 1
        if len(told["first"]) < KEPT:
            told["first"].append(f"{time.monotonic() - begun:.3f} s, {name}: {kind}: {seen[:300]}")


def calls(name, keeps):
    connection, number = None, 0
    while not os.path.exists(config["until"]) and time.monotonic() < begun + config["seconds"]:
        number += 1
        stays = keeps
        try:
            if connection is None or was_left(connection):
                connection = connected()
            call(connection, f"{name}-{number}")
            with lock:
                told["answered"] += 1
        except Failed as failed:
            count(name, failed)
            stays = False
            time.sleep(0.2)
        if connection is not None and not stays:
            connection.close()
            connection = None
        time.sleep(config["pause"])


clients = [
    threading.Thread(target=calls, args=(f"{way}{number}", way == "kept"))
    for way, count in config["clients"].items()
    for number in range(count)
]
for client in clients:
    client.start()
for client in clients:
    client.join()
print(json.dumps(told))
