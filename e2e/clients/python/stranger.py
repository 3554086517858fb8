"""What a pod sees that was not let in: no connection, whatever it asks. `config` stands before this text."""

import openai

for name, base in config["bases"].items():
    client = openai.OpenAI(base_url=base, api_key=config["key"], max_retries=0, timeout=3)
    try:
        answer = client.models.list()
    except openai.APIConnectionError:
        print(name, flush=True)
    else:
        raise SystemExit(f"expected no connection to {name}, got {answer!r}")
