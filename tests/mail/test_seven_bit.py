"""
Requirements on the conversion of single messages to 7 bits.
"""

from __future__ import annotations

import binascii
from email import message_from_bytes
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from empath.mail.seven_bit import Converter, Encoding, NotConvertible, Survey
from tests.mail.mime_trees import structure

PIECE: Final = 65536
HOLD_PIECE: Final = 2 * PIECE
UTF8: Final = "grün".encode()
TOP: Final = b"Subject: x\r\nMIME-Version: 1.0\r\n"
EIGHT: Final = b"Content-Transfer-Encoding: 8bit\r\n"
SEVEN: Final = b"Content-Transfer-Encoding: 7bit\r\n"
QP: Final = b"Content-Transfer-Encoding: quoted-printable\r\n"
BASE64: Final = b"Content-Transfer-Encoding: base64\r\n"
MIXED: Final = b"Content-Type: multipart/mixed; boundary=b\r\n"


def converted(message: bytes, plan: tuple[Encoding, ...] = ()) -> bytes:
    """
    Convert a message that comes in pieces of the usual size.
    """
    converter = Converter(plan)
    pieces = [converter.feed(message[at : at + PIECE]) for at in range(0, len(message), PIECE)]
    return b"".join(pieces) + converter.finish()


def joined(message: bytes) -> bytes:
    """
    Convert a message that comes as a whole.
    """
    converter = Converter()
    return converter.feed(message) + converter.finish()


def surveyed(message: bytes) -> tuple[Encoding, ...]:
    """
    Look through a message.
    """
    survey = Survey()
    survey.feed(message)
    return survey.finish()


class Cases(SynchronousTestCase):
    """
    What most tests assert.
    """

    def becomes(self, before: bytes, after: bytes) -> None:
        """
        A message is converted so.
        """
        self.assertEqual(converted(before), after)

    def stays(self, message: bytes) -> None:
        """
        A message is not changed.
        """
        self.assertEqual(converted(message), message)

    def refused(self, message: bytes, why: str) -> None:
        """
        A message is not convertible, and a survey knows it, too.
        """
        with self.assertRaises(NotConvertible) as caught:
            converted(message)
        self.assertIn(why, caught.exception.reason)
        self.assertEqual(str(caught.exception), caught.exception.reason)
        self.assertRaises(NotConvertible, surveyed, message)

    def sealed(self, message: bytes, why: str) -> None:
        """
        A message in which UTF8 stands is refused; the same in ASCII stays.
        """
        self.refused(message, why)
        self.stays(message.replace(UTF8, b"green"))


