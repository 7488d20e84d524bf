"""
The modules that a test hands in, and how they begin anew when the machine does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from empath.config.schema import Module
from empath.config.units import Options
from empath.interfaces import IModule

PREFIX: Final = "given-"

Factory = Callable[..., Any]
ModuleGiven = Any
"""
An instance, a factory, a pair of a factory (or its name) and its options, or a section as [[modules]] has it.
"""


class Given:
    """
    Gives sections for modules, and their factories by the name that stands in the section.

    An instance is used as it is the first time; after a restart a copy of how it was when it was handed in takes its
    place, since what a module only remembers is gone then.
    """

    def __init__(self, modules: Sequence[ModuleGiven]) -> None:
        self._factories: dict[str, Factory] = {}
        self._sections = tuple([self._section(each, f"{PREFIX}{at}") for at, each in enumerate(modules, 1)])

    def sections(self) -> tuple[Module, ...]:
        """
        Give a section for each.
        """
        return self._sections

    def find(self, factory: str) -> Factory | None:
        """
        Give the factory of a name in a section, None for a name that is not ours.
        """
        return self._factories.get(factory)

    def _section(self, given: ModuleGiven, name: str) -> Module:
        options: Mapping[str, Any] = {}
        if isinstance(given, Module):
            return given
        if isinstance(given, Mapping):
            given = dict(given)
            named = given.pop("factory")
            section = attrs.evolve(Module(), **given, options=Options(dict(given.pop("options", {}))))
            return attrs.evolve(section, factory=self._named(named, name))
        if isinstance(given, tuple):
            given, options = given
        return Module(factory=self._named(given, name), options=Options(dict(options)))

    def _named(self, given: Any, name: str) -> str:
        """
        Give the name under which a factory is found.
        """
        if isinstance(given, str):
            return given
        self._factories[name] = given if _is_factory(given) else _Instance(given)
        return name


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
