"""Sends a phrase in every place of a request where people write something. `config` stands before this text.

What comes back matters to nobody here; a line says that the requests of a place were sent and answered.
"""

import httpx
import openai

phrase, model = config["phrase"], config["model"]
client = openai.OpenAI(base_url=config["base"], api_key=config["key"], max_retries=0, timeout=90)
plain = httpx.Client(base_url=config["base"], headers={"authorization": f"Bearer {config['key']}"}, timeout=90)
saying = [{"role": "user", "content": f"Say {phrase}"}]


def refused(ask):
    try:
        ask()
    except openai.APIStatusError:
        return
    raise AssertionError("expected a refusal")


def tolerated(ask):
    """For what one engine answers and another refuses."""
    try:
        ask()
    except openai.BadRequestError:
        pass


def prompt():
    client.chat.completions.create(model=model, messages=saying, max_tokens=8)
    client.completions.create(model=model, prompt=phrase, max_tokens=8)


def stream():
    list(client.chat.completions.create(model=model, messages=saying, max_tokens=8, stream=True))


def broken_off():
    with client.chat.completions.create(model=model, messages=saying, max_tokens=200, stream=True) as events:
        next(iter(events))


def tool():
    call = {"id": phrase, "type": "function", "function": {"name": "look", "arguments": f'{{"for":"{phrase}"}}'}}
    answered = {"role": "tool", "tool_call_id": phrase, "content": phrase}
    told = saying + [{"role": "assistant", "content": "", "tool_calls": [call]}, answered]
    client.chat.completions.create(model=model, messages=told, max_tokens=8)
    look = {"type": "function", "function": {"name": "look", "description": phrase, "parameters": {"type": "object"}}}
    tolerated(lambda: client.chat.completions.create(model=model, messages=saying, tools=[look], max_tokens=8))


def too_long():
    long = [{"role": "user", "content": f"{phrase} " * 400}]
    refused(lambda: client.chat.completions.create(model=model, messages=long, max_tokens=8))


def wrong_key():
    refused(lambda: client.with_options(api_key=phrase).models.list())


def other_model():
    refused(lambda: client.chat.completions.create(model=phrase, messages=saying))


def remote_image():
    part = {"type": "image_url", "image_url": {"url": f"https://{phrase}.example.org/a.png"}}
    refused(lambda: client.chat.completions.create(model=model, messages=[{"role": "user", "content": [part]}]))


def query():
    assert plain.get("/models", params={"api_key": phrase}).status_code == 400


def path():
    assert plain.get(f"/models/{phrase}").status_code == 404


def fields():
    fields = {"cookie": f"session={phrase}", "user-agent": phrase, "x-request-id": phrase, "referer": f"https://{phrase}/"}
    assert plain.get("/models", headers=fields).status_code == 200


def broken_body():
    for body in (f'{{"model":"{model}","messages":[{{"role":"user","content":"{phrase}"', phrase, f'["{phrase}"]'):
        answer = plain.post("/chat/completions", content=body, headers={"content-type": "application/json"})
        assert 400 <= answer.status_code < 500, answer


for check in config["checks"]:
    globals()[check]()
    print(check, flush=True)