class LeafTests(Cases):
    """
    Messages of one part.
    """

    def test_text(self) -> None:
        """
        Declared 8-bit text becomes quoted-printable; its charset and the order of fields stay.
        """
        kind = b"Content-Type: text/plain; charset=utf-8\r\n"
        self.becomes(
            TOP + EIGHT + kind + b"\r\n" + UTF8 + b" = \r\n.\r\nFrom me\r\n",
            TOP + kind + QP + b"\r\ngr=C3=BCn =3D=20\r\n=2E\r\nFrom me\r\n",
        )

    def test_text_that_never_was_mime(self) -> None:
        """
        It is made MIME, of an unknown charset (RFC 1428).
        """
        told = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" + QP
        self.becomes(b"Subject: x\r\n\r\n\xff\r\n", b"Subject: x\r\n" + told + b"\r\n=FF\r\n")
        self.becomes(b"\r\n\xff", told + b"\r\n=FF=\r\n")

    def test_mime_version_is_added(self) -> None:
        """
        A message that labels its type but not its version gets the version; a part needs none.
        """
        kind = b"Content-Type: text/html\r\n"
        self.becomes(kind + b"\r\n\xff", kind + b"MIME-Version: 1.0\r\n" + QP + b"\r\n=FF=\r\n")
        self.becomes(
            TOP + MIXED + b"\r\n--b\r\n" + kind + b"\r\n\xff\r\n--b--\r\n",
            TOP + MIXED + b"\r\n--b\r\n" + kind + QP + b"\r\n=FF\r\n--b--\r\n",
        )

    def test_other_types(self) -> None:
        """
        What is no text becomes base64, in lines of 76 characters.
        """
        kind = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
        content = bytes(range(256))
        encoded = converted(TOP + kind + b"Content-Transfer-Encoding:\r\n binary\r\n\r\n" + content)
        header, _, body = encoded.partition(b"\r\n\r\n")
        self.assertEqual(header + b"\r\n", TOP + kind + BASE64)
        self.assertEqual([len(line) for line in body.split(b"\r\n")], [76, 76, 76, 76, 40, 0])
        self.assertEqual(binascii.a2b_base64(body), content)

    def test_text_that_is_none(self) -> None:
        """
        Bare newlines and NUL make base64 of text, as of everything else.
        """
        kind = b"Content-Type: text/plain\r\n"
        for content in (b"a\nb", b"a\rb", b"a\0b", b"a\r\r\nb", b"a\r"):
            coded = binascii.b2a_base64(content, newline=False)
            self.becomes(TOP + kind + b"\r\n" + content, TOP + kind + BASE64 + b"\r\n" + coded + b"\r\n")

    def test_labels_that_claim_more(self) -> None:
        """
        7-bit content that is labelled 8bit or binary is labelled 7bit, and stays; an empty one, too.
        """
        seven = b"Content-Transfer-Encoding: 7bit\r\n"
        self.becomes(TOP + EIGHT + b"\r\nabc\r\n", TOP + seven + b"\r\nabc\r\n")
        self.becomes(TOP + b"content-transfer-ENCODING:Binary(x)\r\n\r\n", TOP + seven + b"\r\n")

    def test_long_lines(self) -> None:
        """
        A leaf with lines that SMTP cannot carry is encoded.
        """
        self.stays(TOP + b"\r\n" + b"x" * 998 + b"\r\n")
        for message in (TOP + b"\r\n" + b"x" * 999, TOP + b"\r\n" + b"x" * 300_000 + b"\r\ny \r\n"):
            after = converted(message)
            self.assertLessEqual(max(map(len, after.partition(b"\r\n\r\n")[2].split(b"\r\n"))), 76)
            self.assertEqual(structure(after), structure(message))

    def test_long_lines_of_bytes(self) -> None:
        """
        Endless lines are encoded in pieces, wherever the last character of a piece comes to stand.
        """
        for length in range(HOLD_PIECE, HOLD_PIECE + 80):
            message = TOP + b"\r\n\xff" + b"x" * length
            after = converted(message)
            self.assertLessEqual(max(map(len, after.split(b"\r\n"))), 76)
            self.assertEqual(structure(after), structure(message))

    def test_last_line_without_end(self) -> None:
        """
        It has none after decoding either, and no line is too long.
        """
        for length in range(70, 80):
            message = TOP + b"\r\n\xff\r\n" + b"x" * length
            after = converted(message)
            self.assertLessEqual(max(map(len, after.split(b"\r\n"))), 76)
            self.assertTrue(after.endswith(b"=\r\n"))
            self.assertEqual(structure(after), structure(message))

    def test_bare_newlines_far_behind(self) -> None:
        """
        Text that shows only late that it is none loses nothing.
        """
        line = UTF8 * 12 + b" \r\n"
        message = TOP + EIGHT + b"\r\n" + line * 2000 + b"a\nb\rc\0 \n" + b"x" * 100 + b"\r\n" + line
        after = converted(message)
        self.assertEqual(joined(message), after)
        self.assertTrue(after.isascii())
        self.assertEqual(structure(after), structure(message))
        self.assertLessEqual(max(map(len, after.split(b"\r\n"))), 76)
        self.assertNotIn(b"\n", after.replace(b"\r\n", b""))

    def test_message_types(self) -> None:
        """
        Types of messages that may be encoded are (RFC 6532 §3.7), as lines.
        """
        kind = b"Content-Type: message/global\r\n"
        self.becomes(TOP + kind + b"\r\nTo: \xff\r\n", TOP + kind + QP + b"\r\nTo: =FF\r\n")

    def test_odd_types(self) -> None:
        """
        What cannot be read as a type, and cannot hold parts, is a leaf.
        """
        for kind, label in ((b"text", QP), (b"text/plain charset=x", QP), (b"", BASE64), (b"image/", BASE64)):
            after = converted(TOP + b"Content-Type: " + kind + b"\r\n\r\n\xff")
            self.assertIn(label, after)

    def test_only_a_header_block(self) -> None:
        """
        A message without body stays, whatever its labels, with and without the last line end.
        """
        self.stays(b"")
        self.stays(TOP + EIGHT)
        self.stays(TOP + b"Subject: x")
        self.stays(TOP + MIXED)


