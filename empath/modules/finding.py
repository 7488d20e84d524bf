"""
What makes a module, found by its name: a dotted one, or that of a module which is built in or installed.

Whatever foreign code raises while it is imported is told with its type: it is the operator who reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from twisted.plugin import getPlugins

from empath.errors import ModuleError
from empath.interfaces import IModulePlugin

GROUP: Final = "empath.modules"  # of entry points
CORE: Final = "core"  # the checks that are always made
BUILT_IN: Final = MappingProxyType(
    {
        "access": "access:Access",
        "alias": "alias:Alias",
        "dnsbl": "dnsbl:Dnsbl",
        "greylist": "greylist:Greylist",
        "headers": "headers:Headers",
        "metrics": "metrics:MetricsModule",
        "milter": "milter:Milter",
        "ratelimit": "ratelimit:RateLimit",
        "recipients": "recipients:Recipients",
    }
)

Factory = Callable[..., Any]


def factory_of(name: str) -> Factory:
    """
    Find the callable that a name stands for; ModuleError tells why there is none.
    """
    if ":" in name or "." in name:
        return _callable(_dotted(name))
    if name == CORE:
        raise ModuleError("its checks are always made, and first; it is no module to configure")
    if name in BUILT_IN:
        return _callable(_dotted(f"empath.modules.builtin.{BUILT_IN[name]}"))
    found = _installed(name)
    if not found:
        known = ", ".join(sorted(BUILT_IN))
        raise ModuleError(f"no module of this name is built in ({known}), nor installed")
    if len(found) > 1:
        raise ModuleError(f"{len(found)} modules of this name are installed")
    return _callable(_guarded(found[0]))


def _installed(name: str) -> list[Callable[[], Any]]:
    """
    Tell where a name is declared: by entry points, or by plugins of Twisted.
    """
    points = [each for each in _entry_points() if each.name == name]
    plugins = [each for each in _guarded(lambda: list(getPlugins(IModulePlugin))) if each.name == name]
    return [*[each.load for each in points], *[partial(getattr, each, "factory") for each in plugins]]


def _entry_points() -> list[EntryPoint]:
    """
    List the entry points; the same one may be told twice, where a package is found by two paths.
    """
    return list({(each.name, each.value): each for each in entry_points(group=GROUP)}.values())


def _dotted(name: str) -> Any:
    """
    Find "package.module:Name", or "package.module.Name".
    """
    module, colon, path = name.partition(":")
    if not colon:
        module, _, path = name.rpartition(".")
    return _guarded(lambda: attrgetter(path)(import_module(module)))


def _callable(found: Any) -> Factory:
    if not callable(found):
        raise ModuleError(f"is no callable but a {type(found).__name__}")
    return found  # type: ignore[no-any-return]  # looked at just now


def _guarded(load: Callable[[], Any]) -> Any:
    try:
        return load()
    except BaseException as error:  # importing runs foreign code
        raise ModuleError(f"cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}") from error
