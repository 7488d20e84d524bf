"""
The log lines about what mail rests on: look-ups that fail, and a spool that does.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, Logger

from empath.mail import life
from empath.mail.answer import Found, Security
from empath.observe.life import LifeEvents
from empath.observe.logs.lines import cut
from empath.observe.logs.rendering import Stamp


class GroundJournal:
    """
    Listens to life events of look-ups and of the spool, and logs them. `publish` is the log publisher.
    """

    __slots__ = ("_dns", "_spool")

    def __init__(self, publish: ILogObserver) -> None:
        self._dns = Logger("empath.dns", observer=publish)
        self._spool = Logger("empath.spool", observer=publish)

    def listen(self, events: LifeEvents) -> None:
        """
        Subscribe to all that makes a line.
        """
        events.subscribe(life.LookedUp, self._looked_up)
        events.subscribe(life.GroupCommitted, self._committed)
        events.subscribe(life.CleanupGivenUp, self._given_up)

    def _looked_up(self, event: life.LookedUp) -> None:
        answer = event.answer
        if answer.found is Found.FAILED and not event.cached:
            self._dns.warn(
                "look-up of {name} {rdtype} failed after {seconds:.2f} s: {detail}",
                name=answer.name,
                rdtype=answer.rdtype,
                seconds=event.seconds,
                detail=cut(answer.detail),
            )

        elif answer.security is Security.BOGUS and not event.cached:
            self._dns.warn(
                "{name} {rdtype} does not validate: {detail}",
                name=answer.name,
                rdtype=answer.rdtype,
                detail=cut(answer.detail),
            )

    def _committed(self, event: life.GroupCommitted) -> None:
        if event.error:
            self._spool.error(
                "a group of {size} changes could not be stored: {error}", size=event.size, error=event.error
            )

    def _given_up(self, event: life.CleanupGivenUp) -> None:
        self._spool.critical(
            "{queue_id}: content file could not be deleted in {attempts} attempts since {first_failure}, given up: "
            "{error}",
            queue_id=event.name,
            attempts=event.attempts,
            first_failure=Stamp()(event.first_failure),
            error=cut(event.error),
        )
