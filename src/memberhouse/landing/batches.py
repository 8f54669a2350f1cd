"""Finding landed batches, and landing them.

<root>/<source>/<feed>/<business_date>/<store_id or "all">/<batch>/manifest.json and files
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from pydantic import ValidationError

from memberhouse.landing.manifest import EVERY_STORE, MANIFEST_NAME, Manifest
from memberhouse.landing.root import AnyPath, forget_listings, sha256_of
from memberhouse.sources.feeds import FEEDS

Root = TypeVar("Root", bound=AnyPath)

_FEED_RANK = {place: rank for rank, place in enumerate(FEEDS)}


@dataclass(frozen=True)
class Problem:
    """Why a landed batch cannot be read at all."""

    code: str
    message: str


@dataclass(frozen=True)
class LandedBatch:
    """A batch that has landed. What the folders say is always there; the manifest if it is sound."""

    folder: AnyPath
    source: str
    feed: str
    business_date: date
    store_id: str
    name: str
    manifest_text: str
    manifest: Manifest | None
    problem: Problem | None = None

    @property
    def revision(self) -> int:
        """The manifest's revision; 0 without a sound manifest."""
        return self.manifest.revision if self.manifest else 0

    @property
    def place(self) -> tuple[str, str, date, str]:
        """What a revision replaces: source, feed, business date, store."""
        return (self.source, self.feed, self.business_date, self.store_id)

    def __str__(self) -> str:
        return f"{self.source}/{self.feed}/{self.business_date}/{self.store_id}/{self.name}"


def find_batches(
    root: AnyPath, *, until: date | None = None, sources: Collection[str] | None = None
) -> list[LandedBatch]:
    """Every batch under `root` in loading order: by date, then reference data first, then revision.

    until: the last business date wanted. sources: only these; ``pos/APP`` means the store APP of pos alone.
    A folder without a manifest is not there yet and is left out. A batch whose manifest is not sound,
    or does not agree with its folders, is returned with its problem.
    """
    forget_listings(root)
    found = [_read(root, folder) for folder in _batch_folders(root, until, sources)]
    return sorted(found, key=_loading_order)


def _loading_order(batch: LandedBatch) -> tuple[Any, ...]:
    rank = _FEED_RANK.get((batch.source, batch.feed), len(_FEED_RANK))
    produced = batch.manifest.produced_at.timestamp() if batch.manifest else 0.0
    return (batch.business_date, rank, batch.store_id, batch.revision, produced, batch.name)


def _batch_folders(root: AnyPath, until: date | None, sources: Collection[str] | None) -> Iterator[AnyPath]:
    for source in _folders(root):
        stores = _wanted_stores(source.name, sources)
        if stores is not None and not stores:
            continue
        for feed in _folders(source):
            for day in _folders(feed):
                try:
                    business_date = date.fromisoformat(day.name)
                except ValueError:
                    continue
                if until is not None and business_date > until:
                    continue
                for store in _folders(day):
                    if stores is not None and store.name not in stores:
                        continue
                    for batch in _folders(store):
                        if (batch / MANIFEST_NAME).is_file():
                            yield batch


def _wanted_stores(source: str, sources: Collection[str] | None) -> set[str] | None:
    """Of which stores a source's batches are wanted; None: of all."""
    if sources is None or source in sources:
        return None
    return {store for name, _, store in (each.partition("/") for each in sources) if name == source}


def _folders(folder: AnyPath) -> list[AnyPath]:
    if isinstance(folder, Path):  # a fifth of the time of asking each path anew
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _read(root: AnyPath, folder: AnyPath) -> LandedBatch:
    source, feed, day, store_id, name = folder.parts[len(root.parts) :]
    text = (folder / MANIFEST_NAME).read_bytes().decode("utf-8-sig", errors="backslashreplace")
    manifest: Manifest | None = None
    problem: Problem | None = None
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc'])) or 'the file'}: {part['msg']}" for part in error.errors())
        problem = Problem("bad_manifest", f"{MANIFEST_NAME} breaks the contract: {wrong}.")
    else:
        if _has_nul(manifest):
            problem = Problem("bad_manifest", f"{MANIFEST_NAME} has a NUL in a text.")
            manifest = None
    if manifest is not None:
        differing = [
            f"{what} is {said} in the manifest and {there} in the folder's path"
            for what, said, there in (
                ("source", manifest.source, source),
                ("feed", manifest.feed, feed),
                ("business_date", manifest.business_date.isoformat(), day),
                ("store_id", manifest.store_id, store_id),
            )
            if said != there
        ]
        if differing:
            problem = Problem("manifest_misplaced", f"{'; '.join(differing)}.")
        elif (source, feed) not in FEEDS:
            known = ", ".join(f"{a}/{b}" for a, b in FEEDS)
            problem = Problem("unknown_feed", f"{source}/{feed} is no declared feed; there are: {known}.")
    return LandedBatch(
        folder=folder,
        source=source,
        feed=feed,
        business_date=date.fromisoformat(day),
        store_id=store_id,
        name=name,
        manifest_text=text,
        manifest=manifest,
        problem=problem,
    )


