"""Connections to the warehouse."""

from __future__ import annotations

import hashlib
from importlib import resources

import psycopg
from psycopg import sql

from memberhouse.settings import Settings

BI_ROLE = "memberhouse_bi"

# Serialises schema set-up between processes that start at the same moment.
_SCHEMA_LOCK = 7_305_001

# Shared by whoever loads a batch, held alone by a build: no batch comes or goes while its models are computed.
RAW_LOCK = 7_305_003


def database_url(settings: Settings) -> str:
    """The warehouse's libpq URL. Starts the embedded Postgres when no DATABASE_URL is set."""
    if settings.database_url:
        return settings.database_url
    from memberhouse.local import postgres

    return postgres.ensure_running(settings.home)


def connect(settings: Settings, *, autocommit: bool = False) -> psycopg.Connection:
    """Open a connection as the warehouse's owner. The caller closes it (``with connect(...)``)."""
    return psycopg.connect(database_url(settings), autocommit=autocommit, application_name="memberhouse")


def ensure_schema(conn: psycopg.Connection) -> None:
    """Create the schemas, roles and bookkeeping tables that are missing. Safe to call at any time.

    The statements are in ``memberhouse/schema/*.sql``, applied in the order of their names, in one
    transaction under an advisory lock; the database remembers their fingerprint. Where it is the same,
    nothing is touched: even "create … if not exists" waits for, and blocks, whoever works on the table.
    """
    scripts = sorted(
        (script for script in (resources.files("memberhouse") / "schema").iterdir() if script.name.endswith(".sql")),
        key=lambda script: script.name,
    )
    statements = [script.read_text(encoding="utf-8") for script in scripts]
    fingerprint = f"schema {hashlib.sha256(chr(0).join(statements).encode()).hexdigest()}"
    if _schema_fingerprint(conn) == fingerprint:
        return
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
        if _schema_fingerprint(conn) == fingerprint:
            return
        for statement in statements:
            conn.execute(statement.encode())
        conn.execute(sql.SQL("comment on schema ops is {}").format(sql.Literal(fingerprint)))


def _schema_fingerprint(conn: psycopg.Connection) -> str | None:
    row = conn.execute("select obj_description(to_regnamespace('ops'), 'pg_namespace')").fetchone()
    return row[0] if row else None


def as_bi_role(conn: psycopg.Connection, role: str = BI_ROLE) -> None:
    """Give up the owner's rights for this session: it reads ``bi`` and nothing else."""
    conn.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
    # the role's own settings count only for who signs in as it
    conn.execute("set statement_timeout = '60s'")
    conn.execute("set default_transaction_read_only = on")
