"""The manifest: what a batch says it is. Written last, so a batch without one is not there yet."""

from __future__ import annotations

import hashlib
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

MANIFEST_NAME = "manifest.json"
EVERY_STORE = "all"

FILE_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")


def _plain_file_name(name: str) -> str:
    if name != name.rsplit("/", 1)[-1] or "\\" in name or name in ("", ".", "..") or "\0" in name:
        raise ValueError("must be the name of a file in the batch's own folder")
    if not name.endswith(FILE_SUFFIXES):
        raise ValueError(f"must end in one of {', '.join(FILE_SUFFIXES)}")
    return name


class FileEntry(BaseModel):
    """One file of a batch.

    bytes and sha256 are of the file as it lies there (compressed if it is); rows excludes the header;
    amount_total is the sum of the feed's money column over all its rows.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: Annotated[str, AfterValidator(_plain_file_name)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]
    bytes: Annotated[int, Field(ge=0)]
    rows: Annotated[int, Field(ge=0)]
    amount_total: Decimal | None = None


class Extract(BaseModel):
    """Of a batch that was extracted from the app's back end: what it is a part of.

    updated_since: what the extraction asked for; None: everything. watermark: the back end's clock when it
    began to answer. parts: how many batches of this name it landed, one a business date.
    """

    model_config = ConfigDict(frozen=True)

    resource: str
    updated_since: AwareDatetime | None = None
    watermark: AwareDatetime
    parts: Annotated[int, Field(ge=1)] = 1


class Manifest(BaseModel):
    """What is in a batch, for which store and business date, made when."""

    model_config = ConfigDict(extra="allow", frozen=True)

    source: str
    feed: str
    store_id: Annotated[str, Field(min_length=1)]
    business_date: date
    revision: Annotated[int, Field(ge=0, lt=2**31)] = 0
    produced_at: AwareDatetime
    encoding: Literal["utf-8", "utf-8-sig", "gb18030"] = "utf-8"
    # how twelve hundred and thirty-four and a half is written
    number_format: Literal["1234.50", "1,234.50", "1.234,50"] = "1234.50"
    files: Annotated[tuple[FileEntry, ...], Field(min_length=1)]
    extract: Extract | None = None

    def content_sha256(self) -> str:
        """One checksum over the files' contents, whatever their names and the batch's."""
        joined = "\n".join(sorted(entry.sha256.lower() for entry in self.files))
        return hashlib.sha256(joined.encode()).hexdigest()

    def unknown_keys(self) -> list[str]:
        """Keys that the contract does not know, at the top and in the file entries."""
        unknown: dict[str, Any] = dict(self.model_extra or {})
        for entry in self.files:
            unknown.update({f"files.{key}": value for key, value in (entry.model_extra or {}).items()})
        return sorted(unknown)
