"""
The counters behind `/metrics`, kept by listeners on life events.

A delivery (a message on its way to one domain) counts as one: delivered, failed (expired is failed too) or retrying.
"""

from __future__ import annotations

from typing import Final

from empath.config import schema
from empath.mail import life
from empath.mail.answer import Found, Security
from empath.mail.message import Status
from empath.mail.reply import Reply
from empath.mail.trace_context import is_sampled
from empath.observe.life import LifeEvents
from empath.observe.metrics import counts
from empath.observe.metrics.limits import LimitCounts
from empath.observe.metrics.modules import ModulesCounts
from empath.observe.metrics.safety import SafetyCounts

WELL_ENDED: Final = frozenset(
    {"quit", "lost"}
)  # all other reasons are a time-out, TLS trouble, a 421 or the error limit

LIMITS_BY_STATUS: Final = {
    "5.3.4": "size",
    "4.3.1": "disk",
    "4.5.3": "recipients",
    "5.4.6": "hops",
    "4.4.2": "time",
}
LIMITS_BY_TEXT: Final = {  # those that 421 4.7.0 and 454 4.7.0 tell of
    "too many connections": "connections",
    "too many connections from your network": "connections_of_client",
    "too many connections in a short time from your network": "connection_rate",
    "too many errors": "errors",
    "too many commands": "commands",
    "too many messages in one session": "messages",
    "too many failed logins, try again later": "logins",
    "you spoke before the greeting": "early_talker",
}
LIMITS: Final = sorted({*LIMITS_BY_STATUS.values(), *LIMITS_BY_TEXT.values()})
OURS: Final = ("", "core")  # who decides by our limits
AUTH_RESULTS: Final = {535: "failed", 454: "unavailable"}
_ENDED: Final = (Status.COMPLETED, Status.FAILED, Status.EXPIRED)
COMMANDS: Final = ("EHLO", "HELO", "MAIL", "RCPT", "DATA", ".")


