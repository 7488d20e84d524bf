"""
Ways to deliver in the service, beside SMTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from empath.config.schema import Config, Delivery
from empath.deliver.discard import DiscardAgent
from empath.deliver.dispatch import OTHERS
from empath.deliver.file import FileAgent
from empath.deliver.maildir import MaildirAgent
from empath.deliver.routing import Routing
from empath.deliver.third_party import StrategyServices, ThirdPartyAgent
from empath.deliver.webhook.agent import WebhookAgent
from empath.interfaces import InThread, IResolver, ISpool
from empath.net.web_pool import WebPool


@attrs.frozen(slots=True, eq=False)
class Strategies:
    """
    The agents by their strategies, and the client by which they make requests.
    """

    agents: Mapping[str, Any]
    web: WebPool
    webhook: WebhookAgent

    def use(self, section: Delivery) -> None:
        """
        Connect as a new section says, from now on.
        """
        self.web.use(section.address_families, allow_private=True)


def make_strategies(
    config: Config, reactor: Any, resolver: IResolver, spool: ISpool, in_thread: InThread[Any], routing: Routing
) -> Strategies:
    """
    Make them; ConfigError for a third party's that cannot be made. The hosts of URLs are the operator's: they may be in
    private networks.
    """
    section, find, open_body = config.delivery, routing.find, spool.open_body
    web = WebPool(reactor, resolver, section.address_families, allow_private=True)
    services = StrategyServices(config.hostname, reactor, web, resolver.lookup, in_thread, open_body)
    webhook = WebhookAgent(reactor, web, open_body, find, section)
    agents = {
        "webhook": webhook,
        "maildir": MaildirAgent(reactor, open_body, in_thread, find),
        "file": FileAgent(reactor, open_body, in_thread, find),
        "discard": DiscardAgent(reactor),
        OTHERS: ThirdPartyAgent(services, find, section),
    }
    return Strategies(agents, web, webhook)
