"""
Modules are made from their sections; whatever is wrong with any of them is told at once, and where.
"""

from __future__ import annotations

import sys
import trace
import types
from importlib.metadata import EntryPoint
from typing import Any

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from empath.config.schema import Module
from empath.config.units import Options
from empath.errors import ConfigError
from empath.interfaces import IModule, IModulePlugin
from empath.modules import finding
from empath.modules.blocking import blocking
from empath.modules.loading import LoadedModule, adopt, load_modules
from empath.modules.verifying import HOOKS, LISTENERS, VALIDATORS
from tests.modules.hosting import Named

HERE = "tests.modules.test_loading"


class Good(Named):
    """
    All hooks, in the shapes that they may have.
    """

    def __init__(self, name: str = "good", reply: str = "550", **more: object) -> None:
        super().__init__(name)
        self.given = (reply, more)

    def start(self, services: Any) -> None: ...
    def stop(self, *more: Any, at: int = 0) -> None: ...
    async def connect(self, session: Any) -> None: ...
    def ehlo(self, *subject: Any) -> None: ...
    @blocking
    def mail_from(self, session: Any, transaction: Any, also: Any = None) -> None: ...
    @staticmethod
    def rcpt_to(session: Any, transaction: Any, recipient: Any) -> None: ...

    data = print  # not written in Python

    def on_message_received(self, message: Any) -> None: ...
    def _rcptto(self, a: Any, b: Any, c: Any) -> None: ...

    received = 5


def strict(delay: int, reply: str = "550") -> Named:
    """
    Make a module, if the options are right.
    """
    if delay < 0:
        raise ValueError("delay: must not be negative\nreply: nor that")
    if delay == 7:
        raise KeyError("seven")
    if delay == 8:
        return "no module"  # type: ignore[return-value]
    return Named("strict")


@implementer(IModule)
class Nameless:  # type: ignore[misc]  # as it is meant
    """
    Has no name.
    """


def section(factory: str = f"{HERE}:Good", **also: Any) -> Module:
    """
    Make a section.
    """
    if "options" in also:
        also["options"] = Options(also["options"])
    return Module(factory, **also)


def _named(**hooks: Any) -> Named:
    return Named("test", **hooks)


def problems(*sections: Module) -> list[str]:
    """
    Tell what is wrong with these, without the place of the first.
    """
    try:
        load_modules([(f"modules[{at}]", each) for at, each in enumerate(sections)])
    except ConfigError as error:
        return [problem.removeprefix("modules[0]: ") for problem in error.problems]
    return []


