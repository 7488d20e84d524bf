"""
Whether something is a module: told at the start, so that no session finds out.
"""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any, Final

from zope.interface import Interface
from zope.interface.interface import Method

from empath.interfaces import IAuthor, ILifecycle, IListener, IModule, IValidator
from empath.modules.blocking import MARK, is_blocking

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_LONG: Final = 5  # characters from which on one wrong letter is a slip, and no other word


def _arguments(interface: type[Interface]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(method.positional)
        for name, method in interface.namesAndDescriptions()
        if isinstance(method, Method)
    }


VALIDATORS: Final = MappingProxyType(_arguments(IValidator))
LISTENERS: Final = MappingProxyType(_arguments(IListener))
AUTHORS: Final = MappingProxyType(_arguments(IAuthor))
LIFECYCLE: Final = MappingProxyType(_arguments(ILifecycle))
HOOKS: Final = MappingProxyType({**VALIDATORS, **LISTENERS, **AUTHORS, **LIFECYCLE})


def faults_of(module: Any) -> Iterator[str]:
    """
    Tell everything for which an object cannot be used as a module, each with the hook that it is about.
    """
    if not IModule.providedBy(module):
        yield f"is no IModule: put @implementer(IModule) above its class ({_origin(type(module))})"
        return
    if not hasattr(module, "name"):
        yield 'is no IModule: it needs a name, such as name = "no-monday-mail"'
        return
    yield from _of_name(module.name)
    for hook, given in HOOKS.items():
        yield from (f"{hook}: {reason}" for reason in _of_hook(module, hook, given))
    for name in dir(module):
        if name not in HOOKS and not name.startswith("_"):
            yield from _of_stranger(module, name)


def _origin(kind: type) -> str:
    """
    Tell where a class is written: it may not be the one that was meant.
    """
    written = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return f"{kind.__qualname__} of {written or kind.__module__}"


def _of_name(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        yield f"name: found {name!r:.80}; allowed: lower-case letters, digits and '-', beginning with a letter"


def hooks_of(module: Any, names: Iterable[str]) -> dict[str, Callable[..., Any]]:
    """
    Give those of the named hooks that a module has.
    """
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


def _of_hook(module: Any, hook: str, given: tuple[str, ...]) -> Iterator[str]:
    try:
        method = getattr(module, hook)
    except AttributeError:
        return
    if not callable(method):
        yield f"is no method but a {type(method).__name__}"
        return
    marked = getattr(method, MARK, False) if hook in LIFECYCLE else is_blocking(method)
    if marked and (hook in LIFECYCLE or hook in AUTHORS or inspect.iscoroutinefunction(method)):
        yield "is marked @blocking, and cannot be"
    if hook in AUTHORS and inspect.iscoroutinefunction(method):
        yield "is a coroutine, and has to answer at once"
    for reason in _of_arguments(method, len(given)):
        yield f"{reason}: {hook}({', '.join(given)})"


def _of_arguments(method: Callable[..., Any], number: int) -> Iterator[str]:
    """
    Compare what a method takes with what it is called with.
    """
    try:
        parameters = inspect.signature(method).parameters.values()
    except (TypeError, ValueError):  # not written in Python
        return
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    needed = sum(each.default is each.empty for each in positional)
    endless = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    if needed > number or (len(positional) < number and not endless):
        takes = needed if needed == len(positional) else f"{needed} to {len(positional)}"
        yield f"takes {takes} argument{'' if takes == 1 else 's'}, is called with {number}"
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and each.default is each.empty:
            yield f"needs the argument {each.name} by its name, which it is not given"


def _of_stranger(module: Any, name: str) -> Iterator[str]:
    """
    Look at a name that is no hook's, in case that it was meant to be one.
    """
    if name.startswith("on_"):
        bare = name.removeprefix("on_")
        meant = next((hook for hook in VALIDATORS if (bare and hook.startswith(bare)) or _is_slip(bare, hook)), None)
        if meant is not None:
            yield f"{name}: no such hook; did you mean {meant}?"
            return
        near = difflib.get_close_matches(name, LISTENERS, n=1, cutoff=0.0)
        yield f"{name}: no such hook; did you mean {near[0]}?"
        return
    meant = next((hook for hook in VALIDATORS if _is_slip(name.lower(), hook)), None)
    if meant is None or isinstance(inspect.getattr_static(module, name, None), property):
        return
    method = getattr(module, name, None)
    if callable(method) and not any(_of_arguments(method, len(VALIDATORS[meant]))):
        yield f"{name}: no such hook; did you mean {meant}?"


def _is_slip(name: str, hook: str) -> bool:
    """
    Tell whether a name is that of a hook but for underscores, two letters changed over, or one letter.
    """
    bare, wanted = name.replace("_", ""), hook.replace("_", "")
    if bare == wanted or any(_changed_over(wanted, at) == bare for at in range(len(wanted) - 1)):
        return True
    if len(wanted) < _LONG:
        return False
    longer, shorter = (bare, wanted) if len(bare) > len(wanted) else (wanted, bare)
    if len(longer) == len(shorter):
        return sum(one != other for one, other in zip(longer, shorter, strict=True)) == 1
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))


def _changed_over(word: str, at: int) -> str:
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
