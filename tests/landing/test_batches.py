"""Landed batches: found in the right order, and written whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pytest
from pydantic import ValidationError

from memberhouse.landing import Manifest, NewFile, WrittenFile, batches, find_batches, write_batch

DAY = date(2026, 3, 2)
NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)
FILE = NewFile("stores.csv.gz", b"store_id,timezone,day_cutoff\n", 0)


def land(root: Path, source: str = "reference", feed: str = "stores", **other: Any) -> Path:
    arguments = {"business_date": DAY, "name": "b1", "files": [FILE], "produced_at": NOON, **other}
    return write_batch(root, source=source, feed=feed, **arguments)


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_loading_order_is_date_then_reference_then_revision(tmp_path: Path) -> None:
    later = DAY + timedelta(days=1)
    land(tmp_path, business_date=later, name="later")
    land(tmp_path, "app", "campaigns", name="app")
    land(tmp_path, "pos", "receipts", name="second", revision=1)
    land(tmp_path, "pos", "receipts", name="zeroth", revision=0, produced_at=NOON + timedelta(hours=1))
    land(tmp_path, "pos", "receipts", name="zeroth, earlier", revision=0)
    land(tmp_path, "reference", "products", name="products")
    land(tmp_path, "reference", "store_closures", name="closures")
    land(tmp_path, name="stores")
    assert [batch.name for batch in find_batches(tmp_path)] == [
        "stores",
        "closures",
        "products",
        "zeroth, earlier",
        "zeroth",
        "second",
        "app",
        "later",
    ]


def test_until_is_the_last_day_wanted_and_sources_the_only_ones(tmp_path: Path) -> None:
    land(tmp_path)
    land(tmp_path, business_date=DAY + timedelta(days=1))
    land(tmp_path, "app", "campaigns")
    assert len(find_batches(tmp_path, until=DAY)) == 2
    assert len(find_batches(tmp_path, until=DAY - timedelta(days=1))) == 0
    assert [batch.source for batch in find_batches(tmp_path, sources=["app"])] == ["app"]


def test_a_folder_without_a_manifest_is_not_there_yet(tmp_path: Path) -> None:
    folder = land(tmp_path)
    (folder / "manifest.json").rename(folder / ".manifest.json.part")
    assert find_batches(tmp_path) == []


def test_what_is_no_landed_batch_is_passed_over(tmp_path: Path) -> None:
    land(tmp_path)
    (tmp_path / "README").write_text("hello")
    (tmp_path / "pos" / "receipts" / "soon" / "all" / "b1").mkdir(parents=True)
    (tmp_path / "pos" / "receipts" / "soon" / "all" / "b1" / "manifest.json").write_text("{}")
    (tmp_path / ".trash" / "receipts").mkdir(parents=True)
    assert len(find_batches(tmp_path)) == 1


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        (
            {"business_date": "2026-03-03"},
            "manifest_misplaced",
            "business_date is 2026-03-03 in the manifest",
        ),
        ({"store_id": "S1"}, "manifest_misplaced", "store_id"),
        ({"revision": -1}, "bad_manifest", "revision"),
        ({"revision": None}, "bad_manifest", "revision"),
        ({"produced_at": "2026-03-03"}, "bad_manifest", "produced_at"),
        ({"files": "stores.csv"}, "bad_manifest", "files"),
        ({"note": "\0"}, "bad_manifest", "NUL"),
        ({"note": "\ud800"}, "bad_manifest", "JSON"),
    ],
)
def test_a_manifest_that_does_not_hold_is_returned_with_its_problem(
    tmp_path: Path, changes: dict[str, Any], code: str, told: str
) -> None:
    edit(land(tmp_path), **changes)
    (batch,) = find_batches(tmp_path)
    assert batch.problem is not None
    assert batch.problem.code == code
    assert told in batch.problem.message


@pytest.mark.parametrize("text", ["", "{", "[]", "\0\0\0", '{"source": "pos"}'])
def test_a_manifest_that_cannot_be_read_stops_nothing(tmp_path: Path, text: str) -> None:
    land(tmp_path, name="sound")
    (land(tmp_path, name="broken") / "manifest.json").write_text(text)
    broken, sound = find_batches(tmp_path)
    assert (broken.problem.code if broken.problem else None, sound.problem) == ("bad_manifest", None)


@pytest.mark.parametrize("name", ["../../stores.csv", "/etc/passwd.csv", "a/b.csv", "..", "stores.exe", "a\\b.csv"])
def test_a_file_name_cannot_lead_out_of_the_batch(tmp_path: Path, name: str) -> None:
    text = (land(tmp_path) / "manifest.json").read_text()
    manifest = json.loads(text)
    Manifest.model_validate(manifest)
    manifest["files"][0]["name"] = name
    with pytest.raises(ValidationError, match="name"):
        Manifest.model_validate(manifest)


def test_unknown_keys_are_kept_and_named(tmp_path: Path) -> None:
    folder = land(tmp_path, extra={"till": {"version": 7}})
    (batch,) = find_batches(tmp_path)
    assert batch.manifest is not None
    assert batch.manifest.unknown_keys() == ["till"]
    assert '"version": 7' in batch.manifest_text
    assert folder.name == "b1"


def test_content_is_the_same_whatever_the_names_and_the_order(tmp_path: Path) -> None:
    a, b = NewFile("a.csv", b"x\n1\n", 1), NewFile("b.csv", b"x\n2\n", 1)
    other = NewFile("other.csv", b"x\n2\n", 1)
    land(tmp_path, name="ab", files=[a, b])
    land(tmp_path, name="ba", files=[other, a], revision=3)
    land(tmp_path, name="a", files=[a])
    content = {batch.name: batch.manifest.content_sha256() for batch in find_batches(tmp_path) if batch.manifest}
    assert content["ab"] == content["ba"] != content["a"]


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    file = NewFile("stores.csv.gz", b"a,b\n1,2\n", 1, Decimal("2.50"))
    first, second = (land(tmp_path / place, files=[file]) for place in ("one", "two"))
    for name in ("stores.csv.gz", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert (first / "stores.csv.gz").read_bytes()[4:8] == bytes(4), "gzip's header tells the time"
    assert gzip.decompress((first / "stores.csv.gz").read_bytes()) == b"a,b\n1,2\n"
    assert json.loads((first / "manifest.json").read_text())["files"][0]["amount_total"] == "2.50"


def test_a_crash_before_the_manifest_leaves_no_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole = batches.write_whole

    def crash_at_manifest(path: Path, content: IO[bytes], durable: bool) -> None:
        if path.name == "manifest.json":
            raise OSError("no space left")
        write_whole(path, content, durable)

    monkeypatch.setattr(batches, "write_whole", crash_at_manifest)
    with pytest.raises(OSError, match="no space"):
        land(tmp_path)
    assert find_batches(tmp_path) == []


def test_nothing_but_the_declared_files_is_left_behind(tmp_path: Path) -> None:
    assert sorted(path.name for path in land(tmp_path).iterdir()) == ["manifest.json", "stores.csv.gz"]


def test_a_file_that_is_on_disk_already_is_landed_as_it_is(tmp_path: Path) -> None:
    stored = gzip.compress(b"a,b\n1,2\n", mtime=7)
    (tmp_path / "work").write_bytes(stored)
    folder = land(tmp_path / "landing", files=[WrittenFile("stores.csv.gz", tmp_path / "work", 1)])
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "stores.csv.gz"]
    assert (folder / "stores.csv.gz").read_bytes() == stored
    (batch,) = find_batches(tmp_path / "landing")
    assert batch.manifest is not None
    (entry,) = batch.manifest.files
    assert (entry.bytes, entry.rows, entry.sha256) == (len(stored), 1, hashlib.sha256(stored).hexdigest())


def test_one_store_of_a_source_can_be_asked_for(tmp_path: Path) -> None:
    for source, store_id in (("pos", "APP"), ("pos", "S1"), ("app", "all"), ("reference", "all")):
        land(tmp_path, source=source, store_id=store_id, name=f"{source} {store_id}")

    def found(*sources: str) -> list[str]:
        return sorted(batch.name for batch in find_batches(tmp_path, sources=sources))

    assert found("pos/APP") == ["pos APP"]
    assert found("app", "pos/APP") == ["app all", "pos APP"]
    assert found("pos", "pos/APP") == ["pos APP", "pos S1"]
    assert found("app/APP") == []


def test_what_an_extraction_says_of_itself_is_part_of_the_contract(tmp_path: Path) -> None:
    sound = {"resource": "stores", "updated_since": None, "watermark": "2026-03-03T04:00:00Z", "parts": 2}
    for name, extract in (
        ("a", sound),
        ("b", {**sound, "watermark": "2026-03-03T04:00:00"}),
        ("c", {**sound, "parts": 0}),
    ):
        land(tmp_path, name=name, extra={"extract": extract})
    found = {batch.name: batch for batch in find_batches(tmp_path)}
    assert found["a"].manifest is not None
    assert found["a"].manifest.unknown_keys() == []
    problems = {name: batch.problem.code for name, batch in found.items() if batch.problem}
    assert problems == {"b": "bad_manifest", "c": "bad_manifest"}
