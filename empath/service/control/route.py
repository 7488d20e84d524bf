"""
What would happen to mail for an address. Nothing is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from empath.control.serving import Answers, Call, Refused
from empath.control.terms.delivery import LookUpRoute, RouteAnswer
from empath.deliver.looking import Way
from empath.deliver.routing import Routing
from empath.errors import StorageError
from empath.mail.address import Address, parse_address
from empath.policy.mailbox import key_of
from empath.policy.quantity import written_rate
from empath.policy.relay import RelayPolicy
from empath.policy.return_path import ReturnPaths
from empath.queue.standing import Standings, Terms
from empath.report.suppression import Suppression
from empath.service.control import rates
from empath.service.control.ways import Ways, hold_row, host_rows, trouble_of

_OURS: Final = "taken: an address that we made"
_OVERRIDE: Final = "these hosts were set by hand: dns remove-override {name} takes that back"
_SUPPRESSED: Final = "mail of our own side for it fails at once, as the suppression list says: {why}"


class RouteControl:
    """
    Answers from the parts that mail meets on its way out. `relay` tells the policy in force, and what becomes of the
    recipients of our domains in words; `answers` whether an address is one that we made, `paths` how reverse-paths are
    rewritten.
    """

    def __init__(
        self,
        routing: Routing,
        ways: Ways,
        standings: Standings,
        suppression: Suppression,
        relay: Callable[[], tuple[RelayPolicy, str]],
        answers: Callable[[Address], bool],
        paths: Callable[[], ReturnPaths],
    ) -> None:
        self._routing = routing
        self._ways = ways
        self._standings = standings
        self._suppression = suppression
        self._relay = relay
        self._made = answers
        self._paths = paths

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {LookUpRoute: self._look_up}

    async def _look_up(self, request: LookUpRoute, call: Call) -> RouteAnswer:
        address = _address(request.address)
        way = await self._ways.find(address.domain)
        name, route = self._routing.name_of(address.domain), self._routing.find(address.domain)
        override = name in self._routing.overridden
        site = "" if way is None else way.site
        terms, hold = self._standings.terms_of(site, address.domain), self._standings.at(site, address.domain)
        accepted, notes = self._judged(address)
        if override:
            notes.append(_OVERRIDE.format(name=name))
        suppressed, said = await self._suppressed(address)
        notes += said + self._more(address, way)
        return RouteAnswer(
            request.address,
            address.domain,
            accepted,
            route.strategy,
            name,
            override,
            site,
            () if way is None else host_rows(way),
            self._limits(terms, way),
            None if hold is None else hold_row(hold),
            suppressed,
            tuple(notes),
        )

    def _judged(self, address: Address) -> tuple[str, list[str]]:
        """
        Tell how the recipient is judged at RCPT, and what there is to know of that.
        """
        relay, recipients = self._relay()
        if self._made(address):
            return _OURS, ["it is read here, or goes to whom it stands for"]
        verdict = relay.judge(False, address)
        if verdict is None:
            return "local domain", [] if key_of(address)[0] == "postmaster" else [recipients]
        if address.domain in relay.domains:
            return f"refused from outside: {verdict.reply}", [recipients]
        return f"refused from outside: {verdict.reply}", ["from trusted networks and logins it is relayed"]

    async def _suppressed(self, address: Address) -> tuple[bool, list[str]]:
        """
        Tell whether it is on the suppression list, and what there is to know of that.
        """
        try:
            entry = await self._suppression.find(address)
        except StorageError as error:
            return False, [f"the suppression list cannot be read: {error}"]
        if entry is None:
            return False, []
        on = self._suppression.enabled
        return True, [_SUPPRESSED.format(why=entry.why or "unknown") if on else "the suppression list is off"]

    def _more(self, address: Address, way: Way | None) -> list[str]:
        """
        Tell what else matters.
        """
        notes = []
        trouble = trouble_of(way)
        if trouble:
            end = (
                "mail for it fails" if way is not None and way.failure is not None and trouble[0] == "5" else "it waits"
            )
            notes.append(f"{end}: {trouble}")
        if way is not None and len({each.preference for each in way.stops}) < len(way.stops) and not way.route.hosts:
            notes.append("hosts of one preference are tried in another order each time")
        if way is not None and way.route.pool:
            notes.append(f'it leaves from the pool "{way.route.pool}"')
        paths = self._paths()
        if address.domain not in paths.ours:
            if paths.srs is not None:
                notes.append(f"forwarded mail leaves with a reverse-path at {paths.srs.domain} (SRS)")
            if paths.verp is not None:
                notes.append("mail of our senders leaves with reverse-paths that name their recipients (VERP)")
        return notes

    def _limits(self, terms: Terms, way: Way | None) -> dict[str, str]:
        """
        Tell the limits in force, each in words.
        """
        limits, section = terms.limits, self._standings.section
        found: dict[str, str] = {}
        most = limits.max_connections
        found["connections"] = str(section.connection_pool.max_per_server if most is None else most)
        messages = None if way is None else way.route.max_messages
        found["messages a connection"] = str(messages or section.connection_pool.max_messages)
        if limits.count:
            found["rate"] = written_rate(limits.count, limits.seconds)
        elif terms.rate is not None:
            found["rate"] = f"{rates.written(terms.rate)} (default)"
        if section.rate_limits.global_.count:
            found["rate of all mail"] = rates.written(section.rate_limits.global_)
        if terms.connections is not None:
            found["shaped connections"] = str(terms.connections)
        if terms.shaped_rate is not None:
            found["shaped rate"] = f"{terms.shaped_rate:.3g}/s"
        if terms.state != "closed":
            found["circuit"] = terms.state
        return found


def _address(text: str) -> Address:
    """
    Read an address, or a domain, of which the postmaster is meant.
    """
    text = text.strip().removeprefix("<").removesuffix(">")
    try:
        address = parse_address(text if "@" in text else f"postmaster@{text}", utf8=True)
    except ValueError as error:
        raise Refused(f"address: {error}") from error
    if not address.domain:
        raise Refused("address: it has no domain")
    return address
