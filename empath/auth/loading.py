"""
An authenticator of the operator's own, by its dotted name.
"""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import Any

from zope.interface import Invalid
from zope.interface.verify import verifyObject

from empath.errors import ConfigError
from empath.interfaces import IAuthenticator


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