class PlanTests(Cases):
    """
    Long leaves, and what a survey is good for.
    """

    text = TOP + MIXED + b"\r\n--b\r\n\r\n" + b"usual text = text\r\n" * 10_000
    late = text + b"\xff\r\n--b--\r\n"

    def test_undeclared_text_is_encoded_beyond_the_bound(self) -> None:
        """
        8-bit content that comes late is still encoded, at the price of 7-bit content that never has any.
        """
        for message in (self.late, self.text):
            after = converted(message)
            self.assertEqual(joined(message), after)
            self.assertTrue(after.isascii())
            self.assertEqual(structure(after), structure(message))
            self.assertIn(QP, after)

    def test_undeclared_bytes_beyond_the_bound(self) -> None:
        """
        The same for what is no text.
        """
        for end in (b"\xff", b""):
            message = TOP + b"Content-Type: image/x\r\n\r\n" + b"x\r\n" * 40_000 + end
            after = converted(message)
            self.assertIn(BASE64, after)
            self.assertEqual(structure(after), structure(message))

    def test_a_survey_saves_it(self) -> None:
        """
        With a plan the same is encoded as needed, and what is 7-bit stays, whatever its length.
        """
        self.assertEqual(surveyed(self.text), (Encoding.NONE,))
        self.assertEqual(converted(self.text, surveyed(self.text)), self.text)
        self.assertEqual(surveyed(self.late), (Encoding.QUOTED_PRINTABLE,))
        self.assertEqual(converted(self.late, surveyed(self.late)), converted(self.late))

    def test_each_leaf_has_its_place_in_the_plan(self) -> None:
        """
        Also an empty one; what is sealed has none.
        """
        image = b"Content-Type: image/x\r\n"
        message = (
            TOP
            + MIXED
            + b"\r\n--b\r\n\r\n--b\r\n"
            + BASE64
            + b"\r\nYQ==\r\n--b\r\n"
            + image
            + b"\r\n\xff\r\n--b\r\n\r\na\0\r\n--b--"
        )
        self.assertEqual(surveyed(message), (Encoding.NONE, Encoding.BASE64, Encoding.BASE64))
        self.assertEqual(converted(message, surveyed(message)), converted(message))

    def test_memory_is_bounded(self) -> None:
        """
        What was fed comes out but for the bound.
        """
        for label in (EIGHT, b"", BASE64):
            converter = Converter()
            given = len(converter.feed(TOP + label + b"\r\n"))
            for _ in range(100):
                given += len(converter.feed(b"x" * 8190 + b"\r\n"))
            self.assertGreater(given, 100 * 8192 - 70_000)


