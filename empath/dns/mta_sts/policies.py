"""
What domains say by MTA-STS (RFC 8461): found by their records, fetched, kept in memory and in storage, refreshed.

Fatal: nothing. Retried: a policy that could not be fetched, for the same record not before five minutes. Until then,
and where the DNS fails, a domain has the policy that was fetched before and has not expired, else none (§3.3, §5.1).
What cannot be stored is logged: it lasts until the restart.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.dns.mta_sts.flight import Flight, in_force
from empath.dns.mta_sts.kept import DAY, Kept, KeptPolicies
from empath.errors import StorageError
from empath.interfaces import IResolver, IStorage, IStsPolicies
from empath.mail.address import parse_domain
from empath.mail.answer import Answer, Found
from empath.mail.life import Emit, TlsTried
from empath.policy.mta_sts import (
    FETCH_ERROR,
    Mode,
    StsPolicy,
    Unusable,
    record_version,
    restore_policy,
    write_policy,
)

PATIENCE: Final = 10.0  # seconds that usual mail waits for a policy: it holds a place that other mail may need
MOST_ASKED: Final = 200  # domains at a time; beyond that, who is slow is given up
FAILURE_PAUSE: Final = 300.0  # what §3.3 asks for
MOST_FAILURES: Final = 10_000
USED_WITHIN: Final = 30 * DAY  # what was not used for longer is not refreshed, and ages
AT_ONCE: Final = 10  # policies that are refreshed at a time
PAGE: Final = 500
REFRESH_INTERVAL: Final = 3600.0  # seconds

TOO_MANY: Final = Unusable(FETCH_ERROR, "given up for others, as it took long")

Fetch = Callable[[str, str], Awaitable[StsPolicy | Unusable]]
"""
Fetches the policy of a domain whose record has this id; bounded in time.
"""

log = Logger()


@implementer(IStsPolicies)
class StsPolicies:
    """
    Provides IStsPolicies. `restore` comes before anything else, `refresh` every REFRESH_INTERVAL, `stop` in the end.
    """

    def __init__(self, resolver: IResolver, fetch: Fetch, storage: IStorage, clock: IReactorTime, emit: Emit) -> None:
        self._resolver = resolver
        self._fetch = fetch
        self._storage = storage
        self._clock = clock
        self._emit = emit
        self._kept = KeptPolicies()
        self._failures: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._flights: dict[str, Flight] = {}
        self._stopped = False

    def policy_of(self, domain: str, patient: bool = False) -> StsPolicy | Deferred[StsPolicy | None] | None:
        """
        As `IStsPolicies.policy_of`. Each time the record is looked at, as the DNS cache or a server has it: no mail
        fails by a policy that was replaced (§5.1). Nobody waits for a policy that is fetched again to last longer, and
        only who is `patient` longer than `PATIENCE`.
        """
        now = self._clock.seconds()
        kept = self._kept.use(domain, now)
        flight = self._flights.get(domain)
        if flight is not None:
            told = (kept is not None and flight.refreshing) or (flight.slow and not patient)
            return in_force(kept) if told else flight.join(patient)
        if self._stopped or not domain or domain[0] == "[":
            return in_force(kept)
        asked = self._look_up(domain)
        if isinstance(asked, Answer) and not self._is_news(kept, self._worth_fetching(domain, asked, now), now):
            return in_force(kept)
        flight = Flight()
        caller = flight.join(patient)
        self._launch(domain, asked, flight)
        return caller

    def unsure(self, domain: str) -> bool:
        """
        As `IStsPolicies.unsure`: a record announces one, or cannot be looked up.
        """
        if not _is_host(domain) or self._kept.find(domain, self._clock.seconds()) is not None:
            return False
        asked = self._look_up(domain)
        return not isinstance(asked, Answer) or asked.found is Found.FAILED or bool(_announced(asked))

    async def restore(self) -> None:
        """
        Fetch what was stored.
        """
        now, after = self._clock.seconds(), ""
        try:
            while page := await self._storage.items(after, PAGE):
                for domain, text in page:
                    self._restore(domain, text, now)
                after = page[-1][0]
        except StorageError as error:
            log.error("MTA-STS policies cannot be read, they will be fetched again: {error}", error=error)

    async def refresh(self) -> None:
        """
        Fetch again what is a day old, or has come to half its age, so that no one policy expires while it is used: also
        if its record is gone, or somebody holds it back (§10.2).
        """
        due = self._kept.due(self._clock.seconds(), USED_WITHIN)
        while due and not self._stopped:
            batch, due = due[:AT_ONCE], due[AT_ONCE:]
            for each in [self._landing(domain) for domain in batch]:
                await each

    def stop(self) -> None:
        """
        Give up what is under way: who waits hears what is known.
        """
        self._stopped = True
        for flight in list(self._flights.values()):
            if flight.running is not None:
                flight.running.cancel()

    def _look_up(self, domain: str) -> Answer | Awaitable[Answer]:
        return self._resolver.lookup(f"_mta-sts.{domain}", "TXT")

    def _worth_fetching(self, domain: str, answer: Answer, now: float, unannounced: str = "") -> str:
        """
        Give the id of a record, or the one that stands in for it, that no fetch failed for lately; "" if there is none.
        """
        version = _announced(answer) or unannounced
        failed, since = self._failures.get(domain, ("", 0.0))
        return "" if version == failed and 0.0 <= now - since < FAILURE_PAUSE else version

    def _is_news(self, kept: Kept | None, version: str, now: float) -> bool:
        """
        Tell whether what a record announces is to be fetched.
        """
        if not version or kept is None:
            return bool(version)
        return version != kept.policy.version or kept.refresh_at <= now

    def _landing(self, domain: str) -> Deferred[None]:
        """
        Ask a domain, and wait for the end of it.
        """
        flight = self._flights.get(domain)
        landing: Deferred[None] = Deferred()
        if flight is not None:
            flight.ending.append(landing)
        else:
            self._launch(domain, self._look_up(domain), Flight(ending=[landing], aging=True))
        return landing

    def _launch(self, domain: str, asked: Answer | Awaitable[Answer], flight: Flight) -> None:
        if len(self._flights) >= MOST_ASKED:
            self._give_up_one()
        self._flights[domain] = flight
        flight.patience = self._clock.callLater(PATIENCE, self._hurry, domain, flight)
        flight.running = Deferred.fromCoroutine(self._learn(domain, asked, flight))
        flight.running.addErrback(_crashed, domain).addCallback(self._land, domain, flight)

    async def _learn(self, domain: str, asked: Answer | Awaitable[Answer], flight: Flight) -> None:
        answer = asked if isinstance(asked, Answer) else await asked
        now = self._clock.seconds()
        kept = self._kept.find(domain, now)
        version = self._worth_fetching(domain, answer, now, kept.policy.version if flight.aging and kept else "")
        if not _is_host(domain) or not self._is_news(kept, version, now):
            return
        if kept is not None and version == kept.policy.version:
            flight.refreshing = True
            flight.tell(kept)
        flight.version = version
        told = await self._fetch(domain, version)
        if isinstance(told, Unusable):
            self._missed(domain, version, told, announced=version == _announced(answer))
        else:
            await self._take(domain, told)

    def _give_up_one(self) -> None:
        """
        End what has taken long, and has no patient mail waiting: each is a connection that hangs.
        """
        for domain, flight in self._flights.items():
            if flight.slow and flight.version and not flight.patient and flight.running is not None:
                self._missed(domain, flight.version, TOO_MANY, announced=not flight.aging)
                flight.running.cancel()
                return

    def _hurry(self, domain: str, flight: Flight) -> None:
        flight.patience = None
        flight.hurry(self._kept.find(domain, self._clock.seconds()))

    def _land(self, _: object, domain: str, flight: Flight) -> None:
        del self._flights[domain]
        if flight.patience is not None:
            flight.patience.cancel()
        flight.tell(self._kept.find(domain, self._clock.seconds()))
        for each in flight.ending:
            if not each.called:
                each.callback(None)

    async def _take(self, domain: str, policy: StsPolicy) -> None:
        """
        Keep a policy that was fetched just now.
        """
        now = self._clock.seconds()
        before = self._kept.find(domain, now)
        kept = Kept(policy, now, now if before is None else before.used)
        gone = self._kept.put(domain, kept)
        self._failures.pop(domain, None)
        if before is None or before.policy != policy:
            log.info(
                "{domain}: MTA-STS policy {version}: {mode} for {age} s",
                domain=domain,
                version=policy.version,
                mode=policy.mode.value,
                age=policy.max_age,
            )
        try:
            await self._storage.put(domain, write_policy(policy, now), kept.expires)
            for other in gone:
                await self._storage.delete(other)
        except StorageError as error:
            log.warn("{domain}: the MTA-STS policy cannot be stored: {error}", domain=domain, error=error)

    def _missed(self, domain: str, version: str, trouble: Unusable, *, announced: bool) -> None:
        """
        Remember and tell that there is a record, and no policy for it (§3.3); nobody asks about one of mode "none", or
        that is announced no more.
        """
        now = self._clock.seconds()
        self._failures[domain] = (version, now)
        self._failures.move_to_end(domain)
        if len(self._failures) > MOST_FAILURES:
            self._failures.popitem(last=False)
        kept = self._kept.find(domain, now)
        if not announced or (kept is not None and kept.policy.mode is Mode.NONE):
            return
        lines, mx = ((), ()) if kept is None else (kept.policy.lines, kept.policy.mx)
        log.warn(
            "{domain}: the MTA-STS policy {version} cannot be used, {left}: {reason}",
            domain=domain,
            version=version,
            left="there is none" if kept is None else f"that of {kept.policy.version} holds on",
            reason=trouble.reason,
        )
        self._emit(TlsTried(domain, "sts", lines, mx, "", "", "", trouble.result, trouble.reason))

    def _restore(self, domain: str, text: str, now: float) -> None:
        restored = restore_policy(text)
        if restored is None:
            log.warn("{domain}: the stored MTA-STS policy cannot be read", domain=domain)
            return
        policy, fetched = restored
        kept = Kept(policy, min(fetched, now), now)
        if kept.expires > now:
            self._kept.put(domain, kept)


def _announced(answer: Answer) -> str:
    return record_version(answer.texts) if answer.found is Found.RECORDS else ""


def _is_host(domain: str) -> bool:
    """
    Tell whether a domain can be part of a URL.
    """
    try:
        return parse_domain(domain) == domain
    except ValueError:
        return False


def _crashed(failure: Failure, domain: str) -> None:
    if not failure.check(CancelledError):
        log.failure("{domain}: asking for its MTA-STS policy", failure, domain=domain)
