"""A server of FastMCP for Python by its own defaults, over stdio, or over HTTP on the port that HTTP_PORT names."""

import os

from fastmcp import FastMCP

server = FastMCP("fast", version="7.8.9")


@server.tool
def echo(text: str) -> str:
    """Says it again."""
    return text


if port := os.environ.get("HTTP_PORT"):
    server.run("http", port=int(port))
else:
    server.run()