class MultipartTests(Cases):
    """
    Parts within parts.
    """

    def test_labels_of_multiparts(self) -> None:
        """
        8bit and binary become 7bit; each part is seen to on its own.
        """
        self.becomes(
            TOP + MIXED + EIGHT + b"\r\n--b\r\n\r\nab\r\n--b \r\n\r\n\xff\r\n--b--\r\n",
            TOP
            + MIXED
            + b"Content-Transfer-Encoding: 7bit\r\n\r\n--b\r\n\r\nab\r\n--b \r\n"
            + b"Content-Type: text/plain; charset=unknown-8bit\r\n"
            + QP
            + b"\r\n=FF\r\n--b--\r\n",
        )

    def test_messages_in_messages(self) -> None:
        """
        They are never encoded themselves; what they hold is, as a message of its own.
        """
        outer = b"Content-Type: message/rfc822\r\n"
        self.becomes(
            TOP + outer + EIGHT + b"\r\nSubject: y\r\nContent-Type: text/x\r\n\r\n\xff\r\n",
            TOP
            + outer
            + b"Content-Transfer-Encoding: 7bit\r\n\r\nSubject: y\r\nContent-Type: text/x\r\nMIME-Version: 1.0\r\n"
            + QP
            + b"\r\n=FF\r\n",
        )

    def test_digest(self) -> None:
        """
        Its parts are messages unless they say something else (RFC 2046 §5.1.5).
        """
        digest = TOP + b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
        self.becomes(
            digest + b"--b\r\n\r\nSubject: y\r\nContent-Type: image/x\r\n\r\n\xff\r\n--b--\r\n",
            digest
            + b"--b\r\n\r\nSubject: y\r\nContent-Type: image/x\r\nMIME-Version: 1.0\r\n"
            + BASE64
            + b"\r\n/w==\r\n--b--\r\n",
        )
        self.assertEqual(surveyed(digest + b"--b\r\nContent-Type: text/x\r\n\r\n\xff"), (Encoding.QUOTED_PRINTABLE,))

    def test_delimiters_without_space(self) -> None:
        """
        Parts may be empty, have no empty line, or end with the message; a delimiter may follow a delimiter.
        """
        inner = b"Content-Type: multipart/x; boundary=b1\r\n"
        for body in (
            b"--b\r\n\r\n--b\r\nX: y\r\n--b--\r\n",
            b"--b\r\n--b\r\n--b--",
            b"--b",
            b"--b\r\nX: y",
            b"--b\r\nX: y\r\n--b--",
            b"--b\r\n" + inner + b"\r\n--b1\r\n\r\nx\r\n--b1--\r\n--b--\r\nepilogue",
            b"--b\r\n" + inner + b"\r\n--b1\r\n\r\nx\r\n--b\r\n\r\ny",
            b"--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n",
            b"--b\r\nContent-Type: message/rfc822\r\n\r\nX: y\r\n--b--\r\n",
        ):
            self.stays(TOP + MIXED + b"\r\n" + body)
            self.stays(TOP + MIXED + b"\r\npreamble\r\n" + body)

    def test_lines_like_delimiters(self) -> None:
        """
        Only a whole line is a delimiter: a boundary may begin like another one, and text with dashes is text.
        """
        inner = b"Content-Type: multipart/x; boundary=b1\r\n"
        body = b"--b\r\n" + inner + b"\r\n--b1\r\n\r\n--bx\r\n--\r\n--b1 x\r\n\xff\r\n--b1--\r\n--b--\r\n"
        self.assertIn(
            b"\r\n--bx\r\n--\r\n--b1 x\r\n=FF\r\n--b1--\r\n--b--\r\n", converted(TOP + MIXED + b"\r\n" + body)
        )
        endless = b"--b" + b" " * 2000
        self.assertEqual(len(surveyed(TOP + MIXED + b"\r\n--b\r\n\r\n" + endless + b"\r\n--b--")), 1)
        self.assertEqual(len(surveyed(TOP + MIXED + b"\r\n--b\r\n\r\n" + endless)), 1)

    def test_how_boundaries_are_written(self) -> None:
        """
        In quotes, folded, with what should be quoted, among other parameters.
        """
        for parameters, boundary in (
            (b'; boundary="a b"', b"a b"),
            (b';\r\n\tBOUNDARY = "a\\"b" ; x=y;', b'a"b'),
            (b"; type=text/html; boundary=----=_Part_1", b"----=_Part_1"),
            (b'; boundary="b "', b"b"),
            (b"; boundary=b; boundary=b", b"b"),
        ):
            head = TOP + b"Content-Type: multipart/mixed" + parameters + b"\r\n\r\n--" + boundary
            self.assertIn(b"=FF", converted(head + b"\r\n\r\n\xff\r\n--" + boundary + b"--\r\n"))


