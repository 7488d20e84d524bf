"""
Records as OpenTelemetry logs: OTLP over HTTP, in JSON, some at a time.

Nothing is fatal. Retried, with growing pauses: a collector that cannot be reached, or answers 429, 502, 503 or 504.
Counted as lost: what it refuses otherwise, whole requests or some records of one, and what the queue has no room for.
"""

from __future__ import annotations

import calendar
import time
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from empath.audit.outbox import Outbox
from empath.net.web_answer import Patience, WebAnswer
from empath.net.web_pool import WebPool

AT_ONCE: Final = 500  # records
MOST_OCTETS: Final = 2 * 1024 * 1024  # of records in a request: many servers refuse more than some MiB
LATER: Final = (0, 429, 502, 503, 504)  # no answer, and those that the protocol has tried again; no others may be
PAUSE: Final = (1.0, 60.0)  # seconds before the next try: at first, and at most
PATIENCE: Final = Patience(5.0, 10.0, 10.0)
LAST_WORDS: Final = 3.0  # seconds
INFO: Final = 9  # the severity number of the data model
PATH: Final = "/v1/logs"


class OtlpSink:
    """
    Sends records to the collector at `endpoint` ("http://localhost:4318").
    """

    def __init__(self, reactor: Any, pool: WebPool, endpoint: str, hostname: str) -> None:
        self._reactor = reactor
        self._pool = pool
        self._url = endpoint.rstrip("/") + PATH
        self._hostname = hostname
        self._outbox = Outbox("the OTLP collector")
        self._asking: Deferred[Any] | None = None
        self._timer: IDelayedCall | None = None
        self._pause = PAUSE[0]
        self._running = False

    @property
    def lost(self) -> int:
        """
        How many records did not go.
        """
        return self._outbox.lost

    def start(self) -> None:
        """
        See `Sink`.
        """
        self._running = True
        self._go()

    def send(self, lines: list[bytes]) -> None:
        """
        See `Sink`.
        """
        self._outbox.add(lines)
        self._go()

    async def stop(self) -> None:
        """
        See `Sink`.
        """
        bound = self._reactor.callLater(LAST_WORDS, self._end)
        while self._running and self._asking is not None:
            await self._asking
            self._go()
        if bound.active():
            bound.cancel()
        self._end()
        await self._pool.stop()
        self._outbox.end()

    def _end(self) -> None:
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _go(self) -> None:
        """
        Send some of what waits, unless some is under way, or the collector is to be left alone for a while.
        """
        resting = self._timer is not None and self._timer.active()
        if not self._running or self._asking is not None or resting or not self._outbox:
            return
        lines = self._outbox.take(AT_ONCE, MOST_OCTETS)
        body = msgspec.json.encode(logs_of(lines, self._hostname))
        fields = (("Content-Type", "application/json"),)
        asking = self._asking = self._pool.request("POST", self._url, fields, body, PATIENCE)
        asking.addCallbacks(self._answered, self._failed, callbackArgs=(lines,), errbackArgs=(lines,))
        asking.addBoth(self._over)
        if asking.called:
            self._asking = None

    def _over(self, _: object) -> None:
        self._asking = None
        self._reactor.callLater(0.0, self._go)

    def _answered(self, answer: WebAnswer, lines: list[bytes]) -> None:
        if answer.code // 100 == 2:
            self._pause = PAUSE[0]
            self._outbox.went()
            if rejected := rejected_in(answer.body):
                self._outbox.skip(min(rejected, len(lines)), "it rejects some of what it takes")
        elif answer.code in LATER:
            self._again(lines, answer.trouble or f"it answers {answer.code}")
        else:
            self._outbox.skip(len(lines), f"it answers {answer.code}")

    def _failed(self, failure: Any, lines: list[bytes]) -> None:
        self._again(lines, failure.getErrorMessage())

    def _again(self, lines: list[bytes], why: str) -> None:
        self._outbox.put_back(lines)
        self._outbox.failed(why)
        if self._running:
            self._timer = self._reactor.callLater(self._pause, self._go)
            self._pause = min(self._pause * 2, PAUSE[1])


def rejected_in(body: bytes) -> int:
    """
    Read from an ExportLogsServiceResponse how many records were not taken; 0 if it is something else.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer, strict=False)
    except msgspec.DecodeError:
        return 0
    return max(0, answer.partialSuccess.rejectedLogRecords) if answer.partialSuccess is not None else 0


class _Partial(msgspec.Struct):
    rejectedLogRecords: int = 0  # noqa: N815 the protocol names it


class _Answer(msgspec.Struct):
    partialSuccess: _Partial | None = None  # noqa: N815 the protocol names it


def logs_of(lines: list[bytes], hostname: str) -> dict[str, Any]:
    """
    Put records together as an ExportLogsServiceRequest: the body of each is the record as it stands in the file.
    """
    resource = {"attributes": [_attribute("service.name", "empath"), _attribute("host.name", hostname)]}
    records = [_log_of(line) for line in lines]
    scope = {"scope": {"name": "empath.audit"}, "logRecords": records}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def _log_of(line: bytes) -> dict[str, Any]:
    told = msgspec.json.decode(line)
    names = ("event", "actor", "result", "message_id")
    attributes = [_attribute(f"empath.audit.{name}", told[name]) for name in names if told.get(name)]
    attributes.append({"key": "empath.audit.seq", "value": {"intValue": str(told["seq"])}})
    return {
        "timeUnixNano": str(_nanoseconds(told["time"])),
        "severityNumber": INFO,
        "severityText": "INFO",
        "body": {"stringValue": line.decode().rstrip("\n")},
        "attributes": attributes,
    }


def _attribute(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {"stringValue": value}}


def _nanoseconds(text: str) -> int:
    """
    Read a time as records tell it, such as 2026-11-21T10:00:00.123Z.
    """
    seconds = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return seconds * 1_000_000_000 + int(text[20:23]) * 1_000_000