class Metrics:
    """
    Counts since the start of the process. Read by `exposition.Exposition`; nothing here is ever set back.
    """

    __slots__ = (
        "auth_results",
        "cleanups_given_up",
        "command_durations",
        "commit_duration",
        "commit_size",
        "connections",
        "connections_closed",
        "connections_failed",
        "delivered",
        "dns_durations",
        "dns_errors",
        "dns_lookups",
        "dns_security",
        "dns_stale",
        "domains",
        "failed",
        "limit_counts",
        "limits",
        "message_size",
        "messages_discarded",
        "messages_received",
        "modules",
        "queue_age",
        "reports_dropped",
        "reports_queued",
        "retrying",
        "safety",
        "session_duration",
        "smtp_errors",
        "tls_versions",
    )

    def __init__(self, section: schema.Metrics) -> None:
        self.connections = self.connections_closed = self.connections_failed = self.messages_received = 0
        self.messages_discarded = 0
        self.modules = ModulesCounts()
        self.delivered = self.failed = self.retrying = 0
        self.cleanups_given_up = self.reports_queued = self.reports_dropped = 0
        self.smtp_errors = counts.Tally()
        self.auth_results = counts.Tally(known=("accepted", "failed", "refused", "unavailable"))
        self.tls_versions = counts.Tally(known=("failed",))
        self.limits = counts.Tally(known=LIMITS)
        self.session_duration = counts.Histogram(counts.DURATIONS)
        self.command_durations = counts.Histograms(counts.DURATIONS, known=COMMANDS)
        self.message_size = counts.Histogram(counts.SIZES)
        self.domains = counts.Domains(section.max_domain_cardinality, section.high_priority_domains)
        self.limit_counts = LimitCounts(self.domains)
        self.safety = SafetyCounts()
        self.queue_age = counts.Histogram(counts.AGES)
        self.dns_lookups = counts.Tally()
        self.dns_durations = counts.Histograms(counts.DURATIONS)
        self.dns_errors = counts.Tally(20)
        self.dns_security = counts.Tally()
        self.dns_stale = 0
        self.commit_duration = counts.Histogram(counts.COMMITS)
        self.commit_size = counts.Histogram(counts.BATCHES)

    def reconfigure(self, section: schema.Metrics) -> None:
        """
        Use the limits on domain labels of this section for domains not seen yet.
        """
        self.domains.configure(section.max_domain_cardinality, section.high_priority_domains)

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that is counted.
        """
        self.limit_counts.listen(events)
        self.safety.listen(events)
        events.subscribe(life.ConnectionOpened, self._opened)
        events.subscribe(life.ConnectionClosed, self._closed)
        events.subscribe(life.CommandAnswered, self._refused)
        events.subscribe(life.MessageDiscarded, self._discarded)
        events.subscribe(life.MessageReceived, self._received)
        events.subscribe(life.AttemptEnded, self._attempted)
        events.subscribe(life.ReportQueued, self._reported)
        events.subscribe(life.ReportDropped, self._dropped)
        events.subscribe(life.LookedUp, self._looked_up)
        events.subscribe(life.GroupCommitted, self._committed)
        events.subscribe(life.CleanupGivenUp, self._given_up)

    def command_took(self, verb: str, seconds: float) -> None:
        """
        Count how long a command waited for its reply; `verb` in upper case, "" for none known.
        """
        self.command_durations.observe(verb or "UNKNOWN", seconds)

    def _opened(self, event: life.ConnectionOpened) -> None:
        self.connections += 1

    def _closed(self, event: life.ConnectionClosed) -> None:
        self.connections_closed += 1
        if event.reason not in WELL_ENDED:
            self.connections_failed += 1
        self.session_duration.observe(event.seconds)
        session = event.session
        if session.tls:
            self.tls_versions.add(session.tls)
        elif event.reason == "tls":
            self.tls_versions.add("failed")
        if session.login:
            self.auth_results.add("accepted")

    def _refused(self, event: life.CommandAnswered) -> None:
        reply = event.reply
        self.smtp_errors.add(reply.code)
        if event.verb == "AUTH":
            self.auth_results.add(AUTH_RESULTS.get(reply.code, "refused"))
        limit = limit_of(reply)
        if limit and (event.decided_by in OURS or limit == "disk"):  # a module may say the same of limits of its own
            self.limits.add(limit)

    def _discarded(self, event: life.MessageDiscarded) -> None:
        self.messages_discarded += 1

    def _received(self, event: life.MessageReceived) -> None:
        if event.session is not None:
            self.messages_received += 1
            message = event.message
            trace = message.trace
            if trace and is_sampled(trace):
                self.message_size.observe_traced(message.size, trace_id_in(trace), message.received)
            else:
                self.message_size.observe(message.size)

    def _attempted(self, event: life.AttemptEnded) -> None:
        delivery, attempt = event.delivery, event.attempt
        domain = self.domains.of(delivery.domain)
        trace = event.message.trace
        if trace and is_sampled(trace):
            trace_id, now = trace_id_in(trace), attempt.ended
            domain.duration.observe_traced(attempt.ended - attempt.started, trace_id, now)
            self.queue_age.observe_traced(attempt.started - delivery.received, trace_id, now)
        else:
            domain.duration.observe(attempt.ended - attempt.started)
            self.queue_age.observe(attempt.started - delivery.received)
        self.limit_counts.attempted(attempt)
        self.safety.attempted(attempt, event.results)
        if delivery.status is Status.RETRY:
            domain.retry += 1
            self.retrying += 1
        elif delivery.status in _ENDED:
            self._ended(delivery.status, domain)
            domain.retries.observe(attempt.number - 1)

    def _ended(self, status: Status, domain: counts.DomainCounts) -> None:
        if status is Status.COMPLETED:
            domain.completed += 1
            self.delivered += 1
            return
        self.failed += 1
        if status is Status.FAILED:
            domain.failed += 1
        else:
            domain.expired += 1

    def _reported(self, event: life.ReportQueued) -> None:
        self.reports_queued += 1

    def _dropped(self, event: life.ReportDropped) -> None:
        self.reports_dropped += 1

    def _looked_up(self, event: life.LookedUp) -> None:
        answer = event.answer
        self.dns_lookups.add(answer.rdtype)
        if answer.stale:
            self.dns_stale += 1
        if event.cached:
            return
        if not answer.stale and (answer.found is not Found.FAILED or answer.security is not Security.UNCHECKED):
            self.dns_security.add(answer.security.value)  # a server's answer
        self.dns_durations.observe(answer.rdtype, event.seconds)
        if answer.found is Found.NO_NAME:
            self.dns_errors.add("nxdomain")
        elif answer.found is Found.FAILED:
            self.dns_errors.add(answer.detail.partition(":")[0] or "failed")

    def _committed(self, event: life.GroupCommitted) -> None:
        self.commit_duration.observe(event.seconds)
        self.commit_size.observe(event.size)

    def _given_up(self, event: life.CleanupGivenUp) -> None:
        self.cleanups_given_up += 1


def trace_id_in(traceparent: str) -> str:
    """
    Give the id of the trace that a traceparent of ours names.
    """
    return traceparent[3:35]


def limit_of(reply: Reply) -> str:
    """
    Name the limit that a refusal of ours speaks of, "" for none.
    """
    return LIMITS_BY_STATUS.get(reply.status) or LIMITS_BY_TEXT.get(reply.lines[0], "")
