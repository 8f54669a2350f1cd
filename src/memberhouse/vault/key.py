"""The vault's key: from the environment, outside the warehouse."""

from __future__ import annotations

import os
import secrets
from typing import Any

import psycopg

from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings
from memberhouse.vault.tokens import Tokens

KEY_FILE = "vault.key"
_SHORTEST_KEY = 16


def tokens_of(settings: Settings, conn: psycopg.Connection[Any]) -> Tokens:
    """Tokens with this installation's key, once the warehouse has confirmed that it is the one it knows.

    Without a key in the settings, one is made in the file ``vault.key`` of the state folder. Raises
    MemberhouseError for a key that is too short or not the one this version of it was before: rows of one
    person would get two tokens.
    """
    key = settings.vault_key or _key_in_home(settings)
    if len(key) < _SHORTEST_KEY:
        raise MemberhouseError(
            f"MEMBERHOUSE_VAULT_KEY has {len(key)} characters, fewer than {_SHORTEST_KEY}.",
            "Make one: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    tokens = Tokens(key.encode(), settings.vault_key_version)
    conn.execute(
        "insert into ops.vault_key (key_version, fingerprint) values (%s, %s) on conflict do nothing",
        (tokens.version, tokens.fingerprint()),
    )
    known = conn.execute("select fingerprint from ops.vault_key where key_version = %s", (tokens.version,)).fetchone()
    if known != (tokens.fingerprint(),):
        raise MemberhouseError(
            f"The vault key is not the one that this warehouse knows as version {tokens.version}.",
            f"Set MEMBERHOUSE_VAULT_KEY to the key that the warehouse was filled with (without one, it is in {KEY_FILE}"
            " of the state folder of that time), or give a new key a new MEMBERHOUSE_VAULT_KEY_VERSION.",
        )
    return tokens


def _key_in_home(settings: Settings) -> str:
    path = settings.home / KEY_FILE
    settings.home.mkdir(parents=True, exist_ok=True)
    being_written = path.with_name(f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        with open(os.open(being_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"{secrets.token_hex(32)}\n")
        try:
            path.hardlink_to(being_written)  # whole, and only if nobody was faster
        except FileExistsError:
            pass
        finally:
            being_written.unlink()
    return path.read_text().strip()
