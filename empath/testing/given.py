"""
The modules that a test hands in, and how they begin anew when the machine does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from empath.config.schema import Module
from empath.config.units import Options
from empath.interfaces import IModule
from empath.modules.loading import LoadedModule, made_by

Factory = Callable[..., Any]
ModuleGiven = Any
"""
An instance, a factory, a pair of a factory (or its name) and its options, or a section as [[modules]] has it.
"""


class Given:
    """
    Gives sections for modules, and makes those that a test hands in as objects.

    An instance is used as it is the first time; after a restart a copy of how it was when it was handed in takes its
    place, since what a module only remembers is gone then.
    """

    def __init__(self, modules: Sequence[ModuleGiven]) -> None:
        self.sections: tuple[Module, ...] = ()
        self._factories: dict[int, Factory] = {}
        for at, given in enumerate(modules):
            self.sections += (self._section(given, at),)

    def make(self) -> tuple[LoadedModule, ...]:
        """
        Make, anew, the modules whose factories are no names; ConfigError tells what is wrong.
        """
        return tuple([made_by(factory, self.sections[at]) for at, factory in self._factories.items()])

    def _section(self, given: ModuleGiven, at: int) -> Module:
        rest: dict[str, Any] = {}
        if isinstance(given, Module):
            return given
        if isinstance(given, Mapping):
            rest = {key: value for key, value in given.items() if key != "factory"}
            given = given["factory"]
        elif isinstance(given, tuple):
            given, rest["options"] = given
        rest["options"] = Options(dict(rest.get("options", {})))
        if not isinstance(given, str):
            self._factories[at] = given if _is_factory(given) else _Instance(given)
            given = f"{getattr(given, '__qualname__', type(given).__qualname__)} (number {at + 1} of those handed in)"
        return attrs.evolve(Module(factory=given), **rest)


class _Instance:
    """
    A factory of one instance, and of copies of it.
    """

    def __init__(self, instance: Any) -> None:
        self._first: Any = instance
        try:
            self._pristine = copy.deepcopy(instance)
        except Exception as trouble:
            self._pristine = None
            self._why = trouble

    def __call__(self) -> Any:
        first, self._first = self._first, None
        if first is not None:
            return first
        if self._pristine is None:
            raise TypeError(f"this module cannot be made anew, hand in a factory instead of it: {self._why}")
        return copy.deepcopy(self._pristine)


def _is_factory(given: Any) -> bool:
    return isinstance(given, type) or (callable(given) and not IModule.providedBy(given))
