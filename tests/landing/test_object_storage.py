"""The landing root in object storage: the same code on S3, here on a server that speaks its API."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from s3fs import S3FileSystem
from tests.conservation import assert_conserved

from memberhouse import db
from memberhouse.landing import AnyPath, NewFile, WrittenFile, landing_root, write_batch
from memberhouse.load import load_landed
from memberhouse.settings import Settings

pytestmark = pytest.mark.services

DAY = date(2026, 3, 2)
_numbers = count(1)  # the stand-in keeps its buckets as long as the process lives
LINES = (
    b"store_id,register_id,business_date,receipt_no,receipt_type,line_no,sku,quantity,net_amount\n"
    b"S1,1,2026-03-02,R1,sale,1,A1,1,10.00\n"
)
STORES = b"store_id,timezone,day_cutoff\nS1,Asia/Shanghai,00:00\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[AnyPath]:
    """A landing root in a bucket of its own."""
    name = f"drops-{next(_numbers)}"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    S3FileSystem.clear_instance_cache()  # one that was made for another server
    boto3.client("s3").create_bucket(Bucket=name)
    yield landing_root(f"s3://{name}/landing")
    server.stop()


def land(root: AnyPath, feed: str, content: bytes, *, source: str = "pos", name: str = "b1", **options: int) -> None:
    write_batch(
        root,
        source=source,
        feed=feed,
        business_date=DAY,
        name=name,
        files=[NewFile(f"{feed}.csv.gz", content, content.count(b"\n") - 1)],
        produced_at=datetime(2026, 3, 3, tzinfo=UTC),
        **options,
    )


def lines_held(warehouse: Settings) -> list[tuple[str, ...]]:
    with db.connect(warehouse) as conn:
        return conn.execute(
            "select receipt_no from raw.pos__receipt_lines join ops.batch on batch_id = _batch_id and state = 'loaded'"
        ).fetchall()


def test_batches_in_a_bucket_are_loaded_once_and_what_lands_later_too(bucket: AnyPath, warehouse: Settings) -> None:
    land(bucket, "stores", STORES, source="reference")
    land(bucket, "receipt_lines", LINES)
    report = load_landed(warehouse, bucket)
    assert (report.rows_loaded, report.refused) == (2, [])
    assert lines_held(warehouse) == [("R1",)]
    assert load_landed(warehouse, bucket).unchanged == 2
    land(bucket, "receipt_lines", LINES.replace(b"R1", b"R2"), name="b2", revision=1)
    assert load_landed(warehouse, bucket).rows_loaded == 1
    assert lines_held(warehouse) == [("R2",)]
    assert_conserved(warehouse)


def test_a_file_from_the_local_disk_lands_in_a_bucket_as_it_is(
    bucket: AnyPath, warehouse: Settings, tmp_path: Path
) -> None:
    (tmp_path / "rows").write_bytes(gzip.compress(LINES))
    land(bucket, "stores", STORES, source="reference")
    write_batch(
        bucket, source="pos", feed="receipt_lines", business_date=DAY, name="b1",
        produced_at=datetime(2026, 3, 3, tzinfo=UTC), files=[WrittenFile("receipt_lines.csv.gz", tmp_path / "rows", 1)],
    )  # fmt: skip
    assert load_landed(warehouse, bucket).refused == []
    assert lines_held(warehouse) == [("R1",)]


def test_a_damaged_file_in_a_bucket_is_refused_and_taken_when_it_is_whole(bucket: AnyPath, warehouse: Settings) -> None:
    land(bucket, "stores", STORES, source="reference")
    land(bucket, "receipt_lines", LINES)
    file = bucket / "pos" / "receipt_lines" / DAY.isoformat() / "all" / "b1" / "receipt_lines.csv.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    (refused,) = load_landed(warehouse, bucket).refused
    assert refused.code == "size_differs"
    file.write_bytes(whole)
    assert load_landed(warehouse, bucket).rows_loaded == 1


def test_a_batch_whose_manifest_is_not_there_yet_is_not_there_yet(bucket: AnyPath, warehouse: Settings) -> None:
    land(bucket, "receipt_lines", LINES)
    (bucket / "pos" / "receipt_lines" / DAY.isoformat() / "all" / "b1" / "manifest.json").unlink()
    assert load_landed(warehouse, bucket).rows_in == 0
