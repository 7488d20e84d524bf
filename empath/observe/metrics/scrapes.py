"""
`/metrics`, for however many ask at once: one page is written at a time, for all who asked before it was begun.

A page that fails is told as a failure to those who waited for it.
"""

from __future__ import annotations

from prometheus_client.exposition import choose_encoder
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from empath.interfaces import InThread
from empath.observe.metrics.exposition import Exposition
from empath.observe.web.page import Asked, Page, Pages

Written = tuple[str, bytes]
Callers = list[Deferred[Page]]


class Scrapes:
    """
    Gauges are read here; the page, long with a thousand domains, is written by `in_thread`.
    """

    def __init__(self, exposition: Exposition, in_thread: InThread[Written]) -> None:
        self._exposition = exposition
        self._in_thread = in_thread
        self._waiting: dict[str, Callers] = {}  # by the format that they want
        self._writing = False

    def pages(self) -> Pages:
        """
        Give the page by its path.
        """
        return {b"/metrics": self.ask}

    def ask(self, asked: Asked) -> Deferred[Page]:
        """
        Give the page; who cancels does not wait for it any more.
        """
        callers = self._waiting.setdefault(_format_of(asked.accept), [])
        caller: Deferred[Page] = Deferred(lambda gone: callers.remove(gone) if gone in callers else None)
        callers.append(caller)
        if not self._writing:
            self._writing = True
            Deferred.fromCoroutine(self._write_all())
        return caller

    async def _write_all(self) -> None:
        while any(self._waiting.values()):
            waiting, self._waiting = self._waiting, {}
            for accept, callers in waiting.items():
                if callers:
                    _tell(callers, await self._written(accept))
        self._waiting.clear()
        self._writing = False

    async def _written(self, accept: str) -> Page | Failure:
        try:
            await self._exposition.look()
            readings = self._exposition.read()
            return Page(200, *await self._in_thread(lambda: self._exposition.page(readings, accept)))
        except Exception:
            return Failure()


def _format_of(accept: str) -> str:
    """
    Tell the format that an Accept field wants, in words that such a field has; "" for the usual one.
    """
    try:
        return choose_encoder(accept)[1]
    except (TypeError, ValueError):  # of a version that is no number
        return ""


def _tell(callers: Callers, told: Page | Failure) -> None:
    while callers:
        callers.pop().callback(told)  # a Failure too
