"""The stand-in for the app's back end, served on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from memberhouse.simulate.app_backend import AppBackEnd, Control, Fault

TOKEN = "a-token-for-tests"
NOW = datetime(2026, 3, 3, 4, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@contextmanager
def served(back_end: AppBackEnd) -> Iterator[str]:
    """Serves it; gives its address."""
    server = uvicorn.Server(uvicorn.Config(back_end.api(), host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < end, "the stand-in did not start"
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=30)


def fail(back_end: AppBackEnd, kind: Any, times: int = 1, **how: Any) -> None:
    """Something goes wrong with the next answers."""
    back_end.control(Control(faults=[Fault(kind=kind, times=times, **how)]))


def coupon(number: int, changed_at: datetime, **other: Any) -> dict[str, Any]:
    return {"coupon_id": f"C{number}", "funding": "brand", "updated_at": changed_at.isoformat(), **other}


def event(number: int, at: datetime, **other: Any) -> dict[str, Any]:
    return {"event_id": f"E{number}", "account_id": "A1", "name": "open_app", "at": at.isoformat(), **other}


def receipt(number: int, day: str, **other: Any) -> dict[str, Any]:
    return {
        "store_id": "APP",
        "register_id": "1",
        "business_date": day,
        "receipt_no": f"R{number}",
        "receipt_type": "sale",
        "sold_at": f"{day}T12:00:00+08:00",
        "net_amount": 10.5,
        **other,
    }
