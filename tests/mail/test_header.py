"""
Requirements on header blocks that are read and changed.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from empath.mail.encoded import encode_value
from empath.mail.header import LONGEST, WIDTH, Header, field

BLOCK = b"Received: from a\r\n\tby b\r\nSubject: =?x\r\nX-Dup: 1\r\nx-dup : 2\r\nTo:c@d.example\r\n"
GARBAGE = b" blanks first\r\n>From nobody\r\n\tgoes on\r\n: no name\r\n\xffA: b\r\nSubject: x\r\n"
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=200)


class ReadingTests(SynchronousTestCase):
    """
    Fields of a block.
    """

    def test_fields(self) -> None:
        """
        Names come as they are written, values unfolded and without surrounding blanks.
        """
        self.assertEqual(
            Header(BLOCK).fields(),
            [
                ("Received", "from a\tby b"),
                ("Subject", "=?x"),
                ("X-Dup", "1"),
                ("x-dup", "2"),
                ("To", "c@d.example"),
            ],
        )

    def test_names_are_found_in_any_case(self) -> None:
        """
        The first, or all; with blanks before the colon, too (RFC 5322 §4.5).
        """
        header = Header(BLOCK)
        self.assertEqual((header.get("X-DUP"), header.get("to"), header.get("Cc")), ("1", "c@d.example", None))
        self.assertEqual((header.get_all("x-dup"), header.get_all("cc")), (["1", "2"], []))

    def test_what_is_no_field_is_passed_over(self) -> None:
        """
        Lines without a name are in no field, and what continues them neither; an empty name finds none of them.
        """
        header = Header(GARBAGE)
        self.assertEqual((header.fields(), header.get(""), header.remove("")), ([("Subject", "x")], None, 0))

    def test_octets_that_are_no_utf8(self) -> None:
        """
        They become U+FFFD; UTF-8 is read as such (RFC 6532).
        """
        header = Header("A: grün\r\nB: ".encode() + b"\xfc\r\n")
        self.assertEqual((header.get("a"), header.get("b")), ("grün", "\ufffd"))

    def test_a_bare_lf_ends_a_line(self) -> None:
        """
        A field behind it is one; a bare CR stays what it is.
        """
        header = Header(b"A: x\nBcc: y\n z\r\nB: 1\r2\r\n")
        self.assertEqual(header.fields(), [("A", "x"), ("Bcc", "y z"), ("B", "1\r2")])

    def test_the_last_line_may_have_no_end(self) -> None:
        """
        What is added behind it begins a line of its own.
        """
        header = Header(b"A: x")
        self.assertEqual(header.get("a"), "x")
        header.add("B", "y")
        self.assertEqual(bytes(header), b"A: x\r\nB: y\r\n")

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([b"A: b", b"\r\n", b"\n", b" ", b"\t", b"x-y :", b":", b"\xff", b"\r", b"z"])))
    def test_nothing_is_lost(self, pieces: list[bytes]) -> None:
        """
        Read and written again, every block is what it was.
        """
        block = b"".join(pieces)
        header = Header(block)
        self.assertEqual(bytes(header), block)
        for name, value in header.fields():
            self.assertIn(value, header.get_all(name))


class ChangingTests(SynchronousTestCase):
    """
    What is added, removed and replaced; all else stays byte for byte.
    """

    def test_adding(self) -> None:
        """
        At the end, or before the field of an index; beyond the last one is the end, below zero the top.
        """
        for at, expected in (
            (None, b"A: 1\r\nB: 2\r\nX: y\r\n"),
            (2, b"A: 1\r\nB: 2\r\nX: y\r\n"),
            (1, b"A: 1\r\nX: y\r\nB: 2\r\n"),
            (0, b"X: y\r\nA: 1\r\nB: 2\r\n"),
            (-5, b"X: y\r\nA: 1\r\nB: 2\r\n"),
        ):
            header = Header(b"A: 1\r\nB: 2\r\n")
            header.add("X", "y", at)
            self.assertEqual((bytes(header), header.get("x")), (expected, "y"))

    def test_garbage_survives(self) -> None:
        """
        Whatever is done around it; a field on top comes behind what would continue it.
        """
        header = Header(GARBAGE)
        header.add("Top", "1", 0)
        header.add("End", "2")
        header.remove("Subject")
        self.assertEqual(bytes(header), GARBAGE.replace(b"Subject: x\r\n", b"Top: 1\r\nEnd: 2\r\n"))

    def test_an_empty_block(self) -> None:
        """
        Takes fields as any other.
        """
        header = Header(b"")
        header.add("A", "b", 0)
        self.assertEqual(bytes(header), b"A: b\r\n")

    def test_removing(self) -> None:
        """
        All of a name, or the one of a number; tells how many.
        """
        for number, removed, left in (
            (None, 2, [b"Received", b"Subject", b"To"]),
            (0, 1, [b"Received", b"Subject", b"x-dup ", b"To"]),
            (1, 1, [b"Received", b"Subject", b"X-Dup", b"To"]),
            (2, 0, [b"Received", b"Subject", b"X-Dup", b"x-dup ", b"To"]),
            (-1, 0, [b"Received", b"Subject", b"X-Dup", b"x-dup ", b"To"]),
        ):
            header = Header(BLOCK)
            self.assertEqual(header.remove("x-DUP", number), removed)
            lines = [line for line in bytes(header).split(b"\r\n") if line and not line.startswith(b"\t")]
            self.assertEqual([line.partition(b":")[0] for line in lines], left)

    def test_removing_the_last(self) -> None:
        """
        What is added at the end then comes behind what is left.
        """
        header = Header(b"A: 1\r\nB: 2\r\nC: 3\r\n")
        self.assertEqual((header.remove("B"), header.remove("C")), (1, 1))
        header.add("D", "4")
        self.assertEqual(bytes(header), b"A: 1\r\nD: 4\r\n")

    def test_replacing(self) -> None:
        """
        The field of a number gets another value where it stands; without one it is added.
        """
        header = Header(BLOCK)
        header.replace("X-DUP", "new", 1)
        self.assertEqual(bytes(header), BLOCK.replace(b"x-dup : 2", b"X-DUP: new"))
        header.replace("x-dup", "more", 2)
        self.assertEqual(header.get_all("x-dup"), ["1", "new", "more"])
        self.assertTrue(bytes(header).endswith(b"x-dup: more\r\n"))

    def test_renaming(self) -> None:
        """
        All of a name are called otherwise; what is behind the colon stays, a folded value too.
        """
        header = Header(BLOCK)
        self.assertEqual((header.rename("received", "X-Received"), header.rename("Cc", "To")), (1, 0))
        self.assertEqual(header.rename("x-dup", "X-New"), 2)
        self.assertEqual(header.get_all("x-new"), ["1", "2"])
        changed = BLOCK.replace(b"Received", b"X-Received").replace(b"X-Dup", b"X-New").replace(b"x-dup ", b"X-New")
        self.assertEqual(bytes(header), changed)
        self.assertRaises(ValueError, header.rename, "To", "a b")

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("aridn"), st.sampled_from(["A", "b", "C"]), st.integers(-1, 5))))
    def test_changes_after_changes(self, changes: list[tuple[str, str, int]]) -> None:
        """
        Any number of them, in any order, count as if each had been made in the block that the one before it left.
        """
        header, plain = Header(b"a: 0\r\nB: 1\r\nA: 2"), [["a", "0"], ["B", "1"], ["A", "2"]]
        for turn, (kind, name, number) in enumerate(changes):
            same = [each for each in plain if each[0].lower() == name.lower()]
            value = f"v{turn}"
            if kind == "a" or (kind == "r" and not 0 <= number < len(same)):
                header.add(name, value) if kind == "a" else header.replace(name, value, number)
                plain.append([name, value])
            elif kind == "i":
                header.add(name, value, number)
                plain.insert(max(0, number), [name, value])
            elif kind == "r":
                header.replace(name, value, number)
                same[number][:] = [name, value]
            elif kind == "n":
                self.assertEqual(header.rename(name, "C"), len(same))
                for each in same:
                    each[0] = "C"
            else:
                chosen = None if number == 5 else number
                doomed = same if chosen is None else same[number : number + 1] if number >= 0 else []
                self.assertEqual(header.remove(name, chosen), len(doomed))
                plain = [each for each in plain if not any(each is one for one in doomed)]
            self.assertEqual(header.fields(), [(each[0], each[1]) for each in plain])
            self.assertEqual(header.get_all(name), [each[1] for each in plain if each[0].lower() == name.lower()])
            self.assertEqual(header.size, len(bytes(header)))

    def test_a_field_of_any_number_of_lines(self) -> None:
        """
        Is read in linear time as well (in the square of it, this would take minutes).
        """
        block = b"X-A:" + b" a\r\n" * 1_500_000
        header = Header(block + b"B: 2\r\n")
        self.assertEqual((header.get("B"), header.size), ("2", len(block) + 6))

    def test_thousands_of_fields_go_one_by_one(self) -> None:
        """
        In linear time: as many as a client can put into a block do not hold us up.
        """
        many = 30_000
        header = Header(b"X-A:1\r\n" * many + b"B: 2\r\n")
        for number in reversed(range(many)):
            header.remove("x-a", number)
            header.replace("B", "3")
        self.assertEqual((bytes(header), header.size), (b"B: 3\r\n", 6))

    @settings(max_examples=200, deadline=None)
    @given(NAMES, VALUES, st.booleans(), st.integers(-1, 7))
    def test_what_was_added_is_found(self, name: str, value: str, utf8: bool, at: int) -> None:
        """
        Under its name and, in UTF-8, as it was said; taken out again, the block is what it was.
        """
        header = Header(BLOCK + GARBAGE)
        before = header.get_all(name)
        try:
            header.add(name, value, at, utf8)
        except ValueError:
            self.assertTrue(not value.isascii() or len(value) > 990, value)
            self.assertEqual(bytes(header), BLOCK + GARBAGE)
            return
        self.assertEqual(len(header.get_all(name)), len(before) + 1)
        if utf8 or value.isascii():
            self.assertIn(value.strip(" \t"), header.get_all(name))
        lines = bytes(header).split(b"\r\n")
        self.assertTrue(all(len(line) <= LONGEST for line in lines))
        self.assertTrue(utf8 or field(name, value, utf8).isascii())
        if not before:
            header.remove(name)
            self.assertEqual(bytes(header), BLOCK + GARBAGE)


class WritingTests(SynchronousTestCase):
    """
    One field.
    """

    def test_nothing_is_injected(self) -> None:
        """
        Names and values that would be more, or less, than one field are refused.
        """
        for name in ("", "A:", "A b", "A\r\nB", "ü", "A\0", " A", "A\t"):
            self.assertRaises(ValueError, field, name, "x")
        for value in (
            *(
                "a\r\nBcc: x",
                "a\nBcc: x",
                "a\rBcc: x",
                "a\r\n",
                "a\n\n b",
                "a\r\n \r\n b",
                "a\0b",
                "a\r b",
                "\r\n\r\nx",
            ),
            *("ü\r\nBcc: x", "ü\nx", "a\ud800", "a\r\n \r\n\tb"),
        ):
            for utf8 in (False, True):
                self.assertRaises(ValueError, field, "X", value, utf8)

    def test_an_empty_value(self) -> None:
        """
        Leaves no blank at the end of the line.
        """
        self.assertEqual((field("X", ""), field("X", " \t")), (b"X:\r\n", b"X:\r\n"))

    def test_folding(self) -> None:
        """
        A long value is divided before blanks, at 78 columns where that can be; taken together it is the same.
        """
        value = " ".join(["word"] * 40)
        written = field("Subject", value)
        self.assertTrue(all(len(line) <= WIDTH for line in written.split(b"\r\n")))
        self.assertEqual(Header(written).get("subject"), value)
        long = "x" * 100
        self.assertEqual(field("Subject", f"{long} b"), f"Subject: {long}\r\n b\r\n".encode())
        self.assertEqual(field("Subject", f"a{' ' * 90}b"), f"Subject: a{' ' * 89}\r\n b\r\n".encode())
        self.assertEqual(field("N" * 90, "a b"), b"N" * 90 + b": a\r\n b\r\n")
        self.assertEqual(field("N" * 90, ""), b"N" * 90 + b":\r\n")

    def test_a_value_that_is_folded_keeps_its_lines(self) -> None:
        """
        A signature counts on them; line ends become CRLF.
        """
        self.assertEqual(field("DKIM-Signature", "v=1;\n\tb=x y\r\n z"), b"DKIM-Signature: v=1;\r\n\tb=x y\r\n z\r\n")
        self.assertEqual(field("X-Spam-Report", "\n\t* one"), b"X-Spam-Report:\r\n\t* one\r\n")

    def test_what_no_line_can_hold(self) -> None:
        """
        More than 998 octets without a blank is refused (RFC 5322 §2.1.1).
        """
        self.assertEqual(len(field("A", "x" * 995)), 1000)
        self.assertRaises(ValueError, field, "A", "x" * 996)
        self.assertRaises(ValueError, field, "A", "ü" * 499, True)
        self.assertRaises(ValueError, field, "A", "a\n " + "x" * 998)

    def test_not_ascii(self) -> None:
        """
        Words that are not ASCII become encoded-words (RFC 2047), those between two of them with them; under SMTPUTF8
        they stay (RFC 6532).
        """
        self.assertEqual(field("Subject", "a grün b", True), "Subject: a grün b\r\n".encode())
        self.assertEqual(field("Subject", "a grün b"), b"Subject: a =?utf-8?b?Z3LDvG4=?= b\r\n")
        self.assertEqual(field("Subject", "grün ü"), b"Subject: =?utf-8?b?Z3LDvG4gw7w=?=\r\n")
        self.assertEqual(encode_value("Subject", "a  ü  \tö b ä "), "a  =?utf-8?b?w7wgIAnDtg==?= b =?utf-8?b?w6Q=?= ")
        for line in field("Subject", "ü" * 200).split(b"\r\n"):
            self.assertTrue(all(len(word) <= 75 for word in line.split()), line)

    def test_no_value_takes_long(self) -> None:
        """
        Whatever it is made of: what it says may come from a peer.
        """
        for piece in ("x", '"', '\\"', "\\", " ", ", ", "ü", "ü ", "<", "(", '"x', '" '):
            for name in ("Subject", "To"):
                try:
                    encode_value(name, piece * 50_000 + "ü")
                except ValueError:
                    continue

    def test_names_of_people(self) -> None:
        """
        Where addresses stand their names are encoded; an address that is not ASCII is refused without SMTPUTF8.
        """
        self.assertEqual(
            encode_value(
                "To", 'Jürgen M <j@x.example>, "Übel,  \\"Max" <m@x.example>,"a, b" <c@x.example> , d@x.example'
            ),
            "=?utf-8?b?SsO8cmdlbiBN?= <j@x.example>, =?utf-8?b?w5xiZWwsICAiTWF4?= <m@x.example>"
            ',"a, b" <c@x.example> , d@x.example',
        )
        for value in ("jürgen@x.example", "Jürgen", "Jürgen <>", "j@x.example, ü@x.example", 'a <j@x.example>, "ü'):
            self.assertRaises(ValueError, field, "Resent-To", value)
        self.assertEqual(field("To", "ü@x.example", True), "To: ü@x.example\r\n".encode())
