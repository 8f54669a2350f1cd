"""The pages of a resource, over HTTP: asked for again while that may help, and refused when they break the contract."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
from tenacity import RetryCallState, Retrying, before_sleep_log, retry_if_exception_type, stop_before_delay
from tenacity.stop import stop_base
from tenacity.wait import wait_random_exponential

from memberhouse.errors import AppNotReached, MemberhouseError

log = logging.getLogger(__name__)

_NEXT = "Nothing was landed. See docs/runbook.md, “App back end breaks its contract”."
_READS_OF_A_BROKEN_PAGE = 3
_SHOWN = 200  # characters of a refusal

# A string, or a bracket outside of strings. Possessive: a page of one open string takes no longer than others.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True)
class Patience:
    """How long and how large.

    seconds: for how long a page is asked for again. backoff: seconds before the second try, at most; then
    twice that, and so on, at random below it and never over a minute, unless the back end names a time.
    timeout: seconds without a byte. page_rows: rows asked for a page. pages, page_bytes: more is refused.
    """

    seconds: float = 600
    backoff: float = 1
    timeout: float = 60
    page_rows: int = 500
    pages: int = 100_000
    page_bytes: int = 64 * 2**20


@dataclass(frozen=True)
class Page:
    """A page as it came. rows: the text of each row (a JSON object), without line breaks, not looked into."""

    rows: list[bytes]
    next_cursor: str | None
    as_of: datetime


class _Passing(Exception):
    """An answer that may be another one later. wait: the seconds that the back end asked for."""

    def __init__(self, message: str, wait: float = 0) -> None:
        super().__init__(message)
        self.wait = wait


class _NoPage(_Passing):
    """An answer that is no page: cut on its way perhaps, and if it stays so, broken."""


class _BrokenForGood(stop_base):
    """Stops asking for a page that is none, and stays so."""

    def __init__(self) -> None:
        self._reads = 0

    def __call__(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        self._reads += isinstance(error, _NoPage)
        return self._reads >= _READS_OF_A_BROKEN_PAGE


_MAY_PASS = (_Passing, httpx.TransportError, httpx.DecodingError)


@dataclass
class Pages:
    """Walks through a resource. The first request is for `updated_since` (None: everything), the others for the
    cursor that the page before handed out. earliest, latest: the back end's clock (``as_of``) so far; count:
    pages so far.

    Raises AppNotReached when patience ends; MemberhouseError when the token is refused, and when the back end breaks
    the contract: an answer that is no page, a cursor handed out before, too many pages, a page too large.
    """

    http: httpx.Client
    resource: str
    updated_since: datetime | None
    patience: Patience = field(default_factory=Patience)
    earliest: datetime = datetime.max.replace(tzinfo=UTC)
    latest: datetime = datetime.min.replace(tzinfo=UTC)
    count: int = 0

    def __iter__(self) -> Iterator[Page]:
        seen: set[bytes] = set()  # fingerprints: cursors may be long, and pages many
        cursor: str | None = None
        while True:
            page = self._ask_until_answered(cursor)
            self.count += 1
            self.earliest = min(self.earliest, page.as_of)
            self.latest = max(self.latest, page.as_of)
            cursor = page.next_cursor
            if cursor is not None:
                fingerprint = hashlib.sha256(cursor.encode(errors="surrogatepass")).digest()
                if fingerprint in seen:
                    raise self._broken(f"handed out a cursor a second time, after {self.count:,} pages")
                if self.count >= self.patience.pages:
                    raise self._broken(f"has more than {self.patience.pages:,} pages")
                seen.add(fingerprint)
            yield page
            if cursor is None:
                return

    def _ask_until_answered(self, cursor: str | None) -> Page:
        backoff = wait_random_exponential(multiplier=self.patience.backoff, max=60)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), error.wait if isinstance(error, _Passing) else 0)

        tries = Retrying(
            retry=retry_if_exception_type(_MAY_PASS),
            wait=wait,
            # does not begin a wait, of its own or the back end's choice, that would outlast its patience
            stop=stop_before_delay(self.patience.seconds) | _BrokenForGood(),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
        try:
            return tries(self._ask, cursor)
        except _NoPage as error:
            raise self._broken(f"gave an answer that is no page: {error}") from error
        except _MAY_PASS as error:
            said = str(error) or type(error).__name__
            raise AppNotReached(
                f"The app's back end did not answer for /v1/{self.resource}, page {self.count + 1:,}: {said}.",
                "Nothing was landed, and the next run begins where this one did."
                " See docs/runbook.md, “App back end not reached”.",
            ) from error

    def _ask(self, cursor: str | None) -> Page:
        query: dict[str, str | int] = {"limit": self.patience.page_rows}
        if self.updated_since is not None:
            query["updated_since"] = self.updated_since.isoformat()
        if cursor is not None:
            query["cursor"] = cursor
        with self.http.stream("GET", f"/v1/{self.resource}", params=query, timeout=self.patience.timeout) as answer:
            content = self._content(answer)
        status = answer.status_code
        if status in (401, 403):
            raise MemberhouseError(
                f"The app's back end refused the token for /v1/{self.resource} ({status}).",
                "It is wrong or expired; nothing was landed. See docs/runbook.md, “App back end refuses the token”.",
            )
        if status in (408, 425, 429) or status >= 500:
            raise _Passing(f"it answered {status}", _asked_wait(answer))
        if status != 200:
            raise self._broken(f"answered {status}: {content[:_SHOWN].decode(errors='replace')!r}")
        page = read_page(content)
        if isinstance(page, str):
            # without the answer itself: it may hold personal data, and this goes into logs and alerts
            raise self._broken(f"gave an answer that is no page: {page}")
        return page

    def _content(self, answer: httpx.Response) -> bytes:
        pieces, size = [], 0
        for piece in answer.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > self.patience.page_bytes:
                raise self._broken(f"sent a page of more than {self.patience.page_bytes:,} bytes")
        return b"".join(pieces)

    def _broken(self, how: str) -> MemberhouseError:
        return MemberhouseError(f"The app's back end breaks its contract: /v1/{self.resource} {how}.", _NEXT)


def read_page(content: bytes) -> Page | str:
    """The page, or what keeps a well-formed answer from being one. Raises _NoPage for what is no JSON.

    Rows are cut out by their brackets and not read: whatever is wrong with a row, nested too deeply for a
    reader for instance, is for the loader to quarantine, and the page goes on.
    """
    spans = _row_spans(content)
    rows = [content[start:end] for start, end in spans]
    around = bytearray()
    place = 0
    for start, end in spans:
        around += content[place:start] + b"{}"
        place = end
    try:
        envelope = json.loads(around + content[place:])
    except (ValueError, RecursionError) as error:
        raise _NoPage(str(error)) from error
    if not isinstance(envelope, dict):
        return "it is no JSON object"
    if envelope.get("data") != [{}] * len(rows):
        return "data is not a list of objects, or stands beside another"
    cursor = envelope.get("next_cursor", "")
    if not (cursor is None or (isinstance(cursor, str) and cursor)):
        return "next_cursor is neither a text nor null"
    as_of = _moment(envelope.get("as_of"))
    if as_of is None:
        return "as_of is no moment with an offset"
    return Page([row.replace(b"\n", b" ").replace(b"\r", b" ") for row in rows], cursor, as_of)


def _row_spans(content: bytes) -> list[tuple[int, int]]:
    """Where the objects stand that are in a list that is in the outermost object."""
    spans = []
    open_brackets = bytearray()
    start = 0
    for token in _TOKEN.finditer(content):
        bracket = token[0]
        if bracket in (b"{", b"["):
            if open_brackets == b"{[" and bracket == b"{":
                start = token.start()
            open_brackets += bracket
        elif bracket in (b"}", b"]") and open_brackets:
            opened = open_brackets.pop()
            if open_brackets == b"{[" and opened == ord("{"):
                spans.append((start, token.end()))
    return spans


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment and moment.tzinfo else None


def _asked_wait(answer: httpx.Response) -> float:
    """The seconds that ``Retry-After`` asks for, as a number or a date; 0 where it asks for nothing.

    A date is held against the answer's own ``Date``: the two clocks need not agree.
    """
    asked = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    try:
        until = parsedate_to_datetime(asked)
        now = parsedate_to_datetime(answer.headers["Date"]) if "Date" in answer.headers else datetime.now(UTC)
        return max((until - now).total_seconds(), 0)
    except (ValueError, TypeError):
        return 0
