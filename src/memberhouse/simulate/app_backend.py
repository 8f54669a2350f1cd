"""A stand-in for the app's back end: its REST API over landed batches, as of any moment, with faults on request.

``GET /v1/<resource>?updated_since=&cursor=&limit=`` → ``{"data": [...], "next_cursor": "…" | null, "as_of": "…"}``
for every resource of `memberhouse.extract.RESOURCES`; docs/app-back-end.md tells the contract. Rows are handed out
as the batches have them, text for text.
"""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import secrets
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from threading import RLock
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel
from starlette.types import Receive, Scope, Send

from memberhouse.errors import MemberhouseError
from memberhouse.extract.resources import RESOURCES
from memberhouse.landing import AnyPath, LandedBatch, find_batches
from memberhouse.settings import Settings
from memberhouse.sources.contract import Feed, Kind
from memberhouse.sources.json_schema import json_schema
from memberhouse.sources.pos import APP_STORE

MOST_ROWS = 1000  # a page
# Where a resource begins, and a place after all others of a moment.
_FIRST = -1
_LAST = 2**62

# How a value of a CSV file is written in JSON; what is not here is a text.
_FROM_TEXT: dict[Kind, Callable[[str], Any]] = {
    "integer": int,
    # a double holds 15 digits, more than money has, and is written with as many as it came with
    "money": float,
    "price": float,
    "quantity": float,
    "boolean": lambda text: {"true": True, "false": False}[text],
}


@dataclass
class _Version:
    row: bytes
    replaced_at: datetime | None = None


class Shelf:
    """A resource: every row in every version, and when it became what it is."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._order: list[tuple[datetime, int]] = []
        self._versions: list[_Version] = []
        self._newest: dict[tuple[str, ...], int] = {}

    def put(self, row: bytes, changed_at: datetime) -> None:
        """Add a row, or replace the one with its key. `changed_at` must not be before the row's last change."""
        key = _key(self._feed, row)
        if key in self._newest:
            before = self._versions[self._newest[key]]
            if before.row == row:
                return
            before.replaced_at = changed_at
        number = len(self._versions)
        self._versions.append(_Version(row))
        self._newest[key] = number
        place = (changed_at, number)
        self._order.insert(bisect_left(self._order, place), place)

    def page(
        self, now: datetime, after: tuple[datetime, int], limit: int
    ) -> tuple[list[bytes], tuple[datetime, int] | None]:
        """Rows that changed behind a place and by `now`, in the order of their changes, as they are by `now`; and the
        place to go on from, None at the end."""
        rows: list[bytes] = []
        end = bisect_right(self._order, (now, _LAST))
        for index in range(bisect_right(self._order, after), end):
            place = self._order[index]
            version = self._versions[place[1]]
            if version.replaced_at is not None and version.replaced_at <= now:
                continue
            if len(rows) == limit:
                return rows, after
            rows.append(version.row)
            after = place
        return rows, None

    def current(self, now: datetime) -> list[bytes]:
        """Every row as it is by `now`."""
        return self.page(now, (datetime.min.replace(tzinfo=UTC), _FIRST), _LAST)[0]


def _key(feed: Feed, row: bytes) -> tuple[str, ...]:
    try:
        values = json.loads(row)
        return tuple(json.dumps(values.get(name)) for name in feed.key)
    except (ValueError, AttributeError, RecursionError):
        return (row.decode(errors="replace"),)


class Fault(BaseModel):
    """What goes wrong with the next `times` answers.

    too_many_requests: 429. server_error: 500. cut: the connection ends in the middle of the page. malformed: half a
    page. misshapen: JSON that is no page. same_cursor: the cursor that was asked with comes back.
    retry_after: what a 429 names: seconds; as_date: as an HTTP date.
    """

    kind: Literal["too_many_requests", "server_error", "cut", "malformed", "misshapen", "same_cursor"]
    times: int = 1
    retry_after: int | None = 0
    as_date: bool = False


class Control(BaseModel):
    """What one may tell the stand-in while it runs (``PUT /control``); what is left out stays as it is."""

    now: AwareDatetime | None = None
    clock_off_seconds: float | None = None
    faults: list[Fault] = []


