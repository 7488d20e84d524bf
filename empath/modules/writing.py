"""
What modules write for empath: the text of reports, in the language of who reads them, say.

Nothing is fatal: a module that raises, or writes what is no text, is logged and counted, and the next one is asked, in
the end empath itself. The report is made in any case.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import attrs
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from empath.errors import ModuleError
from empath.mail.report_text import Draft, ReportText
from empath.modules.waiting import discard
from empath.modules.watch import Watch

HOOK: Final = "report_text"
LOG_INTERVAL: Final = 60.0  # seconds between two tracebacks

log = Logger()


class Author:
    """
    One module that writes; in shadow mode, what it writes is not used.
    """

    __slots__ = ("_counts", "_logged", "_watch", "_write")

    def __init__(self, watch: Watch, write: Callable[[Draft], Any]) -> None:
        self._watch = watch
        self._write = write
        self._counts = watch.counts.hook(HOOK)
        self._logged = -LOG_INTERVAL

    def text(self, draft: Draft) -> ReportText | None:
        """
        Ask it; never raises.
        """
        watch = self._watch
        began = watch.clock.seconds()
        message = attrs.evolve(draft.message, metadata=draft.message.metadata.copy())
        try:
            written = _read(self._write(attrs.evolve(draft, message=message)))
        except BaseException:  # SystemExit is no way out for a module either
            self._failed(Failure(), draft.message.queue_id)
            return None
        finally:
            self._counts.observe(max(0.0, watch.clock.seconds() - began))
        return None if watch.shadow else written

    def _failed(self, failure: Failure, queue_id: str) -> None:
        """
        Count it, and log it unless that has just been done. The module's breaker is for its judgement of mail.
        """
        now = self._watch.clock.seconds()
        self._counts.failed()
        if 0.0 <= now - self._logged < LOG_INTERVAL:
            return
        self._logged = now
        log.emit(
            LogLevel.error,
            "{queue_id}: module {module}: {hook} failed: {reason}",
            queue_id=queue_id,
            module=self._watch.name,
            hook=HOOK,
            reason=f"{type(failure.value).__name__}: {failure.getErrorMessage()}"[:500],
            log_failure=failure,
        )


class Authors:
    """
    The modules that write, in their order.
    """

    __slots__ = ("_authors",)

    def __init__(self) -> None:
        self._authors: tuple[Author, ...] = ()

    def use(self, authors: Iterable[Author | None]) -> None:
        """
        Ask these from now on.
        """
        self._authors = tuple([each for each in authors if each is not None])

    def text(self, draft: Draft) -> ReportText | None:
        """
        Give what the first one writes that has something to say.
        """
        for author in self._authors:
            written = author.text(draft)
            if written is not None:
                return written
        return None


def _read(answer: object) -> ReportText | None:
    if isinstance(answer, Awaitable):
        discard(answer)
        raise ModuleError("report_text has to answer at once")
    if isinstance(answer, str):
        return ReportText(answer)
    if answer is None or isinstance(answer, ReportText):
        return answer
    raise ModuleError(f"report_text gave a {type(answer).__name__}, and no ReportText")
