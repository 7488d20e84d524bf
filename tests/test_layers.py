"""
The rooms of empath and what each may import, held against the source; and traps that no other tool sees.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase, TestCase

import empath
import tests

ROOT: Final = Path(empath.__file__).parent
PURE: Final = {"mail": {"mail"}, "smtp": {"mail", "smtp"}, "policy": {"mail", "policy"}}
PURE_LIBRARIES: Final = frozenset(
    {
        "__future__",
        "abc",
        "attr",
        "attrs",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "contextvars",
        "datetime",
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "hmac",
        "idna",
        "ipaddress",
        "itertools",
        "json",
        "math",
        "operator",
        "quopri",
        "re",
        "string",
        "stringprep",
        "struct",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
    }
)
PURE_FUNCTIONS: Final = frozenset(  # of modules that are not pure throughout
    {"email.utils.format_datetime", "urllib.parse.quote", "urllib.parse.quote_plus"}
)
TYPES_ONLY: Final = frozenset({"random"})  # chance is an argument: a pure room may name its type, not use it
EDGES: Final = frozenset(
    {
        "net",
        "auth",
        "receive",
        "modules",
        "spool",
        "storage",
        "queue",
        "dns",
        "deliver",
        "report",
        "sign",
        "observe",
        "config",
        "control",
        "audit",
        "ctl",
    }
)
TOOL: Final = frozenset({"control", "audit", "auth", "config", "observe"})  # of which empathctl is made
ANY_EDGE: Final = frozenset(
    {"mail", "smtp", "policy", "net", "interfaces", "errors", "folders", "config.schema", "config.units"}
)
TOP: Final = {
    "": set[str](),
    "errors": {"mail"},
    "folders": set[str](),
    "interfaces": {"mail", "policy", "smtp"},
    "log_output": set[str](),
    "notify": set[str](),
    "process": {"config", "errors", "log_output", "notify", "observe"},
    "program": {"config", "errors", "notify", "process", "service"},
    "checking": {"config", "errors", "program", "service"},
    "__main__": set[str](),
}
MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CALLS: Final = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "OrderedDict", "Counter", "count"}
)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """
    Parse every module; names are relative to the package, "" for the package itself.
    """
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), ast.parse(path.read_text(), str(path))


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """
    Tell every imported name in full, and whether it is for the type checker only.
    """
    types_only = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node in types_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            yield from ((f"{'.' * node.level}{origin}.{alias.name}", node in types_only) for alias in node.names)


def within(name: str, allowed: set[str] | frozenset[str]) -> bool:
    """
    Tell whether a module of ours is, or lies in, one of the allowed ones; the package itself tells its version only.
    """
    return name == "__version__" or any(name == room or name.startswith(f"{room}.") for room in allowed)


def may_import(module: str, imported: str, types_only: bool) -> bool:
    """
    The import rule.
    """
    room = module.partition(".")[0]
    library, _, ours = imported.partition(".")
    if library != "empath":
        pure = library in PURE_LIBRARIES or imported in PURE_FUNCTIONS or (types_only and library in TYPES_ONLY)
        return bool(library) and (room not in PURE or pure)  # "" is a relative import
    if room == "testing":  # the kit builds the service as a test wants it; nobody but tests needs the kit
        return True
    if room == "service":
        return ours == "__version__" or not within(ours, {"testing"})
    if room in PURE:
        return within(ours, PURE[room] | {"errors"})
    if room == "ctl":  # a program of its own, that runs beside the service
        return within(ours, ANY_EDGE | TOOL | {room})
    if room in EDGES:
        return within(ours, ANY_EDGE | {room})
    if "." in module:
        return room in TOP and within(ours, TOP[room] | {room})
    return within(ours, TOP.get(module, ANY_EDGE) | {room})  # beside the service: what edges may, too


def mutable(value: ast.expr | None) -> bool:
    """
    Tell whether an expression obviously makes something that can change.
    """
    if isinstance(value, ast.Call):
        called = value.func
        name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
        return name in MUTABLE_CALLS
    return isinstance(value, MUTABLE)


def mutable_state(tree: ast.Module) -> Iterator[str]:
    """
    Tell the names that a module binds to what can change, unless it is declared Final, and every `global`.
    """
    for node in tree.body:
        if isinstance(node, ast.Assign) and mutable(node.value):
            yield from (ast.unparse(target) for target in node.targets if ast.unparse(target) != "__all__")
        elif isinstance(node, ast.AnnAssign) and mutable(node.value) and "Final" not in ast.unparse(node.annotation):
            yield ast.unparse(node.target)
    yield from (f"global {', '.join(node.names)}" for node in ast.walk(tree) if isinstance(node, ast.Global))


def synchronous_cases(base: type[SynchronousTestCase] = SynchronousTestCase) -> Iterator[type[SynchronousTestCase]]:
    """
    Find the test classes whose tests nobody awaits: trial awaits those of TestCase only.
    """
    cases: list[type[SynchronousTestCase]] = base.__subclasses__()
    for case in cases:
        if case is not TestCase:
            yield case
            yield from synchronous_cases(case)


class LayerTests(SynchronousTestCase):
    """
    The source as it stands.
    """

    def test_every_module_imports_only_what_its_room_may(self) -> None:
        """
        Pure rooms know no edge and no machine, edges do not know one another, and only service.py knows all.
        """
        wrong = [
            f"empath.{module} imports {imported}"
            for module, tree in modules()
            for imported, types_only in imports(tree)
            if not may_import(module, imported, types_only)
        ]
        self.assertEqual(wrong, [])

    def test_no_module_has_mutable_state(self) -> None:
        """
        Several instances live in one process, so nothing that changes belongs to a module.
        """
        wrong = [f"empath.{module}: {name}" for module, tree in modules() for name in mutable_state(tree)]
        self.assertEqual(wrong, [])

    def test_no_synchronous_test_is_a_coroutine(self) -> None:
        """
        SynchronousTestCase passes an `async def` test without running it.
        """
        for found in pkgutil.walk_packages(tests.__path__, "tests."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
        wrong = [
            f"{case.__module__}.{case.__qualname__}.{name}"
            for case in set(synchronous_cases())
            for name, value in inspect.getmembers(case, callable)
            if name.startswith(("test", "setUp", "tearDown"))
            and (inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value))
        ]
        self.assertEqual(sorted(wrong), [])


class RuleTests(SynchronousTestCase):
    """
    The rules themselves, on source made up for it.
    """

    def refused(self, module: str, source: str) -> list[str]:
        """
        Tell what `module` may not import of `source`.
        """
        found = imports(ast.parse(source))
        return [imported for imported, types_only in found if not may_import(module, imported, types_only)]

    def test_pure_rooms_know_neither_machine_nor_edges(self) -> None:
        """
        Twisted, time, files, chance and edges are refused, for the type checker as well.
        """
        self.assertEqual(self.refused("mail.x", "import re\nfrom empath.mail import reply\nimport attrs"), [])
        self.assertEqual(self.refused("smtp.x", "from empath.mail.reply import Reply"), [])
        self.assertEqual(self.refused("mail.x", "from empath.smtp import grammar"), ["empath.smtp.grammar"])
        self.assertEqual(len(self.refused("smtp.x", "import time, os\nfrom twisted.logger import Logger")), 3)
        typed = "if TYPE_CHECKING:\n    import random\n    import empath.spool"
        self.assertEqual(self.refused("policy.x", typed), ["empath.spool"])
        self.assertEqual(self.refused("policy.x", "import random"), ["random"])

    def test_edges_do_not_know_one_another(self) -> None:
        """
        They share `net`, the seams and the schema's classes, no more.
        """
        shared = "from empath.net.writer import W\nfrom empath.config import schema, units\nimport empath.interfaces"
        self.assertEqual(self.refused("receive.x", shared), [])
        self.assertEqual(self.refused("receive.x", "from empath.config import load"), ["empath.config.load"])
        self.assertEqual(self.refused("queue.x", "from empath.spool import sqlite"), ["empath.spool.sqlite"])
        self.assertEqual(self.refused("queue.x", "from . import other"), ["..other"])
        self.assertEqual(self.refused("attic.x", "import empath.mail"), ["empath.mail"])

    def test_the_kit_knows_all_and_nobody_knows_it(self) -> None:
        """
        What is only for tests is imported by tests only.
        """
        self.assertEqual(self.refused("testing.x", "from empath.service import build\nimport empath.spool"), [])
        for room in ("service", "service.x", "modules.x", "process", "mail.x"):
            self.assertEqual(self.refused(room, "import empath.testing"), ["empath.testing"])

    def test_what_changes_is_found(self) -> None:
        """
        Literals, comprehensions, the usual constructors and `global`; Final and __all__ are constants.
        """
        source = "a = []\nb: dict[str, int] = {}\nc = defaultdict(list)\nd: Final = {}\n__all__ = ['a']\ne = (1,)"
        self.assertEqual(list(mutable_state(ast.parse(source))), ["a", "b", "c"])
        self.assertEqual(list(mutable_state(ast.parse("def f():\n    global x, y"))), ["global x, y"])
