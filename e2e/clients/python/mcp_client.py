"""What the official MCP client sees. Each check is made with the package's own types; one that held is a line.

`config` stands before this text: url and key say who is asked, era how (`legacy`, `auto`), checks what, and the others
what is expected.
"""

import asyncio
import json

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult


def connected(key=config["key"], seconds=90):
    http = httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=httpx2.Timeout(seconds, connect=3))
    return Client(
        streamable_http_client(config["url"], http_client=http),
        mode=config["era"],
        read_timeout_seconds=seconds,
        elicitation_callback=tells_its_name,
    )


async def tells_its_name(context, params):
    return ElicitResult(action="accept", content={"name": config["phrase"]})


def causes(error):
    """The errors in a group of errors."""
    return [one for part in error.exceptions for one in causes(part)] if isinstance(error, BaseExceptionGroup) else [error]


async def call(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.content[0].text


async def who(client):
    assert [client.server_info.name, client.server_info.version] == config["server"], client.server_info
    assert client.protocol_version == config["protocol"], client.protocol_version


async def tools(client):
    names = sorted(tool.name for tool in (await client.list_tools()).tools)
    assert names == sorted(config["tools"]), names


async def echo(client):
    assert await call(client, "echo", text=config["phrase"]) == config["phrase"]


async def ask(client):
    answer = await call(client, "ask", question="What is the capital of France?")
    assert "Paris" in answer, answer


async def variables(client):
    lines = (await call(client, "variables")).splitlines()
    base = "http://127.0.0.1:11500/v1"
    for expected in (f"OPENAI_BASE_URL={base}", f"OPENAI_API_BASE={base}", f"LLM_MODEL={config['model']}"):
        assert expected in lines, lines
    assert config["model_key"] not in "\n".join(lines)


async def dial(client):
    for address, port in config["dial"]:
        stream, datagram = (await call(client, "dial", address=address, port=port)).split()
        assert stream in config["stream"] and datagram == "PermissionError", (address, port, stream, datagram)


async def elicits(client):
    """The server asks for a name in the middle of a call, and goes on with the answer."""
    result = await client.call_tool("trigger-elicitation-request", {})
    assert not result.is_error, result
    assert config["phrase"] in " ".join(part.text for part in result.content), result


async def refused(client, tool, **arguments):
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        assert error.code == -32602, error
    else:
        assert result.is_error, result


async def unknown(client):
    await refused(client, "no_such_tool")


async def files(client):
    """A server of files reads, writes nothing and stays in its directory."""
    assert config["phrase"] in await call(client, "read_text_file", path="/data/handbook.txt")
    await refused(client, "write_file", path="/data/more.txt", content="x")
    await refused(client, "read_text_file", path="/etc/passwd")


async def records(client):
    await call(client, "write", name=config["era"], text=config["phrase"])
    assert await call(client, "read", name=config["era"]) == config["phrase"]


async def turn(client):
    await call(client, "turn")


async def ends(client, tool):
    """The call during which the server ends gets an error, and nobody waits."""
    try:
        result = await client.call_tool(tool, {"late_seconds": config["late_seconds"]})
    except MCPError as error:
        assert error.code == -32603, error
    else:
        raise AssertionError(f"expected an error, got {result!r}")


async def die(client):
    await ends(client, "die")


async def exhaust(client):
    await ends(client, "exhaust")


async def exhausted(client):
    """It was begun once: nobody has made the call again."""
    times = await call(client, "exhausted")
    assert times == "1", times


async def attack(client):
    """What a server says that was asked to turn on its bridge."""
    print(await call(client, "attack", mark=config["mark"]))


async def inventory(client):
    print((await client.list_tools()).model_dump_json(by_alias=True, exclude_unset=True))


async def wrong_key():
    """Nobody with another key gets as far as a session."""
    try:
        async with connected("wrong"):
            pass
    except BaseException as error:
        told = [one.error.data for one in causes(error) if isinstance(one, MCPError)]
        assert told == [{"reason": "invalid_api_key"}], causes(error)
        return
    raise AssertionError("expected a refusal")


async def unreachable():
    """What a pod sees that was not let in: no connection."""
    try:
        async with connected():
            pass
    except BaseException as error:
        assert all(isinstance(one, httpx2.ConnectTimeout) for one in causes(error)), causes(error)
        return
    raise AssertionError("expected no connection")


async def status():
    """Past the package: what is answered over HTTP to one request of the revision without sessions."""
    version = "2026-07-28"
    fields = {
        "authorization": f"Bearer {config['key']}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "tools/list",
    }
    meta = {"protocolVersion": version, "clientInfo": {"name": "e2e", "version": "1"}, "clientCapabilities": {}}
    params = {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
    async with httpx2.AsyncClient(headers=fields, timeout=10) as http:
        answer = await http.post(config["url"], json=message)
    print(answer.status_code, json.dumps(answer.json()))


async def session():
    """Past the package: a session, each of whose messages comes over a connection of its own."""
    fields = {"authorization": f"Bearer {config['key']}", "accept": "application/json, text/event-stream"}
    about = {"protocolVersion": config["protocol"], "capabilities": {}, "clientInfo": {"name": "e2e", "version": "1"}}
    messages = [{"id": 0, "method": "initialize", "params": about}]
    messages += [{"id": number, "method": "ping"} for number in range(1, 21)]
    for message in messages:
        async with httpx2.AsyncClient(headers=fields, timeout=60) as http:
            answer = await http.post(config["url"], json={"jsonrpc": "2.0", **message})
        assert answer.status_code == 200, (message, answer.status_code, answer.text)
        if message["method"] == "initialize":
            fields["mcp-session-id"] = answer.headers["mcp-session-id"]
            fields["mcp-protocol-version"] = config["protocol"]


# What shows something instead of its name, and what begins without a connection.
SHOWN = ("attack", "inventory", "status")
ALONE = ("wrong_key", "unreachable", "session", "status")


async def main():
    within = [check for check in config["checks"] if check not in ALONE]
    if within:
        async with connected() as client:
            for check in within:
                await globals()[check](client)
                if check not in SHOWN:
                    print(check, flush=True)
    for check in ALONE:
        if check in config["checks"]:
            await globals()[check]()
            if check not in SHOWN:
                print(check, flush=True)


asyncio.run(main())
