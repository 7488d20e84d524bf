"""
Modules from their sections of the configuration.

Fatal, and told at once in one ConfigError: every section that makes no module, and every module that is not as it
should be.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from empath.config.schema import Module
from empath.errors import ConfigError, ModuleError
from empath.modules.finding import CORE, Factory, factory_of
from empath.modules.verifying import faults_of


@attrs.frozen(slots=True, eq=False)
class LoadedModule:
    """
    A module that is as it should be; `name` is what it is called here.
    """

    name: str
    module: Any
    section: Module


def load_modules(
    sections: Iterable[tuple[str, Module]], present: Sequence[LoadedModule] = ()
) -> tuple[LoadedModule, ...]:
    """
    Make the modules of all sections, in their order; each comes with its place in the file ("modules[0]"). A section
    that made one of those `present` gets that one again.

    ConfigError tells everything that is wrong with any of them.
    """
    kept, loaded, problems, names = list(present), list[LoadedModule](), list[str](), dict[str, str]()
    for place, section in sections:
        known = next((each for each in kept if each.section == section), None)
        if known is not None:
            kept.remove(known)
        try:
            loaded.append(known or _made(section))
        except ConfigError as error:
            problems += [f"{place}: {problem}" for problem in error.problems]
            continue
        name = loaded[-1].name
        if name in names:
            problems.append(f"{place}: {name}: found a second module of this name; allowed: one ({names[name]})")
        names[name] = place
    if problems:
        raise ConfigError(problems)
    return tuple(loaded)


def adopt(module: Any, section: Module | None = None) -> LoadedModule:
    """
    Take in a module that is made already; ConfigError tells why it cannot be used.
    """
    section = section or Module()
    called = section.name or getattr(module, "name", "")
    named = called if isinstance(called, str) and called else type(module).__name__
    problems = [f"{named}: {fault}" for fault in faults_of(module)]
    if called == CORE:
        problems.append(f"{named}: name: is that of our own checks; give it another one by `name`")
    if problems:
        raise ConfigError(problems)
    return LoadedModule(called, module, section)


def _made(section: Module) -> LoadedModule:
    try:
        factory = factory_of(section.factory)
    except ModuleError as error:
        raise ConfigError([f"{section.factory}: {error}"]) from error
    return made_by(factory, section)


def made_by(factory: Factory, section: Module) -> LoadedModule:
    """
    Make the module of a section with a factory; ConfigError tells why that is not possible.
    """
    faults = [f"{section.factory}: {fault}" for fault in _of_options(factory, section.options)]
    if faults:
        raise ConfigError(faults)
    try:
        module = factory(**section.options)
    except (ValueError, TypeError) as error:  # how a factory says what is wrong with its options
        raise ConfigError([f"{section.factory}: {line}" for line in str(error).splitlines()]) from error
    except BaseException as error:
        told = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ConfigError([f"{section.factory}: failed: {told}"]) from error
    return adopt(module, section)


def _of_options(factory: Factory, options: dict[str, Any]) -> Iterator[str]:
    """
    Compare the options with what a factory takes.
    """
    try:
        parameters = inspect.signature(factory).parameters
    except (TypeError, ValueError):  # not written in Python: it will tell
        return
    known = {
        name: each for name, each in parameters.items() if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }
    if not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        for name in options:
            if name not in known:
                yield f"options.{name}: unknown option; {_suggestion(name, known)}"
    for name, each in known.items():
        if each.default is each.empty and name not in options:
            yield f"options.{name}: found nothing; it is needed"


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    return f"allowed: {', '.join(known) or 'none'}"