@dataclass
class AppBackEnd:
    """The API over its shelves.

    now: what has happened by then is there; None: the real time. clock_off: how far its clock (``as_of``) is off.
    faults: taken one by one, an answer each. while_paged: called with the resource after each page.
    """

    token: str
    shelves: dict[str, Shelf] = field(default_factory=lambda: {name: Shelf(feed) for name, feed in RESOURCES.items()})
    now: datetime | None = None
    clock_off: timedelta = timedelta(0)
    faults: deque[Fault] = field(default_factory=deque)
    while_paged: Callable[[str], None] = lambda resource: None
    requests: int = 0
    _lock: RLock = field(default_factory=RLock)

    def put(self, resource: str, row: dict[str, Any] | bytes, changed_at: datetime | None = None) -> None:
        """Add or change a row, now or at another moment."""
        text = row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode()
        with self._lock:
            self.shelves[resource].put(text, changed_at or self.moment())

    def moment(self) -> datetime:
        """What time it is for the back end."""
        return self.now or datetime.now(UTC)

    def control(self, wish: Control) -> None:
        """Set the time, the clock, or what goes wrong next."""
        with self._lock:
            self.now = wish.now or self.now
            if wish.clock_off_seconds is not None:
                self.clock_off = timedelta(seconds=wish.clock_off_seconds)
            for fault in wish.faults:
                self.faults.extend([fault] * fault.times)

    def answer(self, resource: str, since: datetime | None, cursor: str | None, limit: int) -> Response:
        """A page, or the fault that is next."""
        with self._lock:
            self.requests += 1
            fault = self.faults.popleft() if self.faults else None
            if fault and fault.kind == "too_many_requests":
                return Response(status_code=429, headers=_retry_after(fault))
            if fault and fault.kind == "server_error":
                return Response(status_code=500)
            now = self.moment()
            after = _place(cursor) if cursor else (since or datetime.min.replace(tzinfo=UTC), _FIRST)
            rows, place = self.shelves[resource].page(now, after, limit)
            next_cursor = _cursor(place) if place else None
            if fault and fault.kind == "same_cursor":
                next_cursor = cursor or next_cursor
            tail = {"next_cursor": next_cursor, "as_of": (now + self.clock_off).isoformat()}
            content = b'{"data": [' + b",\n".join(rows) + b"], " + json.dumps(tail).encode()[1:]
            self.while_paged(resource)
        if fault and fault.kind == "malformed":
            content = content[: len(content) // 2]
        if fault and fault.kind == "misshapen":
            content = b'{"items": [], "as_of": "today"}'
        cut = fault is not None and fault.kind == "cut"
        return (_CutResponse if cut else Response)(content, media_type="application/json")

    def api(self) -> FastAPI:
        """The HTTP application, with its OpenAPI document under ``/openapi.json``."""
        api = FastAPI(title="App back end (stand-in)", version="1", description=__doc__ or "")
        signed_in = [Depends(self._signed_in)]
        for name, feed in RESOURCES.items():
            api.add_api_route(
                f"/v1/{name}",
                self._endpoint(name),
                operation_id=f"list_{name}",
                summary=feed.meaning,
                dependencies=signed_in,
                response_class=Response,
                responses=_responses(feed),
            )
        api.add_api_route(
            "/control", self.control, methods=["PUT"], status_code=204, dependencies=signed_in, include_in_schema=False
        )
        api.add_api_route("/health", lambda: {"status": "ok"}, include_in_schema=False)
        return api

    def _endpoint(self, resource: str) -> Callable[..., Response]:
        def page(
            updated_since: Annotated[AwareDatetime | None, Query(description="rows that changed then or later")] = None,
            cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
            limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows a page, at most")] = 500,
        ) -> Response:
            return self.answer(resource, updated_since, cursor, limit)

        return page

    def _signed_in(
        self, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        if shown is None or not secrets.compare_digest(shown.credentials.encode(), self.token.encode()):
            raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})


def serve(
    settings: Settings,
    folder: AnyPath,
    *,
    host: str,
    port: int,
    now: datetime | None = None,
    first_day: date | None = None,
) -> None:
    """Serve the landed batches below `folder` until stopped. Raises MemberhouseError without a token to ask for."""
    if not settings.app_token:
        raise MemberhouseError(
            "The stand-in asks for a token, and MEMBERHOUSE_APP_TOKEN is not set.",
            "Set it to a secret of your own, here and where MEMBERHOUSE_APP_URL is set.",
        )
    back_end = AppBackEnd(settings.app_token, read_landed(folder, first_day), now)
    uvicorn.run(back_end.api(), host=host, port=port, log_level="warning")


