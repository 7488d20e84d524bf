"""
A rate for each customer: so many recipients in a period, counted across restarts.

A customer is what the listener's `context` says (`context = { customer = "acme" }`), else the domain of the login, else
the login. Who is no customer is not limited. Periods follow the clock: "500/h" begins anew with each hour. The count is
in memory, and stored every few seconds: a crash forgets a few seconds, never a day.
"""

from __future__ import annotations

from zope.interface import implementer

from empath.modules import IModule, IServices, Recipient, Session, Transaction, Verdict, tempfail
from empath.modules.options import rate

KEY = "customer"


@implementer(IModule)
class CustomerRate:
    """
    `customers` gives rates by the customer's name, `default` the one of all others (0: none).
    """

    name = "customer-rate"

    def __init__(
        self, customers: dict[str, str] | None = None, default: str | int = 0, store_every: float = 5.0
    ) -> None:
        self.rates = {name: rate(text) for name, text in (customers or {}).items()}
        self.default = rate(default)
        self.store_every = store_every
        self.counts: dict[str, tuple[int, int]] = {}  # the period's number, and recipients in it
        self.changed: set[str] = set()

    async def start(self, services: IServices) -> None:
        """
        Read what was counted before the restart.
        """
        self.services = services
        for customer in await services.storage.keys(limit=100_000):
            stored = await services.storage.get(customer)
            if stored is not None:
                period, _, count = stored.partition(" ")
                self.counts[customer] = int(period), int(count)
        services.every(self.store_every, self.store)

    async def stop(self) -> None:
        """
        Store what was counted since the last time.
        """
        await self.store()

    def mail_from(self, session: Session, transaction: Transaction) -> None:
        """
        Say whose message this is: the delivery's log and other modules can read it.
        """
        customer = session.metadata.get(KEY) or session.login.rpartition("@")[2].lower()
        if customer:
            transaction.metadata[KEY] = customer

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> Verdict | None:
        """
        Count a recipient, or send the client away until the next period.
        """
        customer = transaction.metadata.get(KEY)
        if customer is None:
            return None
        allowed = self.rates.get(customer, self.default)
        if not allowed.count:
            return None
        period = int(self.services.clock.seconds() // allowed.seconds)
        last, count = self.counts.get(customer, (period, 0))
        if last != period:
            count = 0
        if count >= allowed.count:
            self.services.count("refused")
            return tempfail("451 4.7.1 your rate is used up, try again later", why=f"{customer}: {count} recipients")
        self.counts[customer] = period, count + 1
        self.changed.add(customer)
        return None

    async def store(self) -> None:
        """
        Write down what has changed; it expires with its period.
        """
        for customer in tuple(self.changed):
            self.changed.discard(customer)
            period, count = self.counts[customer]
            ends = (period + 1) * self.rates.get(customer, self.default).seconds
            if ends <= self.services.clock.seconds():
                del self.counts[customer]
                continue
            try:
                await self.services.storage.put(customer, f"{period} {count}", expires=ends)
            except Exception:  # whatever it was, the next time is soon
                self.changed.add(customer)
                raise
