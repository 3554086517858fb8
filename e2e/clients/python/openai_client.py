"""What the official client of Python sees. Each check is made with the library's own types; one that held is a line.

`config` stands before this text: base, model and key say who is asked, checks what, tools whether its template has a
place for them, retries how often the client may try again by itself.
"""

import array
import asyncio
import base64
import json
import math

import openai
from pydantic import BaseModel

FRANCE = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "What is the capital of France?"},
]
# One engine says it in a sentence, the other goes on until it may not.
ENDS = ("stop", "length")
CITIES = ["Paris", "Rome"]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": CITIES}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
ABOUT_WEATHER = [{"role": "user", "content": "What is the weather in Paris?"}]
# One call, and enough tokens for all of it.
REQUIRED = {
    "messages": ABOUT_WEATHER,
    "tools": [WEATHER],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_tokens": 96,
}
# SmolLM2-135M's width.
WIDTH = 576

model = config["model"]
client = openai.OpenAI(base_url=config["base"], api_key=config["key"], max_retries=config["retries"], timeout=90)


def refused(kind, code, ask):
    """Calls `ask`, which must end in this class of error with this code."""
    try:
        answer = ask()
    except kind as error:
        assert error.code == code, (error.code, str(error))
        assert error.request_id, error.response.headers
        return error
    raise AssertionError(f"expected {kind.__name__} {code}, got {answer!r}")


def ask(by=client, **more):
    order = {"messages": FRANCE, "max_tokens": 24} | more
    return by.chat.completions.create(model=model, temperature=0, seed=7, **order)


def models():
    assert [m.id for m in client.models.list()] == [model]
    one = client.models.retrieve(model)
    assert (one.id, one.object) == (model, "model"), one
    # The library encodes the slash.
    refused(openai.NotFoundError, "model_not_found", lambda: client.models.retrieve("lab/another"))


def chat():
    answer = ask()
    choice, usage = answer.choices[0], answer.usage
    assert "Paris" in choice.message.content, answer
    assert choice.finish_reason in ENDS and choice.message.role == "assistant", answer
    assert answer.model == model and answer._request_id, answer
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage


def stream():
    text, reasons, usage, pieces = "", [], None, 0
    for chunk in ask(stream=True, stream_options={"include_usage": True}):
        pieces += 1
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    assert "Paris" in text and len(reasons) == 1 and reasons[0] in ENDS and pieces > 3, (text, reasons, pieces)
    assert usage and usage.completion_tokens > 0, usage


def asynchronous():
    async def once():
        async with openai.AsyncOpenAI(base_url=config["base"], api_key=config["key"]) as by:
            answer = await ask(by)
            assert "Paris" in answer.choices[0].message.content, answer

    asyncio.run(once())


def completions():
    answer = client.completions.create(model=model, prompt="The capital of France is", temperature=0, max_tokens=8)
    assert answer.object == "text_completion" and answer.choices[0].text, answer


def structured():
    class City(BaseModel):
        city: str

    # The grammar makes it an object of that form; of what is in it so small a model is no judge.
    parsed = client.chat.completions.parse(
        model=model, temperature=0, max_tokens=64, messages=FRANCE, response_format=City
    )
    assert isinstance(parsed.choices[0].message.parsed, City), parsed


def tools():
    if not config["tools"]:
        # This engine refuses tools for a model whose template has none, and says so.
        refused(openai.BadRequestError, None, lambda: ask(tools=[WEATHER]))
        return
    # Here the model may call or not: each of these requests is accepted, and its answer is one.
    named = {"type": "function", "function": {"name": "weather"}}
    for choice in ("auto", "none", named):
        message = ask(tools=[WEATHER], tool_choice=choice, max_tokens=96).choices[0].message
        assert message.content or message.tool_calls, message
        assert all(call.function.name == "weather" for call in message.tool_calls or []), message

    choice = ask(**REQUIRED).choices[0]
    assert choice.finish_reason == "tool_calls" and len(choice.message.tool_calls) == 1, choice
    call = choice.message.tool_calls[0]
    assert call.id and call.type == "function", call
    by_the_schema(call.function.name, call.function.arguments)
    streamed_call()

    # A conversation with that call and its result goes on.
    sunny = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    after = ask(messages=[*ABOUT_WEATHER, choice.message, sunny], tools=[WEATHER], max_tokens=96)
    assert after.choices[0].message.role == "assistant", after


def streamed_call():
    name, arguments, reasons, pieces = "", "", [], 0
    for chunk in ask(stream=True, **REQUIRED):
        for choice in chunk.choices:
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                assert call.index == 0, chunk
                name += call.function.name or ""
                arguments += call.function.arguments or ""
                pieces += 1
    assert reasons == ["tool_calls"] and pieces > 1, (reasons, pieces)
    by_the_schema(name, arguments)


def by_the_schema(name, arguments):
    said = json.loads(arguments)
    assert name == "weather" and list(said) == ["city"] and said["city"] in CITIES, (name, arguments)


def embeddings():
    # An object serves chats or makes embeddings, and says which.
    refused(openai.NotFoundError, "wrong_mode", lambda: client.embeddings.create(model=model, input=CITIES))


def no_chat():
    refused(openai.NotFoundError, "wrong_mode", ask)


def vectors():
    for texts in (CITIES[0], CITIES):
        # Without a format the library asks for base64, and decodes it.
        packed = client.embeddings.create(model=model, input=texts)
        plain = client.embeddings.create(model=model, input=texts, encoding_format="float")
        for answer in (packed, plain):
            count = len(texts) if texts is CITIES else 1
            assert [one.index for one in answer.data] == list(range(count)), answer
            assert answer.usage.prompt_tokens > 0, answer.usage
        for one, other in zip(packed.data, plain.data, strict=True):
            assert len(one.embedding) == WIDTH and any(one.embedding), one
            agree(one.embedding, other.embedding)
    paris, rome = (one.embedding for one in plain.data)
    assert paris != rome

    raw = client.embeddings.create(model=model, input=CITIES[0], encoding_format="base64").data[0].embedding
    assert isinstance(raw, str), raw
    agree(array.array("f", base64.b64decode(raw)), paris)


def agree(one, other):
    assert len(one) == len(other)
    assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(one, other)), (one, other)


def errors():
    by = client.with_options(api_key="wrong")
    refused(openai.AuthenticationError, "invalid_api_key", lambda: ask(by))
    refused(openai.AuthenticationError, "invalid_api_key", lambda: by.models.list())
    elsewhere = lambda: client.chat.completions.create(model="another", messages=FRANCE)
    refused(openai.NotFoundError, "model_not_found", elsewhere)
    picture = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    remote = lambda: client.chat.completions.create(model=model, messages=[{"role": "user", "content": picture}])
    refused(openai.BadRequestError, "remote_url", remote)
    refused(openai.NotFoundError, "not_found", lambda: client.files.list())


for check in config["checks"]:
    globals()[check]()
    print(check, flush=True)
