"""
The machine on which an MTA in memory runs: threads that run at once, chance by a seed, memory that is kept.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.interfaces import IAuthenticator
from empath.mail.life import Emit
from empath.modules.loading import LoadedModule
from empath.service.machine import Machine
from empath.smtp.scram import ScramVerifier
from empath.testing.fake_dns import DnsSockets
from empath.testing.kept import KeptSpool, KeptStorages


class AtOnce:
    """
    A thread pool without threads.
    """

    def __init__(self, most: int = 1, name: str = "") -> None:
        self.name = name

    def start(self) -> None:
        """
        Nothing is to be started.
        """

    def stop(self) -> None:
        """
        Nothing is under way.
        """

    def callInThreadWithCallback(
        self,
        onResult: Callable[[bool, Any], Any],  # noqa: N803 Twisted names it
        func: Callable[..., Any],
        *args: Any,
        **kw: Any,
    ) -> None:
        """
        Call, and tell the result.
        """
        try:
            result, good = func(*args, **kw), True
        except Exception:
            result, good = Failure(), False
        onResult(good, result)


class WorkersAtOnce:
    """
    The threads of a module, without threads: a call that blocks runs to its end before anything else happens.
    """

    def __init__(self, name: str, reactor: Any) -> None:
        self.name = name
        self.load = (1, 0, 0)

    def run(self, call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a call; what is returned has fired.
        """
        try:
            result = call()
        except Exception:
            return fail(Failure())
        if isinstance(result, Deferred):
            result.addErrback(lambda _: None)
            return fail(TypeError("a call in a thread returned a Deferred"))
        return succeed(result)

    async def stop(self) -> None:
        """
        Nothing is under way.
        """


def make_workers(name: str, reactor: Any) -> Any:
    """
    Make the threads of a module.
    """
    return WorkersAtOnce(name, reactor)


@implementer(IAuthenticator)
class KnownLogins:
    """
    Knows passwords by login, as they stand.
    """

    def __init__(self, logins: Mapping[str, str]) -> None:
        self._logins = logins

    def mechanisms(self) -> Collection[str]:
        """
        See `IAuthenticator.mechanisms`.
        """
        return ("PLAIN", "LOGIN")

    def check_password(self, login: str, password: str) -> Awaitable[str | None]:
        """
        See `IAuthenticator.check_password`.
        """
        return succeed(login if self._logins.get(login) == password else None)

    def check_token(self, login: str, token: str) -> Awaitable[str | None]:
        """
        No token is known.
        """
        return succeed(None)

    def scram_verifier(self, login: str) -> ScramVerifier:
        """
        Nobody asks: it is not among the mechanisms.
        """
        raise NotImplementedError


def machine_in(
    reactor: Any,
    chance: random.Random,
    sockets: DnsSockets,
    memory: tuple[Callable[[Any, Emit], KeptSpool], KeptStorages],
    modules: Sequence[LoadedModule],
    logins: Mapping[str, str],
) -> Machine:
    """
    Describe it to the service; `logins` are passwords by name.
    """
    make_spool, storages = memory
    return Machine(
        chance=chance,
        secret_chance=chance,
        datagrams=sockets,
        streams=lambda server: TCP4ClientEndpoint(reactor, server.host, server.port),
        make_pool=AtOnce,
        addresses=frozenset,
        memory_spool=make_spool,
        memory_storages=lambda in_thread, clock: storages,
        workers=make_workers,
        modules=modules,
        authenticator=KnownLogins(logins) if logins else None,
    )
