"""
The HTTP session that OpenTelemetry's exporters use to reach a collector. This module needs `requests`: it is imported
only where something is exported.

The exporters would try again themselves, asleep in the thread, take a redirection for success, and log on their own:
here all that is no answer of success is raised, so that they give up at once, and whoever sends judges by `sent`.

Redirections are not followed, and neither proxies, logins nor headers are taken from the environment: what the operator
wrote is where everything goes, and nobody else gets the headers.
"""

from __future__ import annotations

import contextlib
import email.utils
import io
import logging
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import requests
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from urllib3.exceptions import HTTPError

from empath import __version__
from empath.observe.export.destination import Destination, Signal
from empath.observe.export.sent import TAKEN, Sent
from empath.observe.export.timely import Timely

LATER: Final = (429, 502, 503, 504)  # those that the protocol has tried again; no others may be
TOO_LARGE: Final = 413
CONNECT: Final = 5.0  # seconds
ANSWER: Final = 10.0  # seconds of all of a request and its answer, once there is a connection
MOST_OCTETS: Final = 64 * 1024  # of an answer
MOST_SAID: Final = 200  # characters of what a collector says
LOGGER: Final = "opentelemetry.exporter.otlp.proto.http"
PROTOBUF: Final = "application/x-protobuf"
DESCRIBING: Final = ("content-encoding", "user-agent")


class NotTaken(Exception):
    """
    A collector did not take a request; `sent` tells why, and what is to be done.
    """

    def __init__(self, sent: Sent) -> None:
        super().__init__(sent.trouble)
        self.sent = sent


class CollectorSession(requests.Session):
    """
    Asks one collector; `sent` tells what became of the last request. Of the headers that it is given, which others of
    the environment are among, `headers` go along, and those that describe the content.
    """

    def __init__(self, signal: Signal, headers: Mapping[str, str]) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self.mount(scheme, Timely(ANSWER))
        self.sent = TAKEN
        self._signal = signal
        self._own = dict(headers)

    def request(self, method: Any, url: Any, *arguments: Any, **options: Any) -> requests.Response:
        """
        Make a request as the exporter asks for it, within our bounds. NotTaken for everything but success.
        """
        given = {name.lower(): value for name, value in options.get("headers", {}).items()}
        headers = {name: given[name] for name in DESCRIBING if name in given} | {"content-type": PROTOBUF} | self._own
        options |= {"headers": headers, "allow_redirects": False, "stream": True, "timeout": (CONNECT, ANSWER)}
        try:
            with super().request(method, url, *arguments, **options) as response:
                body = _body(response)
        except (requests.RequestException, OSError) as trouble:
            raise self._not_taken(_of_trouble(trouble)) from None
        if response.status_code // 100 != 2:
            told = response.headers
            after = _seconds(told.get("Retry-After", ""), told.get("Date", ""))
            raise self._not_taken(_of_code(response.status_code, after))
        self.sent = _partial(self._signal, response.headers.get("Content-Type", ""), body)
        taken = requests.Response()
        taken.status_code, taken.reason, taken.raw = response.status_code, response.reason, io.BytesIO(body)
        return taken

    def _not_taken(self, sent: Sent) -> NotTaken:
        self.sent = sent
        return NotTaken(sent)


class Ourselves(Resource):
    """
    Who we are. OpenTelemetry's encoders ask for the hash with every span, and its own is made of JSON each time.
    """

    def __init__(self, told: Mapping[str, str | int]) -> None:
        made = Resource.create(told)
        super().__init__(made.attributes, made.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class Sender:
    """
    Sends by one of OpenTelemetry's exporters, which `make` makes of its arguments.
    """

    def __init__(self, destination: Destination, signal: Signal, make: Callable[..., Any]) -> None:
        logging.getLogger(LOGGER).setLevel(logging.CRITICAL + 1)  # what it would say is in `sent`
        self._session = CollectorSession(signal, dict(destination.headers))
        self._exporter = make(
            endpoint=destination.url(signal),
            certificate_file=_trusted(),
            timeout=ANSWER,
            compression=Compression.Gzip,
            session=self._session,
        )
        self.resource = Ourselves(
            {
                "service.name": "empath",
                "service.version": __version__,
                "service.instance.id": destination.hostname,
                "host.name": destination.hostname,
                "process.pid": os.getpid(),
            }
        )

    def send(self, batch: Any) -> Sent:
        """
        Send what the exporter knows, and tell what became of it.
        """
        self._session.sent = Sent(trouble="it could not be encoded")
        try:
            self._exporter.export(batch)
        except NotTaken as trouble:
            return trouble.sent
        return self._session.sent


def _trusted() -> str | None:
    """
    Tell whose certificates count: those that OpenTelemetry's variable names, else the system's.
    """
    paths = ssl.get_default_verify_paths()
    return os.environ.get("OTEL_EXPORTER_OTLP_CERTIFICATE") or paths.cafile or paths.capath


def _body(response: requests.Response) -> bytes:
    """
    Read the beginning of an answer's body, as far as it comes in time: its code has told already what counts.
    """
    read = getattr(response.raw, "read1", response.raw.read)
    body = b""
    with contextlib.suppress(HTTPError, OSError):
        while len(body) < MOST_OCTETS and (more := read(MOST_OCTETS - len(body))):
            body += more
    return body


def _of_trouble(trouble: BaseException) -> Sent:
    """
    Tell what kept us from an answer, without what may be secret: requests' own words have headers in them.
    """
    if isinstance(trouble, requests.ConnectTimeout):
        return Sent(f"no connection in {CONNECT:.0f} s", again=True)
    if isinstance(trouble, requests.Timeout):
        return Sent(f"no answer in {ANSWER:.0f} s", again=True)
    again = isinstance(trouble, requests.ConnectionError | requests.exceptions.ChunkedEncodingError | OSError)
    return Sent(_words(trouble), again=again and not isinstance(trouble, ValueError))


def _words(trouble: BaseException) -> str:
    """
    Find the system's own words on why there is no connection.
    """
    cause: BaseException | None = trouble
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    name = type(trouble).__name__
    return "the connection broke" if name == "ConnectionError" else name


def _of_code(code: int, after: float) -> Sent:
    trouble = f"it answers {code}"
    if code == TOO_LARGE:
        return Sent(trouble, too_large=True)
    return Sent(trouble, again=code in LATER, after=after)


def _seconds(retry_after: str, date: str) -> float:
    """
    Read a Retry-After field (RFC 9110 §10.2.3): seconds, or a date, which counts from the one of the answer; 0.0 for
    neither.
    """
    text = retry_after.strip()
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        pause = email.utils.parsedate_to_datetime(text) - email.utils.parsedate_to_datetime(date)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, pause.total_seconds())


def _partial(signal: Signal, kind: str, body: bytes) -> Sent:
    """
    Read from a success how much was not taken all the same; what is no such answer tells of nothing.
    """
    if not kind.lower().startswith(PROTOBUF):
        return TAKEN
    try:
        match signal:
            case "traces":
                traces = ExportTraceServiceResponse.FromString(body).partial_success
                rejected, said = traces.rejected_spans, traces.error_message
            case "metrics":
                metrics = ExportMetricsServiceResponse.FromString(body).partial_success
                rejected, said = metrics.rejected_data_points, metrics.error_message
            case "logs":
                logs = ExportLogsServiceResponse.FromString(body).partial_success
                rejected, said = logs.rejected_log_records, logs.error_message
    except DecodeError:
        return TAKEN
    return Sent(lost=rejected, reason=f"it rejects some: {said[:MOST_SAID]!r}") if rejected > 0 else TAKEN