class LoadingTests(SynchronousTestCase):
    """
    From a section to a module.
    """

    def load(self, *sections: Module) -> tuple[LoadedModule, ...]:
        return load_modules([(f"modules[{at}]", each) for at, each in enumerate(sections)])

    def test_is_called_with_its_options(self) -> None:
        """
        In the order of the file; the section's name replaces the module's own.
        """
        first, second = self.load(section(options={"reply": "551", "x": 1}), section(name="other"))
        self.assertEqual((first.name, first.module.given), ("good", ("551", {"x": 1})))
        self.assertEqual((second.name, second.module.given), ("other", ("550", {})))

    def test_names_of_factories(self) -> None:
        """
        With a colon, with dots only, or what lies in a class.
        """
        for name in (f"{HERE}:Good", f"{HERE}.Good", f"{HERE}:Holder.make"):
            self.assertEqual(self.load(section(name))[0].name, "good")

    def test_every_module_that_is_built_in(self) -> None:
        """
        The table names what is there.
        """
        for name in finding.BUILT_IN:
            self.assertTrue(callable(finding.factory_of(name)), name)

    def test_what_cannot_be_found(self) -> None:
        """
        Is told with the reason, in one line.
        """
        broken = types.ModuleType("empath_test_broken")
        sys.modules["empath_test_broken"] = broken
        self.addCleanup(sys.modules.pop, "empath_test_broken")
        broken.__getattr__ = _raising  # type: ignore[method-assign]
        for name, said in (
            ("no_such_package.x:Y", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
            (f"{HERE}:Bad", f"cannot be imported: AttributeError: module '{HERE}' has no attribute 'Bad'"),
            (f"{HERE}:HERE", "is no callable but a str"),
            ("core", "its checks are always made, and first; it is no module to configure"),
            ("empath_test_broken:leave", "cannot be imported: SystemExit: 3"),
            ("empath_test_broken:x", "cannot be imported: RuntimeError: one two"),
        ):
            self.assertEqual(problems(section(name)), [f"{name}: {said}"])
        self.assertIn("no module of this name is built in (access, alias", problems(section("nope"))[0])

    def test_installed_by_entry_point(self) -> None:
        """
        Found once though two paths lead to it; two of one name are told.
        """
        point = EntryPoint("mine", f"{HERE}:Good", finding.GROUP)
        points = [point, point, EntryPoint("wrong", "no_such_package:x", finding.GROUP)]
        self.patch(finding, "entry_points", lambda group: points)
        self.assertEqual(self.load(section("mine"))[0].name, "good")
        self.assertIn("cannot be imported: ModuleNotFoundError", problems(section("wrong"))[0])
        points.append(EntryPoint("mine", f"{HERE}:Named", finding.GROUP))
        self.assertEqual(problems(section("mine")), ["mine: 2 modules of this name are installed"])

    def test_installed_as_a_plugin(self) -> None:
        """
        Of Twisted's.
        """

        @implementer(IPlugin, IModulePlugin)
        class Plugin:
            name = "plugged"
            factory = Good

        self.patch(finding, "getPlugins", lambda interface: iter([Plugin()] if interface is IModulePlugin else []))
        self.assertEqual(self.load(section("plugged"))[0].name, "good")

    def test_options_are_held_against_the_factory(self) -> None:
        """
        Unknown and missing ones are told by their names, what it says itself line by line.
        """
        name = f"{HERE}:strict"
        for options, said in (
            (
                {"delai": 1},
                ["options.delai: unknown option; did you mean delay?", "options.delay: found nothing; it is needed"],
            ),
            ({"delay": 1, "zz": 1}, ["options.zz: unknown option; allowed: delay, reply"]),
            ({"delay": -1}, ["delay: must not be negative", "reply: nor that"]),
            ({"delay": "x"}, ["'<' not supported between instances of 'str' and 'int'"]),
            ({"delay": 7}, ["failed: KeyError: 'seven'"]),
        ):
            found = problems(section(name, options=options))
            self.assertEqual(found, [f"{name}: {line}" for line in said])
        self.assertIn("str: is no IModule", problems(section(name, options={"delay": 8}))[0])

    def test_all_faults_at_once(self) -> None:
        """
        Of all sections.
        """
        found = problems(section("nope"), section(), section(), section("core"))
        self.assertEqual(len(found), 3)
        self.assertEqual(found[1], "modules[2]: good: found a second module of this name; allowed: one (modules[1])")
        self.assertTrue(found[2].startswith("modules[3]: core: "))

    def test_what_is_there_already_is_kept(self) -> None:
        """
        Each for one section that says the same.
        """
        first = self.load(section(options={"x": 1}), section(name="b", mode="shadow"))
        second = load_modules(
            [("", section(name="b")), ("", section(options={"x": 1})), ("", section(name="c", options={"x": 1}))], first
        )
        self.assertEqual([each in first for each in second], [False, True, False])
        self.assertIs(second[1], first[0])


class VerifyingTests(SynchronousTestCase):
    """
    Whether an object is a module.
    """

    def faults(self, module: Any) -> list[str]:
        """
        Tell what is wrong with it.
        """
        try:
            adopt(module)
        except ConfigError as error:
            return [problem.removeprefix("test: ") for problem in error.problems]
        return []

    def test_a_good_one(self) -> None:
        """
        Nothing is said of it, whatever else it has.
        """
        self.assertEqual(self.faults(Good()), [])
        self.assertEqual((len(VALIDATORS), len(LISTENERS), len(HOOKS)), (7, 8, 18))

    def test_must_say_that_it_is_one(self) -> None:
        """
        With a name that can be one.
        """
        self.assertEqual(
            self.faults(object())[0],
            "object: is no IModule: put @implementer(IModule) above its class (object of builtins)",
        )
        self.assertIn(f"(Trace of {trace.__file__})", self.faults(trace.Trace())[0])
        self.assertIn("is no IModule: it needs a name", self.faults(Nameless())[0])
        for name in ("", "Upper", "with space", "9th", "x" * 64, 5, None, "ä"):
            self.assertTrue(any("name: found" in fault for fault in self.faults(Named(name))), name)  # type: ignore[arg-type]
        self.assertIn("our own checks", self.faults(Named("core"))[0])

    def test_hooks_must_take_what_they_are_given(self) -> None:
        """
        Not less, not more, and nothing by its name.
        """
        for hook, method, said in (
            (
                "rcpt_to",
                lambda session, transaction: None,
                "takes 2 arguments, is called with 3: rcpt_to(session, transaction, recipient)",
            ),
            ("connect", lambda: None, "takes 0 arguments, is called with 1: connect(session)"),
            ("connect", lambda session, a, b=1: None, "takes 2 to 3 arguments, is called with 1: connect(session)"),
            ("stop", lambda services: None, "takes 1 argument, is called with 0: stop()"),
            (
                "on_message_received",
                lambda message, *, at: None,
                "needs the argument at by its name, which it is not given: on_message_received(message)",
            ),
            ("data", "text", "is no method but a str"),
        ):
            self.assertEqual(self.faults(_named(**{hook: method})), [f"{hook}: {said}"])

    def test_only_plain_hooks_can_be_blocking(self) -> None:
        """
        Not a coroutine, not start and stop; a class that is marked means its hooks.
        """

        async def mail_from(session: Any, transaction: Any) -> None: ...

        def start(services: Any) -> None: ...

        self.assertEqual(
            self.faults(Named(mail_from=blocking(mail_from))), ["mail_from: is marked @blocking, and cannot be"]
        )
        self.assertEqual(self.faults(Named(start=blocking(start))), ["start: is marked @blocking, and cannot be"])

        @blocking
        class Blocking(Named):
            def start(self, services: Any) -> None: ...
            def data(self, session: Any, transaction: Any, content: Any) -> None: ...

        self.assertEqual(self.faults(Blocking()), [])

    def test_slips_of_the_pen(self) -> None:
        """
        What looks like a hook, and would never be called.
        """

        def one(a: Any) -> None: ...
        def two(a: Any, b: Any) -> None: ...
        def three(a: Any, b: Any, c: Any) -> None: ...

        for name, method, meant in (
            ("on_delivery_sucess", two, "on_delivery_success"),
            ("on_start", one, "on_smtp_error"),
            ("on_data", three, "data"),
            ("on_rcpt_to", three, "rcpt_to"),
            ("on_rcpt", three, "rcpt_to"),
            ("rcptto", three, "rcpt_to"),
            ("RcptTo", three, "rcpt_to"),
            ("rcpt_too", three, "rcpt_to"),
            ("mail_form", two, "mail_from"),
            ("mail_frim", two, "mail_from"),
            ("helo", two, "ehlo"),
            ("start_tls", one, "starttls"),
            ("conect", one, "connect"),
        ):
            (found,) = self.faults(_named(**{name: method}))
            self.assertTrue(found.startswith(f"{name}: no such hook; did you mean "), found)
            if name != "on_start":
                self.assertEqual(found, f"{name}: no such hook; did you mean {meant}?")

    def test_other_names_are_nobodys_business(self) -> None:
        """
        Another number of arguments, another word, no method at all, a property.
        """

        class Other(Named):
            @property
            def conect(self) -> Any:
                raise AssertionError("nobody asks")

        def one(a: Any) -> None: ...

        for name in ("rcptto", "dates", "date", "path", "connected", "content", "mail", "recipient", "_onward"):
            self.assertEqual(self.faults(_named(**{name: one})), [], name)
        self.assertEqual(self.faults(Named(mailfrom="text")), [])
        self.assertEqual(self.faults(Other()), [])


class Holder:
    """
    Holds a factory.
    """

    make = Good


def _raising(name: str) -> None:
    if name == "leave":
        raise SystemExit(3)
    raise RuntimeError("one\ntwo")
