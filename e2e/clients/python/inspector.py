"""What the MCP Inspector's command line sees, started as a program. `config` stands before this text: url and key say who
is asked, phrase what is said. A check that held is a line.

The key is in the arguments of a process of this pod, and so in no log of the API server.
"""

import json
import subprocess

INSPECTOR = ("/usr/bin/node", "/node_modules/.bin/mcp-inspector", "--cli")


def asked(key, *arguments):
    target = (config["url"], "--transport", "http", "--header", f"Authorization: Bearer {key}")
    # It keeps a catalogue in HOME, and the image's own is read-only.
    return subprocess.run(
        [*INSPECTOR, *target, *arguments], env={"HOME": "/tmp"}, capture_output=True, text=True, timeout=60
    )


def answer(*arguments):
    ran = asked(config["key"], *arguments)
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    return json.loads(ran.stdout)


def listed():
    names = sorted(tool["name"] for tool in answer("--method", "tools/list")["tools"])
    assert names == sorted(config["tools"]), names


def called():
    result = answer("--method", "tools/call", "--tool-name", "echo", "--tool-arg", f"text={config['phrase']}")
    assert not result.get("isError") and result["content"][0]["text"] == config["phrase"], result


for check in config["checks"]:
    globals()[check]()
    print(check, flush=True)