class _CutResponse(Response):
    """Promises all of its content and ends in the middle."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


def _retry_after(fault: Fault) -> dict[str, str]:
    if fault.retry_after is None:
        return {}
    at = datetime.now(UTC) + timedelta(seconds=fault.retry_after)
    return {"Retry-After": format_datetime(at, usegmt=True) if fault.as_date else str(fault.retry_after)}


def _cursor(place: tuple[datetime, int]) -> str:
    return base64.urlsafe_b64encode(f"{place[0].isoformat()}|{place[1]}".encode()).decode()


def _place(cursor: str) -> tuple[datetime, int]:
    try:
        moment, number = base64.urlsafe_b64decode(cursor).decode().split("|")
        return datetime.fromisoformat(moment), int(number)
    except ValueError as error:
        raise HTTPException(400, "cursor is none of ours") from error


def _responses(feed: Feed) -> dict[int | str, dict[str, Any]]:
    row = {name: value for name, value in json_schema(feed).items() if name != "$schema"}
    page = {
        "type": "object",
        "properties": {
            "data": {"type": "array", "items": row},
            "next_cursor": {"type": ["string", "null"], "description": "null: this was the last page"},
            "as_of": {"type": "string", "format": "date-time", "description": "the server's clock"},
        },
        "required": ["data", "next_cursor", "as_of"],
    }
    return {
        200: {"description": "a page", "content": {"application/json": {"schema": page}}},
        401: {"description": "no token, or not a valid one"},
        429: {"description": "too many requests", "headers": {"Retry-After": {"schema": {"type": "string"}}}},
    }


# ---------------------------------------------------------------- from landed batches


def read_landed(folder: AnyPath, first_day: date | None = None) -> dict[str, Shelf]:
    """The shelves filled with the landed batches of the app, and of the store APP for its orders.

    A row changed when its batch was produced. Left out, since no API could serve it: batches that are not what
    their manifest says, and lines that are no JSON. first_day: only batches of this business date or later.
    """
    shelves = {name: Shelf(feed) for name, feed in RESOURCES.items()}
    batches = [
        (batch.manifest.produced_at.astimezone(UTC), batch)
        for batch in find_batches(folder, sources=("app", f"pos/{APP_STORE}"))
        if batch.manifest and not batch.problem and batch.feed in RESOURCES
        if first_day is None or batch.business_date >= first_day
    ]
    for produced_at, batch in sorted(batches, key=lambda each: each[0]):
        for row in _rows(batch, RESOURCES[batch.feed]):
            shelves[batch.feed].put(row, produced_at)
    return shelves


def _rows(batch: LandedBatch, feed: Feed) -> Iterator[bytes]:
    assert batch.manifest is not None  # noqa: S101  (the caller took only those with one)
    for entry in batch.manifest.files:
        stored = (batch.folder / entry.name).read_bytes() if (batch.folder / entry.name).is_file() else b""
        if hashlib.sha256(stored).hexdigest() != entry.sha256.lower():
            continue
        try:
            content = gzip.decompress(stored) if entry.name.endswith(".gz") else stored
            text = content.decode("utf-8-sig" if batch.manifest.encoding == "utf-8" else batch.manifest.encoding)
        except (OSError, EOFError, UnicodeDecodeError):
            continue
        yield from _json_rows(text) if ".jsonl" in entry.name else _csv_rows(text, feed)


def _json_rows(text: str) -> Iterator[bytes]:
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except RecursionError:
            row = {}
        except ValueError:
            continue
        if isinstance(row, dict):
            yield line.strip().encode()


def _csv_rows(text: str, feed: Feed) -> Iterator[bytes]:
    for fields in csv.DictReader(io.StringIO(text), restkey=""):
        yield json.dumps(dict(_values(feed, fields)), ensure_ascii=False).encode()


def _values(feed: Feed, fields: dict[str, str]) -> Iterable[tuple[str, Any]]:
    for name, text in fields.items():
        if not name:
            continue  # more fields than the header has
        column = feed.column(name)
        convert = _FROM_TEXT.get(column.kind, str) if column else str
        try:
            yield name, convert(text) if text else None
        except (ValueError, KeyError):
            yield name, text
