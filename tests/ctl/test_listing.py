"""
Listings that come in pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import DecodeError, json
from twisted.trial.unittest import SynchronousTestCase

from empath.control.faults import ConnectionLost
from empath.control.terms.safety import ListSuppressed, SuppressedPage, SuppressedRow
from tests.ctl.asked import ran


def many(count: int, most: int = 1000) -> Callable[[ListSuppressed], SuppressedPage]:
    """
    Answer with `count` rows in pages of at most `most`.
    """

    def answer(request: ListSuppressed) -> SuppressedPage:
        start = int(request.after or 0)
        stop = min(start + request.limit, start + most, count)
        rows = tuple(SuppressedRow(f"{at:05}@{'x' * (at % 7)}.example", "why", None) for at in range(start, stop))
        return SuppressedPage(rows, str(stop) if stop < count else "")

    return answer


class ListingTests(SynchronousTestCase):
    """
    Requirements on listings.
    """

    def listed(self, *arguments: str, answer: Any) -> tuple[list[int], list[str], str]:
        """
        List: the limits that were asked for, the lines of output, and what was noted.
        """
        got = ran("suppression", "list", *arguments, answers={ListSuppressed: answer})
        return [request.limit for request in got.asked], got.out.splitlines(), got.err  # type: ignore[attr-defined]

    def test_a_listing_ends_at_its_limit(self) -> None:
        """
        And says how to go on.
        """
        limits, lines, note = self.listed(answer=many(150))
        self.assertEqual((limits, len(lines)), ([100], 101))
        self.assertIn("--after 100", note)

    def test_a_limit_above_a_page_is_asked_for_page_by_page(self) -> None:
        """
        No page is larger than may be asked for, and no row comes twice.
        """
        limits, lines, _ = self.listed("--limit", "2500", answer=many(5000))
        self.assertEqual((limits, len(lines)), ([500] * 5, 2501))
        self.assertEqual(len(set(lines)), 2501)

    def test_short_pages_are_followed_up(self) -> None:
        """
        A page may have less than was asked for.
        """
        limits, lines, note = self.listed("--limit", "10", answer=many(20, most=4))
        self.assertEqual((limits, len(lines)), ([10, 6, 2], 11))
        self.assertIn("--after 10", note)

    def test_columns_go_on_below_one_another(self) -> None:
        """
        The second page has no head, and starts its columns where the first did.
        """
        _, lines, _ = self.listed("--limit", "0", answer=many(1100))
        self.assertEqual(sum(line.startswith("ADDRESS") for line in lines), 1)
        self.assertEqual({line.index("why") for line in lines[1:]}, {lines[0].index("WHY")})

    def test_json_is_one_document(self) -> None:
        """
        With all rows, and the cursor behind them.
        """
        got = ran("suppression", "list", "--limit", "0", "--json", answers={ListSuppressed: many(2500)})
        page = json.decode(got.out, type=SuppressedPage)
        self.assertEqual((len(page.addresses), page.after, got.err), (2500, "", ""))

    def test_it_goes_on_where_another_one_ended(self) -> None:
        """
        By the cursor.
        """
        _, lines, _ = self.listed("--after", "149", answer=many(150))
        self.assertEqual(len(lines), 2)

    def test_a_listing_that_breaks_off_is_an_error(self) -> None:
        """
        What was written before is no whole document.
        """

        def answer(request: ListSuppressed) -> SuppressedPage:
            if request.after:
                raise ConnectionLost("gone")
            return many(5000)(request)

        got = ran("suppression", "list", "--limit", "0", "--json", answers={ListSuppressed: answer})
        self.assertEqual(got.code, 69)
        self.assertRaises(DecodeError, json.decode, got.out)
