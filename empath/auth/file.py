"""
The authenticator of the password file.

Fatal: a file that cannot be read or has a wrong line when the service starts (ConfigError). Retried: the same later, at
the next change; until then the users stay those of the last good file, and an error is logged once for each bad one.
A check that fails by a fault of ours or for lack of memory is AuthenticatorUnavailable, and logged.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from typing import Any, Final

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from empath.auth.recent import Recent
from empath.auth.turns import Turns
from empath.auth.users import Users, read_users
from empath.errors import AuthenticatorUnavailable, ConfigError
from empath.interfaces import IAuthenticator, InThread
from empath.smtp.scram import ScramVerifier

LOOK_INTERVAL: Final = 1.0  # seconds between two looks at the file
_SECRET: Final = 32  # octets

log = Logger()


@attrs.frozen(slots=True)
class Stamp:
    """
    What tells one state of a file from the next: inode, size, time of change in ns; all 0 for no file.
    """

    inode: int = 0
    size: int = 0
    changed: int = 0


@attrs.frozen(slots=True)
class Seen:
    """
    One look at the file: `users` is None where nothing changed, or nothing could be used for the `problems`.
    """

    stamp: Stamp
    users: Users | None = None
    problems: tuple[str, ...] = ()


@implementer(IAuthenticator)
class FileAuthenticator:
    """
    [auth] users: PLAIN and LOGIN for every user, SCRAM-SHA-256 where all have a SCRAM verifier.

    Reads the file at once (ConfigError), blocking; from then on only through `in_thread`. Passwords are checked two at
    a time; `chance` must be cryptographic. Every check of one login costs the same whether it exists or not.
    """

    def __init__(self, path: str, in_thread: InThread[Any], clock: IReactorTime, chance: random.Random) -> None:
        self._path = path
        self._in_thread = in_thread
        self._clock = clock
        self._turns = Turns(in_thread)
        self._recent = Recent(chance.randbytes(_SECRET))
        self._looking = False
        self._waiting: list[Deferred[None]] = []
        self._looked_at = clock.seconds()
        seen = look(path, Stamp())
        if seen.users is None:
            raise ConfigError(list(seen.problems))
        self._users, self._stamp = seen.users, seen.stamp

    def mechanisms(self) -> Collection[str]:
        """
        See `IAuthenticator.mechanisms`; a change of the file is looked for meanwhile.
        """
        self._look_again()
        return ("SCRAM-SHA-256", "PLAIN", "LOGIN") if self._users.all_scram() else ("PLAIN", "LOGIN")

    async def check_password(self, login: str, password: str) -> str | None:
        """
        See `IAuthenticator.check_password`.
        """
        await self._current()
        users = self._users

        def known() -> bool | None:
            current = users is self._users  # what is remembered is true of these users only
            return True if current and self._recent.knows(login, password, self._clock.seconds()) else None

        if known():
            return login
        right = await self._checked(_check(users, login, password), known)
        if right and users is self._users:
            self._recent.add(login, password, self._clock.seconds())
        return login if right else None

    async def check_token(self, login: str, token: str) -> str | None:
        """
        Nobody has a token here.
        """
        return None

    async def scram_verifier(self, login: str) -> ScramVerifier:
        """
        See `IAuthenticator.scram_verifier`.
        """
        await self._current()
        return self._users.scram(login)

    async def _checked(self, check: Callable[[], bool], known: Callable[[], bool | None]) -> bool:
        """
        Run a check in its turn.
        """
        try:
            return await self._turns.run(check, known)
        except (AuthenticatorUnavailable, CancelledError):
            raise
        except Exception as trouble:  # hashing libraries: no memory, or a fault
            log.failure("a password could not be checked")
            raise AuthenticatorUnavailable(str(trouble)) from trouble

    async def _current(self) -> None:
        """
        Wait for a look at the file, if one is due.
        """
        self._look_again()
        if self._looking:
            waiting: Deferred[None] = Deferred()  # of its own: one caller that gives up does not end the look
            self._waiting.append(waiting)
            await waiting

    def _look_again(self) -> None:
        """
        Begin to look whether the file has changed, unless that was done a moment ago.
        """
        now = self._clock.seconds()
        if self._looking or 0 <= now - self._looked_at < LOOK_INTERVAL:
            return
        self._looked_at = now
        self._looking = True
        path, stamp = self._path, self._stamp
        self._in_thread(lambda: look(path, stamp)).addCallback(self._saw).addErrback(self._blind).addBoth(self._done)

    def _saw(self, seen: Seen) -> None:
        """
        Take what the look brought.
        """
        if seen.stamp == self._stamp:
            return
        self._stamp = seen.stamp
        if seen.users is None:
            log.error(
                "the users stay as they were, the changed file cannot be used: {problems}",
                problems="; ".join(seen.problems),
            )
            return
        self._users = seen.users
        self._recent.clear()
        log.info("{path} was read again: {count} users", path=self._path, count=len(seen.users.verifiers))

    def _blind(self, trouble: Failure) -> None:
        """
        The look itself failed: a fault of ours, or the service stops.
        """
        log.failure("the file of users cannot be looked at", trouble)

    def _done(self, _: object) -> None:
        """
        Let those go on who waited for the look.
        """
        self._looking = False
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.callback(None)


def look(path: str, known: Stamp) -> Seen:
    """
    Read the file if it is not as it was at `known`. Blocks.
    """
    origin = f"auth.users: {path}"
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            stamp = Stamp(status.st_ino, status.st_size, status.st_mtime_ns)
            return Seen(stamp) if stamp == known else Seen(stamp, read_users(file.read().decode(), origin))
    except OSError as error:
        return Seen(Stamp(), problems=(f"{origin}: {error.strerror or error}",))
    except UnicodeDecodeError:
        return Seen(stamp, problems=(f"{origin}: no UTF-8",))
    except ConfigError as error:
        return Seen(stamp, problems=tuple(error.problems))


def _check(users: Users, login: str, password: str) -> Callable[[], bool]:
    """
    Make the check of a password; for an unknown login it takes as long as for the others, and never succeeds.
    """

    def check() -> bool:
        verifier = users.verifiers.get(login)
        against = users.usual if verifier is None else verifier
        right = against is not None and against.accepts(password)
        return right and verifier is not None

    return check
