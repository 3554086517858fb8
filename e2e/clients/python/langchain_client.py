"""What LangChain's ChatOpenAI sees. `config` stands before this text: base, model, key, tools and checks."""

from typing import Literal

import openai
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

FRANCE = [SystemMessage("You are a helpful assistant."), HumanMessage("What is the capital of France?")]


def chat_model(key=config["key"], max_tokens=24):
    return ChatOpenAI(
        base_url=config["base"],
        api_key=key,
        model=config["model"],
        temperature=0,
        max_tokens=max_tokens,
        max_retries=0,
        timeout=90,
    )


def refused(kind, ask):
    try:
        answer = ask()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, got {answer!r}")


def invoke():
    answer = chat_model().invoke(FRANCE)
    assert isinstance(answer, AIMessage) and "Paris" in answer.content, answer
    assert answer.usage_metadata["total_tokens"] > 0, answer.usage_metadata
    assert answer.response_metadata["finish_reason"] in ("stop", "length"), answer.response_metadata


def stream():
    pieces = list(chat_model().stream(FRANCE))
    assert len(pieces) > 3 and "Paris" in "".join(piece.content for piece in pieces), pieces


def chain():
    prompt = ChatPromptTemplate.from_messages([("system", "You are a helpful assistant."), ("user", "{question}")])
    asked = prompt | chat_model() | StrOutputParser()
    assert "Paris" in asked.invoke({"question": "What is the capital of France?"})


@tool
def weather(city: Literal["Paris", "Rome"]) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def tools():
    bound = chat_model(max_tokens=96).bind_tools([weather], tool_choice="required", parallel_tool_calls=False)
    question = "What is the weather in Paris?"
    if not config["tools"]:
        refused(openai.BadRequestError, lambda: bound.invoke(question))
        return
    message = bound.invoke(question)
    assert isinstance(message, AIMessage) and len(message.tool_calls) == 1, message
    # Its arguments fit the tool, which runs.
    result = weather.invoke(message.tool_calls[0])
    assert result.name == "weather" and result.content.startswith("sunny in "), result


def wrong_key():
    error = refused(openai.AuthenticationError, lambda: chat_model("wrong").invoke(FRANCE))
    assert error.code == "invalid_api_key", error


for check in config["checks"]:
    globals()[check]()
    print(check, flush=True)
