"""Alerts: told once a root cause, kept in ``ops.alert``, posted to a webhook if there is one."""

from __future__ import annotations

import json
import logging
import urllib.request
from typing import Any

from psycopg.types.json import Jsonb

from memberhouse import db
from memberhouse.settings import Settings

log = logging.getLogger(__name__)

_WEBHOOK_TIMEOUT_SECONDS = 10


def raise_alert(
    settings: Settings,
    root_cause: str,
    message: str,
    next_action: str,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Tell people about a failure, unless this root cause was told in the last hour.

    root_cause: what makes two alerts the same one, for instance ``release 12 held``.
    Returns whether a new alert was raised. A webhook that does not answer is logged, never raised:
    an alert must not break what it reports.
    """
    with db.connect(settings) as conn:
        conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"alert {root_cause}",))
        told = conn.execute(
            "select 1 from ops.alert where root_cause = %s and raised_at > now() - interval '1 hour'",
            (root_cause,),
        ).fetchone()
        if told:
            return False
        delivered = ["log"]
        log.error("ALERT %s: %s What to do: %s", root_cause, message, next_action)
        if settings.alert_webhook and _post(
            settings.alert_webhook,
            {"root_cause": root_cause, "message": message, "next_action": next_action, **(detail or {})},
        ):
            delivered.append("webhook")
        conn.execute(
            "insert into ops.alert (root_cause, message, next_action, delivered_to, detail)"
            " values (%s, %s, %s, %s, %s)",
            (root_cause, message, next_action, delivered, Jsonb(detail or {})),
        )
    return True


def _post(url: str, body: dict[str, Any]) -> bool:
    if not url.startswith(("http://", "https://")):
        log.error("MEMBERHOUSE_ALERT_WEBHOOK must be an http(s) URL; the alert was not posted")
        return False
    request = urllib.request.Request(  # noqa: S310  (the scheme is checked above)
        url, data=json.dumps(body, default=str).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_WEBHOOK_TIMEOUT_SECONDS):  # noqa: S310  (the scheme is ours)
            return True
    except OSError as error:
        log.error("the alert webhook did not answer: %s", error)
        return False
