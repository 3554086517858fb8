"""An MCP server whose tools ask a database, as somebody writes one with the official `mcp` package. It is baked into the
clients' image. The database is named by the variables of PostgreSQL's own programs; PORT is where it listens.
"""

import os

import pg8000.native
from mcp.server.mcpserver import MCPServer

server = MCPServer("records", version="1.0.0", log_level="ERROR")


def asked(query: str, **values: str) -> list:
    """The rows of an answer, over a connection of their own."""
    where = {name: os.environ[f"PG{name.upper()}"] for name in ("host", "user", "password", "database")}
    connection = pg8000.native.Connection(**where, timeout=10)
    try:
        connection.run("create table if not exists records (name text primary key, text text not null)")
        return connection.run(query, **values) or []
    finally:
        connection.close()


@server.tool()
def write(name: str, text: str) -> str:
    """Writes a record."""
    asked("insert into records values (:name, :text)", name=name, text=text)
    return "written"


@server.tool()
def read(name: str) -> str:
    """Reads a record."""
    rows = asked("select text from records where name = :name", name=name)
    return rows[0][0] if rows else "there is none"


server.run("streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]))
