"""
What decides who may send what: listeners, relay control and logins, as another configuration has them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import attrs

from empath.auth.loading import authenticator_of
from empath.auth.senders import senders_of
from empath.config.recipients import relay_of
from empath.config.schema import Auth, Config, Smtp
from empath.interfaces import IAuthenticator
from empath.modules.builtin.core import CoreChecks
from empath.receive.listeners import Reception
from empath.service.modules import verifies


@attrs.frozen(slots=True, eq=False)
class Prospect:
    """
    What would be: [smtp] as far as it can be in force now, and by key why the rest waits for a restart. `use` has it
    used, and does not fail.
    """

    smtp: Smtp
    restart: dict[str, str]
    use: Callable[[], None]


@attrs.frozen(slots=True, eq=False)
class Receiving:
    """
    `authenticates` makes what knows the logins of a section, None where nobody can log in.
    """

    core: CoreChecks
    reception: Reception
    authenticates: Callable[[Auth], IAuthenticator | None]

    def prepare(self, now: Config, new: Config, undo: ExitStack) -> Prospect:
        """
        Read and bind what `new` names, instead of `now`; whoever gives that up unwinds `undo`. ConfigError if it cannot
        be used.
        """
        relay = relay_of(new.relay, verifies(new))
        senders = senders_of(new.auth)
        around = attrs.evolve(
            self.reception.around,
            trusts=relay.trusts,
            postmaster=new.delivery.dsn.postmaster,
            authenticator=self._authenticator(now.auth, new.auth),
        )
        reception = self.reception.prepare(new.smtp, around, undo)

        def use() -> None:
            self.core.reconfigure(new.smtp, relay, senders)
            if around.throttle is not None:
                around.throttle.reconfigure(new.auth.max_failures, new.auth.failure_window)
            reception.use()

        return Prospect(reception.smtp, reception.restart, use)

    def _authenticator(self, now: Auth, new: Auth) -> IAuthenticator | None:
        """
        Keep who knows the logins where it is the same: what it remembers would be lost.
        """
        if (now.users, now.authenticator) == (new.users, new.authenticator):
            return self.reception.around.authenticator
        return self.authenticates(new)


def make_authenticates(machine: Any, in_thread: Any, clock: Any) -> Callable[[Auth], IAuthenticator | None]:
    """
    Give what makes the authenticator of a section, unless the machine has one.
    """
    given: IAuthenticator | None = machine.authenticator
    return lambda section: given or authenticator_of(section, in_thread, clock, machine.secret_chance)
