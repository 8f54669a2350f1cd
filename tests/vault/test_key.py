"""The key comes from outside the warehouse, and a wrong one is noticed before it does harm."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from memberhouse import db
from memberhouse.errors import MemberhouseError
from memberhouse.settings import Settings
from memberhouse.vault import Tokens, tokens_of
from memberhouse.vault.key import KEY_FILE

pytestmark = pytest.mark.services


def tokens(settings: Settings) -> Tokens:
    with db.connect(settings, autocommit=True) as conn:
        db.ensure_schema(conn)
        return tokens_of(settings, conn)


def test_without_a_key_one_is_made_for_this_home_and_nobody_else_can_read_it(
    warehouse: Settings, tmp_path: Path
) -> None:
    settings = replace(warehouse, home=tmp_path / "home", vault_key=None)
    with ThreadPoolExecutor(8) as pool:
        made = {each.result().fingerprint() for each in [pool.submit(tokens, settings) for _ in range(8)]}
    assert len(made) == 1
    assert stat.S_IMODE((tmp_path / "home" / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == [KEY_FILE]


def test_another_key_of_the_same_version_is_refused_and_a_new_version_is_not(warehouse: Settings) -> None:
    first = replace(warehouse, vault_key="the key of this warehouse")
    tokens(first)
    with pytest.raises(MemberhouseError, match="not the one that this warehouse knows as version 1"):
        tokens(replace(first, vault_key="some other key of somebody"))
    assert tokens(replace(first, vault_key="some other key of somebody", vault_key_version=2)).version == 2
    assert tokens(first).version == 1


def test_a_short_key_is_refused(warehouse: Settings) -> None:
    with pytest.raises(MemberhouseError, match="has 3 characters, fewer than 16"):
        tokens(replace(warehouse, vault_key="abc"))


def test_the_key_is_not_shown_with_the_settings(warehouse: Settings) -> None:
    assert "secret" not in repr(replace(warehouse, vault_key="a secret of sixteen"))
