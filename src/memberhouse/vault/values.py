"""Personal values on their way from a file into the vault."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from tempfile import TemporaryFile
from typing import Any

import psycopg

from memberhouse.sources.contract import Personal
from memberhouse.vault.tokens import Tokens, plain

_IN_MEMORY = 1 << 20
_PIECE = 1 << 20
# A person who buys a hundred times is noted once; more people than this at a time are noted again.
_REMEMBERED = 50_000


class Values:
    """The personal values of one batch: noted while its rows are copied, stored before they commit.

    What does not fit into memory waits in a nameless file, which no crash can leave behind.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._noted: set[str] = set()
        self._lines = io.StringIO()
        self._writer = csv.writer(self._lines, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._file: Any = None

    def note(self, what: Personal, value: str, subject: str) -> str:
        """Keep the value for the vault; returns the token that stands for it, or nothing for nothing."""
        kept = plain(what, value)
        if not kept:
            return ""
        token = self._tokens.token(what, kept, subject)
        if token not in self._noted:
            if len(self._noted) >= _REMEMBERED:
                self._noted.clear()
            self._noted.add(token)
            self._writer.writerow((token, what, kept))
            if self._lines.tell() > _IN_MEMORY:
                self._spill()
        return token

    def store(self, conn: psycopg.Connection[Any], batch_id: int) -> None:
        """Put what was noted into the vault, in the caller's transaction."""
        if self._file is None and not self._lines.tell():
            return
        conn.execute(
            "create temporary table if not exists personal_values_of_a_batch (token text, what text, value text)"
            " on commit delete rows"
        )
        with conn.cursor() as cursor, cursor.copy("copy personal_values_of_a_batch from stdin (format csv)") as copy:
            for piece in self._pieces():
                copy.write(piece)
        # in the order of the tokens: two batches with the same people then wait for each other in one order
        conn.execute(
            "insert into vault.personal_value (token, what, value, first_batch_id)"
            " select distinct on (token) token, what, value, %s from personal_values_of_a_batch order by token"
            " on conflict (token) do nothing",
            (batch_id,),
        )
        conn.execute(
            "insert into vault.birth_month (token, birth_year, birth_month)"
            " select distinct on (token) token, substring(value from '^[0-9]{4}')::integer,"
            " substring(value from '-([0-9]{2})-[0-9]{2}$')::integer"
            " from personal_values_of_a_batch where what = 'birthday' and value <> '1900-01-01' order by token"
            " on conflict (token) do nothing"
        )

    def _spill(self) -> None:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115  (closed when its pieces were read, or with the batch)
        self._file.write(self._lines.getvalue().encode())
        self._lines.seek(0)
        self._lines.truncate()

    def _pieces(self) -> Iterator[bytes]:
        if self._file is not None:
            with closing(self._file) as file:
                file.seek(0)
                while piece := file.read(_PIECE):
                    yield piece
        yield self._lines.getvalue().encode()
