"""
The ways back in the service: reverse-paths of our making, what comes to them, and who gets no more mail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from empath.config.schema import Bounces, Config, Delivery
from empath.deliver.reports import ReportReader
from empath.deliver.return_paths import OutgoingPaths
from empath.deliver.smtp import SmtpAgent
from empath.errors import ConfigError
from empath.interfaces import ISpool
from empath.mail.address import canonical_domain, parse_address
from empath.mail.life import Emit
from empath.mail.reply import Reply
from empath.modules.builtin.returns import Returns
from empath.modules.builtin.suppressed import SuppressedRecipients
from empath.policy.bounce import Classifier
from empath.policy.incoming import Incoming
from empath.policy.mailbox import read_mailbox
from empath.policy.return_path import ReturnPaths
from empath.policy.seal import Seals
from empath.policy.srs import Srs
from empath.policy.verp import Verp
from empath.report.suppression import Suppression


@attrs.frozen(slots=True, eq=False)
class Returning:
    """
    The parts, wired: `paths` makes reverse-paths, `returns` judges what comes to them, `reader` reads it; `suppression`
    is the list, which `refusing` looks at in sessions.
    """

    paths: OutgoingPaths
    returns: Returns
    reader: ReportReader
    suppression: Suppression
    refusing: SuppressedRecipients

    def use_in(self, agent: SmtpAgent) -> None:
        """
        Have mail leave with reverse-paths of ours, if there are any.
        """
        paths = self.paths.paths
        agent.return_paths = None if paths.srs is None and paths.verp is None else self.paths

    def prepare(self, config: Config) -> Callable[[], None]:
        """
        Read another configuration, and give what has it used, all but in the agent; ConfigError if it cannot be.
        """
        section, ours = config.delivery, _ours(config)
        paths, incoming, classify = _read(section, ours)

        def use() -> None:
            self.paths.paths = paths
            self.returns.use(incoming)
            self.reader.incoming, self.reader.classify = incoming, classify
            self.suppression.reconfigure(section.suppression)
            self.suppression.ours = ours

        return use

    async def restore(self) -> None:
        """
        Begin to read the suppression list; nobody waits for it.
        """
        self.suppression.start()

    async def stop(self) -> None:
        """
        Finish what is being written.
        """
        await self.paths.stop()
        await self.suppression.stop()


def make_returning(config: Config, clock: Any, spool: ISpool, storages: Any, emit: Emit) -> Returning:
    """
    Make them; ConfigError for what cannot be used.
    """
    ours = _ours(config)
    paths, incoming, classify = _read(config.delivery, ours)
    storage = storages.of(".returns")
    suppression = Suppression(config.delivery.suppression, storages.of(".suppression"), clock, emit, ours)
    reader = ReportReader(incoming, config.hostname, spool.open_body, storage, clock, classify, suppression.heard, emit)
    return Returning(
        OutgoingPaths(paths, clock, storage),
        Returns(incoming, storage, clock),
        reader,
        suppression,
        SuppressedRecipients(suppression.suppressed),
    )


def _ours(config: Config) -> frozenset[str]:
    return frozenset(canonical_domain(each) for each in config.relay.domains)


def _read(section: Delivery, ours: frozenset[str]) -> tuple[ReturnPaths, Incoming, Callable[[Reply], str]]:
    """
    Read what [delivery] says of ways back.
    """
    try:
        srs, verp = _srs(section), _verp(section, ours)
        feedback = frozenset(read_mailbox(each) for each in section.feedback.addresses)
        postmaster = parse_address(section.dsn.postmaster, utf8=True) if section.dsn.postmaster else None
    except ValueError as error:
        raise ConfigError([f"delivery: {error}"]) from error
    incoming = Incoming(ours, srs, verp, feedback, postmaster)
    return ReturnPaths(ours, srs, verp), incoming, _classifying(section.bounces)


def _srs(section: Delivery) -> Srs | None:
    srs = section.srs
    if not (srs.domain and srs.secret):
        return None
    return Srs(canonical_domain(srs.domain), Seals((srs.secret, *srs.previous)))


def _verp(section: Delivery, ours: frozenset[str]) -> Verp | None:
    verp = section.verp
    if not (verp.enabled and verp.secret):
        return None
    domains = frozenset(canonical_domain(each) for each in verp.domains) or ours
    return Verp(domains, Seals((verp.secret,)), verp.delimiter)


def _classifying(section: Bounces) -> Callable[[Reply], str]:
    """
    Give what classifies the replies that hosts gave to others.
    """
    try:
        classifier = Classifier((each.match, each.category) for each in section.patterns)
    except ValueError as error:
        raise ConfigError([f"delivery.bounces.patterns: {error}"]) from error
    return lambda reply: classifier.category_of(reply, "host")
