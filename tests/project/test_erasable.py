"""What keeps a member erasable: an erasure changes ids, and no number may follow from one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Of no id of a member: a receipt's key, a view's text, the name of a lock.
HASHING = {Path(f"dbt_project/macros/{name}.sql") for name in ("receipt_key", "ensure_views", "versioned")}
HASH = re.compile(r"(?i)\b(md5|local_md5|sha(1|224|256|384|512)?|hash\w*|digest|generate_surrogate_key)\s*\(")


def test_no_model_hashes_what_may_be_the_id_of_a_member(root: Path, project_files: list[Path]) -> None:
    models = [path for path in project_files if path.parts[0] == "dbt_project" and path.suffix == ".sql"]
    assert len(models) > 40
    assert {path for path in models if HASH.search((root / path).read_text(encoding="utf-8"))} == HASHING


@pytest.mark.parametrize(
    "text",
    ["md5(member_id)", "{{ dbt_utils.generate_surrogate_key(['member_id']) }}", "hashtextextended (card_no, 0)"],
)
def test_a_hash_is_seen(text: str) -> None:
    assert HASH.search(text)
