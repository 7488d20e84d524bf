"""
The authenticator that [auth] asks for: that of the password file, or the operator's own by its dotted name.
"""

from __future__ import annotations

import random
from importlib import import_module
from operator import attrgetter
from typing import Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import Invalid
from zope.interface.verify import verifyObject

from empath.auth.file import FileAuthenticator
from empath.config.schema import Auth
from empath.errors import ConfigError
from empath.interfaces import IAuthenticator, InThread


def authenticator_of(
    section: Auth, in_thread: InThread[Any], clock: IReactorTime, chance: random.Random
) -> IAuthenticator | None:
    """
    Make the authenticator that the section asks for, None if nobody may log in; ConfigError where it cannot be used.
    See FileAuthenticator for the arguments.
    """
    if section.authenticator:
        return load_authenticator(section.authenticator)
    return FileAuthenticator(section.users, in_thread, clock, chance) if section.users else None


def load_authenticator(name: str) -> IAuthenticator:
    """
    Call what "package.module:callable" names, without arguments, for an IAuthenticator; ConfigError says what is wrong.

    Whatever their code raises is told with its type: it is the operator who reads it.
    """
    module, colon, path = name.partition(":")
    if not (colon and module and path):
        raise _problem(name, 'found no "package.module:callable"')
    try:
        factory: Any = attrgetter(path)(import_module(module))
    except Exception as error:  # importing runs foreign code
        raise _problem(name, f"cannot be imported: {_told(error)}") from error
    if not callable(factory):
        raise _problem(name, f"is no callable but a {type(factory).__name__}")
    try:
        made: Any = factory()
    except Exception as error:
        raise _problem(name, f"failed: {_told(error)}") from error
    try:
        verifyObject(IAuthenticator, made)
    except Invalid as error:
        raise _problem(name, f"returned no IAuthenticator: {' '.join(str(error).split())}") from error
    return made  # type: ignore[no-any-return]  # verified just now


def _problem(name: str, what: str) -> ConfigError:
    return ConfigError([f"auth.authenticator: {name}: {what}"])


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