class SealedTests(Cases):
    """
    What may not be changed.
    """

    def test_signed_and_encrypted(self) -> None:
        """
        Nothing in them is touched, up to the delimiter of what holds them.
        """
        for kind, why in ((b"signed", "signature"), (b"encrypted", "encrypted")):
            part = b"Content-Type: multipart/" + kind + b"; boundary=s\r\n\r\n--s\r\n" + EIGHT + b"\r\n" + UTF8
            self.sealed(TOP + part + b"\r\n--s--\r\n", why)
            self.sealed(TOP + MIXED + b"\r\n--b\r\n" + part + b"\r\n--s--\r\n--b\r\n\r\nx\r\n--b--\r\n", why)
            beside = b"\r\n--s--\r\n--b\r\n\r\n\xff\r\n--b--\r\n"
            after = converted(TOP + MIXED + b"\r\n--b\r\n" + part.replace(UTF8, b"green") + beside)
            self.assertIn(EIGHT + b"\r\ngreen\r\n--s--\r\n--b\r\n", after)
            self.assertIn(QP + b"\r\n=FF\r\n--b--\r\n", after)

    def test_fragments_and_references(self) -> None:
        """
        message/partial and message/external-body are 7-bit or wrong (RFC 2046 §5.2.2, §5.2.3).
        """
        self.sealed(TOP + b"Content-Type: message/partial; id=x\r\n\r\n" + UTF8, "fragment")
        self.sealed(TOP + b"Content-Type: Message/External-Body (x); x=y\r\n\r\n" + UTF8, "cannot be read")
        self.sealed(TOP + b"Content-Type: Message/External-Body; x=y\r\n\r\n" + UTF8, "external")

    def test_broken_encodings(self) -> None:
        """
        8-bit content that claims to be encoded, and encodings nobody knows.
        """
        for label in (b"base64", b"quoted-printable", b"x-uuencode", b"8-bit"):
            for kind in (b"text/plain", b"message/rfc822", b"multipart/mixed; boundary=b"):
                head = b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + label + b"\r\n\r\n"
                self.sealed(TOP + head + b"--b\r\n\r\n" + UTF8 + b"\r\n--b--\r\n", "labelled as encoded")

    def test_header_blocks(self) -> None:
        """
        8-bit, NUL or a bare newline in a header block is nothing that encoding can mend.
        """
        for wrong in (b"\xff", b"\0", b"x\ny", b"\r"):
            self.refused(TOP + b"X: " + wrong + b"\r\n\r\n", "header block")
            self.refused(TOP + b"X: " + wrong, "header block")
            self.refused(TOP + MIXED + b"\r\n--b\r\nX: " + wrong + b"\r\n\r\n", "header block")

    def test_outside_of_parts(self) -> None:
        """
        8-bit text in a preamble or an epilogue, or where no part ever begins.
        """
        self.sealed(TOP + MIXED + b"\r\n" + UTF8 + b"\r\n--b\r\n\r\n--b--\r\n", "outside")
        self.sealed(TOP + MIXED + b"\r\n--b\r\n\r\n--b--\r\n" + UTF8, "outside")
        self.sealed(TOP + MIXED + b"\r\n--c\r\n\r\n" + UTF8, "outside")

    def test_boundaries_that_readers_may_read_differently(self) -> None:
        """
        None, an empty, endless, split, extended or contradicting one, or in comments.
        """
        for parameters in (
            b"",
            b"; boundary=",
            b'; boundary=""',
            b"; boundary=" + b"x" * 901,
            b"; boundary*0=b; boundary*1=c",
            b"; boundary*=us-ascii''b",
            b"; boundary=b; boundary=c",
            b"; boundary=b (c)",
            b'; boundary="b',
            b"; boundary=b c",
            b"; boundary",
        ):
            head = TOP + b"Content-Type: multipart/mixed" + parameters + b"\r\n\r\n--b\r\n\r\n"
            self.sealed(head + UTF8 + b"\r\n--b--\r\n", "boundary")

    def test_types_that_readers_may_read_differently(self) -> None:
        """
        What may be meant to hold parts or a message.
        """
        for kind in (b"multipart", b"multipart mixed; boundary=b", b"(x) message/rfc822", b"multipart/; boundary=b"):
            self.sealed(TOP + b"Content-Type: " + kind + b"\r\n\r\n" + UTF8, "type")

    def test_fields_that_contradict(self) -> None:
        """
        Two types, two encodings; the same one twice is one.
        """
        self.sealed(TOP + b"Content-Type: text/x\r\n" + MIXED + b"\r\n" + UTF8, "twice")
        self.sealed(TOP + EIGHT + BASE64 + b"\r\n" + UTF8, "twice")
        self.becomes(TOP + MIXED + MIXED + EIGHT + EIGHT + b"\r\n", TOP + MIXED + MIXED + SEVEN + b"\r\n")

    def test_header_blocks_that_are_none(self) -> None:
        """
        Readers do not agree where the body begins behind a line that is no field.
        """
        for line in (b"no field\r\n", b" continues nothing\r\n", b"Sub ject: x\r\n", b": x\r\n"):
            self.sealed(line + TOP + b"\r\n" + UTF8, "no field")
            self.sealed(TOP + MIXED + b"\r\n--b\r\n" + line + b"\r\n" + UTF8 + b"\r\n--b--\r\n", "no field")

    def test_endless_header_blocks(self) -> None:
        """
        They are passed on without being kept.
        """
        for block in (b"X: y\r\n" * 100_000, b"X: " + b"y" * 300_000 + b"\r\n"):
            self.sealed(TOP + block + b"\r\n" + UTF8, "no field")
            self.stays(TOP + MIXED + b"\r\n--b\r\n" + block + b"\r\n--b\r\n\r\nx\r\n--b--\r\n")

    def test_multiparts_that_cannot_be_told_apart(self) -> None:
        """
        A boundary within itself, or one that ends like another one's end; a hundred of them within one another.
        """
        for inner in (b"b", b"b--"):
            part = b"Content-Type: multipart/x; boundary=" + inner + b"\r\n\r\nx " + UTF8
            self.sealed(TOP + MIXED + b"\r\n--b\r\n" + part + b"\r\n--b--\r\n", "told from one another")
        outer = TOP + MIXED.replace(b"=b", b"=b--")
        part = b"Content-Type: multipart/x; boundary=b\r\n\r\nx " + UTF8
        self.sealed(outer + b"\r\n--b--\r\n" + part, "told from one another")
        nested = b"".join(b"Content-Type: multipart/x; boundary=n%d.\r\n\r\n--n%d.\r\n" % (at, at) for at in range(101))
        self.sealed(TOP + nested + b"\r\n" + UTF8, "told from one another")
        self.assertIn(
            b"=FF", converted(TOP + nested[: nested.index(b"Content-Type: multipart/x; boundary=n100")] + b"\r\n\xff")
        )


class ParserTests(SynchronousTestCase):
    """
    What Python's email package makes of it.
    """

    def test_no_defects(self) -> None:
        """
        A converted message has no defects of its own.
        """
        message = TOP + MIXED + EIGHT + b"\r\n--b\r\n\r\n\xff\r\n--b\r\nContent-Type: a/b\r\n\r\n\0\r\n--b--\r\n"
        for part in message_from_bytes(converted(message)).walk():
            self.assertEqual(part.defects, [])
