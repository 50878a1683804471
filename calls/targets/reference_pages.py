"""Requests pages of the app's lists from the reference service, as its web client does, and reads them."""

from __future__ import annotations

import msgspec

from calls.targets.lists import ListKind, Page, PageRequest

THREADS_PAGE = 100
THREAD_PAGE = 50
CALLS_PAGE = 50
"""Items per page: what the web client requests, or the service's default where it does not say."""


class _Last(msgspec.Struct, frozen=True):
    seq: int


class _Thread(msgspec.Struct, frozen=True):
    with_: str = msgspec.field(name="with")
    last: _Last


class _Threads(msgspec.Struct, frozen=True):
    threads: tuple[_Thread, ...]


class _Text(msgspec.Struct, frozen=True):
    seq: int
    from_: str = msgspec.field(name="from")


class _Texts(msgspec.Struct, frozen=True):
    messages: tuple[_Text, ...]


class _Call(msgspec.Struct, frozen=True):
    from_: str = msgspec.field(name="from")
    at_ms: int


class _Calls(msgspec.Struct, frozen=True):
    calls: tuple[_Call, ...]


_threads = msgspec.json.Decoder(_Threads)
_texts = msgspec.json.Decoder(_Texts)
_calls = msgspec.json.Decoder(_Calls)
REPLIES = frozenset({"thread.list", "thread.messages", "call.history"})
"""Types of the messages that carry a page."""


def request_of(look: PageRequest) -> tuple[str, dict[str, object]]:
    """Returns the type and the fields of the message that requests a page."""
    older: dict[str, object] = {} if look.before is None else {"before": look.before}
    if look.at is ListKind.THREADS:
        return "thread.list", {"limit": THREADS_PAGE, **older}
    if look.at is ListKind.THREAD:
        return "thread.read", {"with": look.person, "limit": THREAD_PAGE, **older}
    return "call.history", {"limit": CALLS_PAGE, **older}


def page_of(look: PageRequest, data: str | bytes) -> Page:
    """Returns the page in a reply. Raises msgspec.DecodeError when it is not one."""
    size_bytes = len(data)
    if look.at is ListKind.THREADS:
        threads = _threads.decode(data).threads
        people = tuple(thread.with_ for thread in threads)
        return Page(people, threads[-1].last.seq if len(threads) == THREADS_PAGE else None, size_bytes)
    if look.at is ListKind.THREAD:
        texts = _texts.decode(data).messages
        return Page(
            tuple(text.from_ for text in texts), texts[0].seq if len(texts) == THREAD_PAGE else None, size_bytes
        )
    calls = _calls.decode(data).calls
    return Page(tuple(call.from_ for call in calls), calls[-1].at_ms if len(calls) == CALLS_PAGE else None, size_bytes)