def _has_nul(manifest: Manifest) -> bool:
    """Whether a text in the manifest has a NUL, which no database takes."""
    return "\\u0000" in json.dumps(manifest.model_dump(mode="json"))


def observed_sha256(
    batch: LandedBatch, *, manifest_text: str | None = None, instead: Mapping[str, bytes] | None = None
) -> str:
    """One checksum over the manifest and the files as they lie there, or as they would with another manifest and
    other contents of some files."""
    instead = instead or {}
    digest = hashlib.sha256((manifest_text or batch.manifest_text).encode())
    for entry in batch.manifest.files if batch.manifest else ():
        try:
            content = instead.get(entry.name)
            digest.update(sha256_of(batch.folder / entry.name) if content is None else hashlib.sha256(content).digest())
        except OSError:
            digest.update(b"missing")
    return digest.hexdigest()


@dataclass(frozen=True)
class NewFile:
    """A file to land: its uncompressed content; a name ending in .gz is compressed on the way."""

    name: str
    content: bytes
    rows: int
    amount_total: Decimal | None = None


@dataclass(frozen=True)
class WrittenFile:
    """A file to land that is on a local disk already, as it is to lie there: it is copied, at no time all in memory."""

    name: str
    path: Path
    rows: int
    amount_total: Decimal | None = None


def write_batch(
    root: Root,
    *,
    source: str,
    feed: str,
    business_date: date,
    name: str,
    files: Sequence[NewFile | WrittenFile],
    produced_at: datetime,
    store_id: str = EVERY_STORE,
    revision: int = 0,
    encoding: str = "utf-8",
    extra: Mapping[str, Any] | None = None,
    durable: bool = True,
) -> Root:
    """Land a batch: the files, then its manifest, each whole or not at all. Returns the folder.

    The same arguments give the same bytes. extra: further keys of the manifest. durable: wait until the
    disk has each file; without it a power cut may leave a batch that the loader refuses, which is good
    enough for data that can be written again.
    """
    folder = cast(Root, root / source / feed / business_date.isoformat() / store_id / name)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for file in files:
        sha256, size = _write(file, folder, durable)
        entry: dict[str, Any] = {"name": file.name, "sha256": sha256, "bytes": size, "rows": file.rows}
        if file.amount_total is not None:
            entry["amount_total"] = str(file.amount_total)
        entries.append(entry)
    manifest = {
        "source": source,
        "feed": feed,
        "store_id": store_id,
        "business_date": business_date.isoformat(),
        "revision": revision,
        "produced_at": produced_at.isoformat(),
        "encoding": encoding,
        **(extra or {}),
        "files": entries,
    }
    write_whole(folder / MANIFEST_NAME, io.BytesIO((json.dumps(manifest, indent=2) + "\n").encode()), durable)
    return folder


def _write(file: NewFile | WrittenFile, folder: AnyPath, durable: bool) -> tuple[str, int]:
    """Write a file into the batch; its checksum and bytes as it lies there."""
    if isinstance(file, WrittenFile):
        with file.path.open("rb") as content:
            write_whole(folder / file.name, content, durable)
        return sha256_of(file.path).hex(), file.path.stat().st_size
    stored = file.content
    if file.name.endswith(".gz"):
        stored = gzip.compress(file.content, compresslevel=6, mtime=0)
    write_whole(folder / file.name, io.BytesIO(stored), durable)
    return hashlib.sha256(stored).hexdigest(), len(stored)


def remove_batch(folder: AnyPath) -> None:
    """Take a batch's folder away, and all that lies in it."""
    # the manifest first: a batch without one is not there
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    if isinstance(folder, Path):
        shutil.rmtree(folder)
    elif folder.exists():  # a folder of objects is there as long as they are
        folder.fs.rm(folder.path, recursive=True)


def write_whole(path: AnyPath, content: IO[bytes], durable: bool) -> None:
    """Write a file that is there whole or not at all. durable: wait until the disk has it."""
    if not isinstance(path, Path):  # an object is there whole or not at all
        with path.open("wb") as target:
            shutil.copyfileobj(content, cast(IO[bytes], target))
        return
    being_written = path.with_name(f".{path.name}.part")
    with being_written.open("wb") as file:
        shutil.copyfileobj(content, file)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    being_written.replace(path)
