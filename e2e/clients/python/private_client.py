"""What the official client of Python sees of a model behind TLS: for each credential the status and the error's code.

`config` stands before this text: base, model and credentials by name. The authority is in SSL_CERT_FILE.
"""

import socket
import ssl
from urllib.parse import urlsplit

import httpx
import openai

ASK = [{"role": "user", "content": "What is the capital of France?"}]


def tell(credential, **more):
    client = openai.OpenAI(base_url=config["base"], api_key=credential, max_retries=0, timeout=60, **more)
    try:
        client.chat.completions.create(model=config["model"], max_tokens=1, messages=ASK)
    except openai.APIStatusError as error:
        return f"{error.status_code} {error.code}"
    except openai.APIConnectionError as error:
        assert isinstance(error.__cause__, httpx.ConnectError), error.__cause__
        return "no connection"
    return "200"


for name, credential in config["credentials"].items():
    print(f"{name}: {tell(credential)}", flush=True)

# Trusts nobody.
nobody = httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
print(f"without trust: {tell('none', http_client=nobody)}", flush=True)

place = urlsplit(config["base"])
with socket.create_connection((place.hostname, place.port), timeout=10) as plain:
    with ssl.create_default_context().wrap_socket(plain, server_hostname=place.hostname) as tls:
        print(f"serial: {tls.getpeercert()['serialNumber']}", flush=True)
