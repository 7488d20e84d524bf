"""
Aliases of aliases end, whatever they are.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.modules import Address, parse_address
from empath.modules.builtin.alias_map import (
    DEEPEST,
    MOST_VISITS,
    Aliases,
    Entry,
    Key,
    divide,
    read_alias,
    read_key,
    spelled,
)
from empath.policy.mailbox import local_key

NAMES = st.sampled_from(["a", "b", "c", "d+x", "e", "e+x+y"])
DOMAINS = st.sampled_from(["example.org", "example.net", "other.example"])
ADDRESSES = st.builds("{}@{}".format, NAMES, DOMAINS)
WHOM = st.one_of(NAMES, ADDRESSES, DOMAINS.map("@{}".format))
VALUES = st.one_of(
    st.lists(WHOM, min_size=1, max_size=4), st.sampled_from([":discard:", ":fail: no"]).map(lambda text: [text])
)
MAPS = st.dictionaries(WHOM, VALUES, max_size=8)


def ours(address: Address) -> bool:
    """
    Tell whether an address is in one of our domains.
    """
    return address.domain in ("", "example.org", "example.net")


def aliases(table: dict[str, list[str]], **more: object) -> Aliases:
    """
    Make aliases.
    """
    read: dict[Key, Entry] = {read_key(whom): read_alias(targets) for whom, targets in table.items()}
    return Aliases(read, ours, "mx.example.org", **{"delimiter": "+", **more})  # type: ignore[arg-type]  # the tests name real fields


def key(address: Address) -> Key:
    """
    Give what addresses are compared by.
    """
    return local_key(address.local), address.domain


class ExpansionTests(SynchronousTestCase):
    """
    Expansions of random aliases.
    """

    @settings(max_examples=200, deadline=None)
    @given(MAPS, ADDRESSES, st.booleans())
    def test_ends(self, table: dict[str, list[str]], whom: str, keep_detail: bool) -> None:
        """
        An expansion ends, names nobody twice, and ends only at addresses without an alias, unless they are among their
        own targets or a loop was told. Who has no alias is told so.
        """
        known = aliases(table, keep_detail=keep_detail)
        expansion = known.expand(parse_address(whom))
        if expansion is None:
            self.assertIsNone(known.find(parse_address(whom)))
            return
        keys = [(each.local, each.domain) for each in expansion.addresses]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(expansion.refusal is not None and bool(keys), False)
        for each in expansion.addresses:
            found = known.find(each)
            if found is not None and not expansion.loops and not keep_detail:
                entry, detail = found
                targets = [key(known.resolve(target, each, detail)) for target in entry.targets]
                self.assertIn(key(each), targets, f"{each} has an alias, and no loop was told")

    @settings(max_examples=100, deadline=None)
    @given(MAPS, ADDRESSES, st.integers(1, 4))
    def test_bounded(self, table: dict[str, list[str]], whom: str, most: int) -> None:
        """
        No expansion is longer than allowed, by more than the one address that shows it.
        """
        expansion = aliases(table, most=most).expand(parse_address(whom))
        if expansion is not None:
            self.assertLessEqual(len(expansion.addresses), most + 1)
            self.assertEqual(expansion.overflow and len(expansion.addresses) <= most, False)


class DepthTests(SynchronousTestCase):
    """
    Long ways.
    """

    def test_deep(self) -> None:
        """
        Aliases of aliases are followed so far; then mail goes where the way had come to, and that is told.
        """
        table = {f"n{number}": [f"n{number + 1}"] for number in range(DEEPEST + 10)}
        expansion = aliases(table).expand(parse_address("n0@example.org"))
        assert expansion is not None
        self.assertEqual([each.text for each in expansion.addresses], [f"n{DEEPEST}@example.org"])
        self.assertEqual(len(expansion.loops), 1)
        self.assertIn(" → … → ", expansion.loops[0])
        expansion = aliases(table).expand(parse_address("n20@example.org"))
        assert expansion is not None
        self.assertEqual(
            ([each.text for each in expansion.addresses], expansion.loops), ([f"n{DEEPEST + 10}@example.org"], ())
        )

    def test_loop_told(self) -> None:
        """
        The way of a loop is told; an address that names itself is no loop.
        """
        expansion = aliases({"a": ["b"], "b": ["a"], "c": ["c", "d"]}).expand(parse_address("a@example.org"))
        assert expansion is not None
        self.assertEqual(expansion.loops, ("a@example.org → b@example.org → a@example.org",))
        expansion = aliases({"c": ["c", "d"]}).expand(parse_address("c@example.org"))
        assert expansion is not None
        self.assertEqual(expansion.loops, ())

    def test_wide(self) -> None:
        """
        Each address is looked up once, in however many ways it is come to; and what is discarded counts, too.
        """
        table = {f"n{n}": [f"n{n + 1}", f"n{n + 1}@example.net"] for n in range(40)}
        expansion = aliases(table).expand(parse_address("n0@example.org"))
        assert expansion is not None
        self.assertEqual(len(expansion.addresses), 2)
        names = [f"n{number}" for number in range(MOST_VISITS)]
        nobody = {"all": [*names, "a"], **{name: [":discard:"] for name in names}}
        expansion = aliases(nobody).expand(parse_address("all@example.org"))
        assert expansion is not None
        self.assertEqual((expansion.addresses, expansion.overflow), ((), True))


class SelfTests(SynchronousTestCase):
    """
    Aliases that name what they are for.
    """

    def test_meant(self) -> None:
        """
        What an alias made itself it is not for, so that mail may go to details of the same, or all of a domain to
        several there; and that is no loop.
        """
        for table, whom, told in (
            ({"ann": ["ann+inbox", "ann+archive"]}, "ann@example.org", ["ann+inbox", "ann+archive"]),
            ({"ann": ["ann+inbox", "ann+archive"]}, "ann+x@example.org", ["ann+inbox", "ann+archive"]),
            ({"@example.org": ["ann", "bob"]}, "cleo@example.org", ["ann", "bob"]),
        ):
            expansion = aliases(table).expand(parse_address(whom))
            assert expansion is not None
            self.assertEqual([each.local for each in expansion.addresses], told)
            self.assertEqual(expansion.loops, ())
        expansion = aliases({"ann": ["ann+inbox", "ann"]}, keep_detail=True).expand(parse_address("ann+x@example.org"))
        assert expansion is not None
        self.assertEqual([each.local for each in expansion.addresses], ["ann+inbox+x", "ann+x"])

    def test_no_detail(self) -> None:
        """
        Nothing is put behind the target where there is no detail.
        """
        expansion = aliases({"ann": ["bob@example.com"]}, keep_detail=True).expand(parse_address("ann@example.org"))
        assert expansion is not None
        self.assertEqual([each.text for each in expansion.addresses], ["bob@example.com"])

    def test_administrators_without_root(self) -> None:
        """
        Root and postmaster of this host are mailboxes as any other where nobody is to get their mail.
        """
        for text in ("root@localhost", "postmaster@localhost"):
            self.assertIsNone(aliases({"ann": ["bob"]}).expand(parse_address(text)), text)


class TextTests(SynchronousTestCase):
    """
    Texts in parts.
    """

    @settings(max_examples=200)
    @given(st.text('ab,:"[]\\ @.', max_size=20))
    def test_divided(self, text: str) -> None:
        """
        What is parted is whole again with the separators between; and at most so many parts come.
        """
        self.assertEqual(",".join(divide(text, ",")), text)
        self.assertLessEqual(len(divide(text, ",", 1)), 2)
        self.assertEqual(",".join(divide(text, ",", 1)), text)

    @settings(max_examples=200)
    @given(st.text(max_size=30))
    def test_any_text(self, text: str) -> None:
        """
        Any text is an alias, or a ValueError.
        """
        for read in (read_key, read_alias):
            try:
                read(text)
            except ValueError:
                continue

    @settings(max_examples=100)
    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
    def test_spelled(self, local: str) -> None:
        """
        Any printable local part can be spelled, and is itself when it is read.
        """
        address = spelled(local, "example.org")
        assert address is not None
        self.assertEqual(parse_address(address.text).local, local)
