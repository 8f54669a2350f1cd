"""The command line: thin, over the functions that the DAGs call."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg

from memberhouse import db, gate, ledger, release, warehouse
from memberhouse.errors import MemberhouseError
from memberhouse.landing import AnyPath, landing_root
from memberhouse.settings import Settings

EXIT_HELD = 3


class _Moment(click.ParamType[datetime]):
    """A moment, ISO 8601 with an offset."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} is no moment; write 2026-03-02T18:30:00+08:00", param, ctx)
        return moment


class _Date(click.ParamType[date]):
    """A calendar date, YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date; write YYYY-MM-DD", param, ctx)


class _LandingRoot(click.ParamType[AnyPath]):
    """A folder that is there, or a URL of object storage."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AnyPath:
        root = landing_root(value)
        if isinstance(root, Path) and not root.is_dir():
            self.fail(f"there is no folder {str(value)!r}", param, ctx)
        return root


def _say(line: str) -> None:
    click.echo(line, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="memberhouse")
def cli() -> None:
    """Member lifecycle data, audited before it is published.

    State lives in MEMBERHOUSE_HOME (default .memberhouse/), the database is DATABASE_URL (default: an
    embedded Postgres, started when needed).
    """


@cli.command()
@click.option("--airflow", "with_airflow", is_flag=True, help="Airflow as well.")
def up(with_airflow: bool) -> None:
    """Start the embedded Postgres (and Airflow) and wait until they are healthy."""
    settings = Settings.from_env()
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
    click.echo(f"Postgres: {_without_password(db.database_url(settings))}")
    if with_airflow:
        from memberhouse.local import airflow, app_backend

        click.echo(str(airflow.up(settings, progress=_say)))
        if app_backend.clock(settings):
            app_backend.up(settings)


@cli.command()
def down() -> None:
    """Stop Airflow and the embedded Postgres."""
    from memberhouse.local import airflow, app_backend, postgres

    settings = Settings.from_env()
    click.echo(str(airflow.down(settings)))
    app_backend.down(settings)
    click.echo(str(postgres.stop(settings.home)))


@cli.command()
@click.option("--airflow", "with_airflow", is_flag=True, help="Airflow's components as well.")
def status(with_airflow: bool) -> None:
    """What runs, what is published, and what went wrong last: what, why, and what to do."""
    from memberhouse.local import airflow, postgres

    settings = Settings.from_env()
    if settings.database_url:
        click.echo("Postgres: the server that DATABASE_URL names")
    else:
        state = postgres.status(settings.home)
        click.echo(str(state))
        if not state.running:
            return
    if with_airflow:
        click.echo(str(airflow.status(settings)))
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        for row in conn.execute(
            "select c.group_name, c.release_id, r.as_of_date, c.published_at, c.is_pinned from release.current as c"
            " inner join release.release as r on c.release_id = r.release_id order by c.group_name"
        ).fetchall():
            pinned = ", pinned by a rollback" if row[4] else ""
            click.echo(f"Published: {row[0]} release {row[1]} as of {row[2]}, since {row[3]:%Y-%m-%d %H:%M %Z}{pinned}")
        for place, reason in conn.execute(
            "select concat_ws('/', source, feed, business_date, store_id, batch_name), reason from ops.batch as b"
            " where state = 'refused' and not exists (select 1 from ops.batch as later where later.state = 'loaded'"
            " and later.batch_id > b.batch_id and (later.source, later.feed, later.business_date, later.store_id)"
            " = (b.source, b.feed, b.business_date, b.store_id)) order by batch_id desc limit 5"
        ).fetchall():
            click.echo(f"Refused and not replaced: {place}: {reason}")
    trouble = ledger.last_trouble(settings)
    if trouble is None:
        click.echo("Last run: no step failed or was held since the last good one.")
        return
    click.echo(f"Last trouble: {trouble.step} ({trouble.subject}) {trouble.state} at {trouble.started_at}")
    click.echo(f"  Why: {trouble.summary}")
    click.echo(f"  What to do: {trouble.next_action}")


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
def sample(out: Path) -> None:
    """Write The Complete Journey, a year of real grocery loyalty data, as landed batches into OUT."""
    from memberhouse.simulate import complete_journey

    complete_journey.write_sample(out, progress=_say)
    click.echo(f"Sample written to {out}. Next: memberhouse run {out} --as-of 2017-12-31")


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--members", type=click.IntRange(1, 9_000_000), required=True, help="How many have joined by the end.")
@click.option("--days", type=click.IntRange(1, 4000), required=True, help="How many business dates.")
@click.option("--seed", type=click.IntRange(min=0), required=True, help="The same seed gives the same bytes.")
@click.option("--until", type=_Date(), help="The last business date.  [default: 2026-06-30]")
@click.option(
    "--store-days",
    type=click.IntRange(0),
    default=7,
    show_default=True,
    help="How many of the last dates come as one batch a store.",
)
@click.option("--messy", is_flag=True, help="Plant faults, each in truth/ledger.csv.")
def simulate(out: Path, members: int, days: int, seed: int, until: date | None, store_days: int, messy: bool) -> None:
    """Write a simulated chain for clothing, mother and baby as landed batches into OUT, with its truth."""
    from memberhouse.simulate import chain

    until = until or chain.DEFAULT_UNTIL
    chain.write_chain(
        out,
        members=members,
        days=days,
        seed=seed,
        messy=messy,
        until=until,
        store_days=store_days,
        progress=_say,
    )
    click.echo(f"Chain written to {out}, its truth to {out / 'truth'}. Next: memberhouse run {out} --as-of {until}")


_as_of = click.option("--as-of", type=_Date(), required=True, help="The last business date that counts.")
_full_refresh = click.option("--full-refresh", is_flag=True, help="Compute every row anew.")
_landing = click.argument("folder", metavar="DIR", type=_LandingRoot())


_streams = click.option(
    "--streams", type=click.IntRange(1, 32), default=1, show_default=True, help="How many batches to load at once."
)


@cli.command()
@_landing
@_streams
def load(folder: AnyPath, streams: int) -> None:
    """Load every landed batch below DIR that is not loaded yet."""
    _load(Settings.from_env(), folder, streams)


@cli.command()
@_landing
@click.argument("resources", metavar="[RESOURCE]...", nargs=-1)
@click.option("--business-date", type=_Date(), help="The business date to land under; default: today's, in UTC.")
@click.option("--since", type=_Moment(), help="Begin at this moment, before the watermark.")
def extract(folder: AnyPath, resources: Sequence[str], business_date: date | None, since: datetime | None) -> None:
    """Land in DIR what changed in the app's back end (MEMBERHOUSE_APP_URL) since it was loaded last."""
    from memberhouse import extract as extracting

    settings = Settings.from_env()
    for resource in resources or extracting.RESOURCES:
        day = business_date or datetime.now(UTC).date()
        done = extracting.extract(settings, folder, resource, day, since=since, progress=_say)
        click.echo(done.summary())


@cli.command("app-backend")
@_landing
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--now", type=_Moment(), help="Serve what had happened by this moment; default: the real time.")
@click.option("--from", "first_day", type=_Date(), help="Serve batches of this business date or later.")
def app_backend(folder: AnyPath, host: str, port: int, now: datetime | None, first_day: date | None) -> None:
    """A stand-in for the app's back end: serves the app's batches below DIR over HTTP.

    The token that it asks for is MEMBERHOUSE_APP_TOKEN.
    """
    from memberhouse.simulate import app_backend as stand_in

    stand_in.serve(Settings.from_env(), folder, host=host, port=port, now=now, first_day=first_day)


@cli.command()
@_landing
def validate(folder: AnyPath) -> None:
    """A dry run of a load of DIR: what the contracts say of it. Exits 1 when something is wrong."""
    from memberhouse.load import validate as dry_run

    found = dry_run(Settings.from_env(), folder, progress=_say)
    for line in found.lines():
        click.echo(line)
    if not found.is_sound:
        sys.exit(1)


@cli.command()
@_landing
@click.option("--keep-days", type=click.IntRange(0), required=True, help="How long a batch stays after it was taken.")
def expire(folder: AnyPath, keep_days: int) -> None:
    """Remove batches from DIR that were taken long ago: they hold personal data."""
    from memberhouse.load import expire as remove

    removed = remove(Settings.from_env(), folder, timedelta(days=keep_days), progress=_say)
    click.echo(f"Removed {removed:,} batches that were taken more than {keep_days} days ago.")


@cli.group()
def quarantine() -> None:
    """Rows that were put aside at load, and why."""


@quarantine.command("list")
@click.option("--reason", help="Only this reason code.")
@click.option("--rows", "wanted", type=click.IntRange(1), default=20, show_default=True, help="How many rows to show.")
def list_quarantine(reason: str | None, wanted: int) -> None:
    """The reasons with their numbers of rows, and the newest rows."""
    with db.connect(Settings.from_env()) as conn:
        db.ensure_schema(conn)
        kinds = conn.execute(
            "select q.source || '/' || q.feed, q.reason_code, count(*), count(q.row), max(q.rejected_at)::date"
            " from quarantine.rejected_row as q inner join ops.batch as b on b.batch_id = q.batch_id"
            " where q.replayed_at is null and b.state = 'loaded' and (%(reason)s::text is null or q.reason_code ="
            " %(reason)s) group by 1, 2 order by 3 desc, 1, 2",
            {"reason": reason},
        ).fetchall()
        rows = conn.execute(
            "select concat_ws('/', b.source, b.feed, b.business_date, b.store_id, b.batch_name, q.file_name),"
            " q.line_no, q.reason, q.raw_text from quarantine.rejected_row as q"
            " inner join ops.batch as b on b.batch_id = q.batch_id and b.state = 'loaded'"
            " where q.replayed_at is null and (%(reason)s::text is null or q.reason_code = %(reason)s)"
            " order by q.rejected_row_id desc limit %(wanted)s",
            {"reason": reason, "wanted": wanted},
        ).fetchall()
    if not kinds:
        click.echo("Nothing is in quarantine.")
        return
    click.echo(_table(["feed", "reason", "rows", "can be tried again", "newest"], kinds))
    for place, line, why, raw in rows:
        click.echo(f"\n{place}, line {line}: {why}\n  {raw}")


@quarantine.command("replay")
@click.option("--reason", help="Only rows with this reason code.")
def replay_quarantine(reason: str | None) -> None:
    """Try quarantined rows again; those whose cause is gone are loaded, and the next build has them."""
    from memberhouse.load import replay

    with db.connect(Settings.from_env(), autocommit=True) as conn:
        db.ensure_schema(conn)
        done = replay(conn, [reason] if reason else None)
    click.echo(
        f"{done.tried:,} rows tried again: {done.loaded:,} loaded, {done.duplicate:,} repeat a loaded row,"
        f" {done.tried - done.loaded - done.duplicate:,} stay in quarantine"
    )


@cli.command()
@click.argument("member", required=False)
@click.option("--dry-run", is_flag=True, help="Show where the member is found, and change nothing.")
@click.option(
    "--landing",
    "folders",
    metavar="DIR",
    type=_LandingRoot(),
    multiple=True,
    help="A landing area besides those that were ever loaded from.",
)
def erase(member: str | None, dry_run: bool, folders: tuple[AnyPath, ...]) -> None:
    """Erase MEMBER: a member id, card number, account id, phone number or e-mail address; "-" reads it from standard
    input, where no one else sees it. The numbers stay as they are.

    Without MEMBER, an erasure that was interrupted is finished.
    """
    from memberhouse import erase as erasing

    settings = Settings.from_env()
    if member is None:
        finished = erasing.finish(settings)
        click.echo(f"Finished {finished} interrupted erasures." if finished else "No erasure was interrupted.")
        return
    if member == "-":
        member = click.get_text_stream("stdin").readline()
    done = erasing.erase(settings, member, landing=folders, dry_run=dry_run, progress=_say)
    for line in done.lines():
        click.echo(line)


@cli.command()
@_as_of
@_full_refresh
def build(as_of: date, full_refresh: bool) -> None:
    """Build a candidate release; readers see nothing of it before it is published."""
    release_id = warehouse.build(Settings.from_env(), as_of, full_refresh=full_refresh, progress=_say)
    click.echo(f"Release {release_id} built as of {as_of}. Next: memberhouse gate")


@cli.command()
@_as_of
def value(as_of: date) -> None:
    """Fit what members will buy to what is published, and score each; the next build publishes the scores.

    Says why, and changes nothing, where the history is too short or the members are too few for a model.
    """
    from memberhouse.value import fit

    click.echo(fit(Settings.from_env(), as_of).summary)


@cli.command("gate")
def gate_command() -> None:
    """Judge the newest candidate release."""
    if any(verdict.verdict == "held" for verdict in _judge(Settings.from_env())):
        sys.exit(EXIT_HELD)


_group = click.option("--group", metavar="GROUP", help="Only this consistency group, such as core or programme.")


@cli.command()
@_group
@click.option("--unpin", is_flag=True, help="Lift the pin that a rollback set.")
def publish(group: str | None, unpin: bool) -> None:
    """Point readers at the newest release, if it passed the gate."""
    moved = release.publish(Settings.from_env(), groups=[group] if group else None, unpin=unpin)
    click.echo("\n".join(f"Published {movement}" for movement in moved) or "That release is published already.")


@cli.command()
@click.argument("release_id", metavar="[RELEASE]", type=int, required=False)
@_group
def rollback(release_id: int | None, group: str | None) -> None:
    """Point readers back at an earlier published release, and stay there until unpinned."""
    for movement in release.rollback(Settings.from_env(), release_id, group=group):
        click.echo(f"Rolled back {movement}; pinned until “memberhouse publish --unpin”.")


@cli.command()
def releases() -> None:
    """The newest releases: built when, judged how, published when."""
    settings = Settings.from_env()
    with db.connect(settings) as conn:
        db.ensure_schema(conn)
        rows = release.releases(conn)
    for row in rows:
        mark = "*" if row["is_current"] else " "
        published = f"{row['published_at']:%Y-%m-%d %H:%M}" if row["published_at"] else "-"
        click.echo(
            f"{mark} {row['release_id']:>5}  as of {row['as_of_date']}  {row['build_state']:<9}"
            f" {row['group_name'] or '-':<10} {row['verdict'] or '-':<6} published {published}"
            + ("  pinned" if row["is_pinned"] else "")
            + ("  pruned" if row["is_pruned"] else "")
        )
        if row["verdict"] == "held":
            click.echo(f"         {row['reason']}")
    if not rows:
        click.echo("No releases yet. Start with: memberhouse run DIR --as-of DATE")


@cli.command()
@click.argument("old", metavar="RELEASE", type=int)
@click.argument("new", metavar="RELEASE", type=int)
@click.option("--table", help="Only this table.")
@click.option("--limit", type=click.IntRange(0), default=20, show_default=True, help="Changed cells a table; 0: all.")
@click.option("--format", "output", type=click.Choice(["text", "csv", "json"]), default="text", show_default=True)
def diff(old: int, new: int, table: str | None, limit: int, output: str) -> None:
    """What changed from one published release to another: rows that came and went, and cells."""
    differences = release.diff(Settings.from_env(), old, new, table=table, limit=limit or None)
    if output == "json":
        click.echo(json.dumps(list(map(asdict, differences)), default=str, ensure_ascii=False, indent=2))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(["table_name", "grain_key", "column_name", "old_value", "new_value"])
        for cell in (cell for difference in differences for cell in difference.cells):
            key = json.dumps(cell.key, default=str, ensure_ascii=False)
            writer.writerow([cell.table, key, cell.column, _no_formula(cell.old), _no_formula(cell.new)])
    else:
        for difference in differences:
            click.echo("\n  ".join(map(str, [difference, *difference.cells])))
        if not differences:
            click.echo(f"Releases {old} and {new} answer alike.")


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only say which releases would go.")
def prune(dry_run: bool) -> None:
    """Remove the rows of old releases that the retention rule does not keep; see docs/as-published.md."""
    click.echo(str(release.prune(Settings.from_env(), dry_run=dry_run)))


@cli.command()
@_landing
@_as_of
@_full_refresh
@_streams
def run(folder: AnyPath, as_of: date, full_refresh: bool, streams: int) -> None:
    """Load, build, gate and publish. Exits 0 published, 3 held by the gate, 1 error."""
    settings = Settings.from_env()
    with warehouse.build_lock(settings):
        _load(settings, folder, streams)
        release_id = warehouse.build(settings, as_of, full_refresh=full_refresh, progress=_say)
        verdicts = _judge(settings, release_id)
        passed = [verdict.group_name for verdict in verdicts if verdict.verdict == "passed"]
        for movement in release.publish(settings, release_id, groups=passed) if passed else []:
            click.echo(f"Published {movement}")
        if any(verdict.verdict == "held" for verdict in verdicts):
            _say("Readers of what is held keep the release before it. What to do: docs/runbook.md, “Release held”")
            sys.exit(EXIT_HELD)


@cli.command()
@click.argument("statement", metavar="SQL")
@click.option("--format", "output", type=click.Choice(["table", "csv", "json"]), default="table")
@click.option("--role", default=db.BI_ROLE, show_default=True, help="The database role to read as.")
def query(statement: str, output: str, role: str) -> None:
    """Run one SQL statement as a BI reader, on the published schema bi."""
    with db.connect(Settings.from_env()) as conn:
        db.ensure_schema(conn)
        conn.commit()
        db.as_bi_role(conn, role)
        conn.execute("set search_path = bi")
        try:
            cursor = conn.execute(statement.encode())
            while cursor.nextset():  # of several statements the last one answers
                pass
            names = [column.name for column in cursor.description or []]
            rows = cursor.fetchall() if names else []
        except psycopg.Error as error:
            raise MemberhouseError(
                f"The query failed: {str(error).strip()}",
                "the role reads the views of the schema bi; their columns: docs/metrics.md",
            ) from error
    if output == "json":
        records = [dict(zip(names, row, strict=True)) for row in rows]
        click.echo(json.dumps(records, default=str, ensure_ascii=False, indent=2))
    elif output == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_no_formula(value) for value in row] for row in rows)
    else:
        click.echo(_table(names, rows))


@cli.command()
@click.option("--week", type=_Date(), required=True, help="Any day of the ISO week.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--release", "release_id", type=int, help="As published in this release; default: the current one.")
def report(week: date, out: Path, lang: str, release_id: int | None) -> None:
    """Write the weekly head-office report, one self-contained page."""
    from memberhouse.reports import weekly

    settings = Settings.from_env()
    with ledger.step(settings, "report", f"week of {week}") as step:
        path = weekly.write(settings, week, out, lang=lang, release=release_id)
        step.summary = str(path)
    click.echo(str(path))


@cli.command()
@click.option("--data", type=click.Choice(["chain", "complete-journey"]), default="chain", show_default=True)
def demo(data: str) -> None:
    """A chain through Airflow, end to end; continues where it ended last time."""
    from memberhouse.local import demo as local_demo

    local_demo.run(Settings.from_env(), local_demo.DATA_SETS[data]())


def main() -> None:
    """Entry point: known errors are told in two lines, without a traceback."""
    try:
        cli(standalone_mode=False)
    except MemberhouseError as error:
        _say(f"Error: {error.message}\nWhat to do: {error.next_action}")
        sys.exit(EXIT_HELD if isinstance(error, release.ReleaseHeld) else 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _say("Stopped.")
        sys.exit(130)
    except psycopg.OperationalError as error:
        _say(
            f"Error: the database was not reached or went away: {str(error).strip()}\nWhat to do: run the same"
            " command again when it answers, nothing is half done; docs/runbook.md, “Database not reached”"
        )
        sys.exit(1)


def _load(settings: Settings, folder: AnyPath, streams: int) -> None:
    from memberhouse.load import load_landed

    report = load_landed(settings, folder, progress=_say, streams=streams)
    click.echo(report.summary())


def _judge(settings: Settings, release_id: int | None = None) -> list[gate.Verdict]:
    """Judge a release (None: the newest) and tell the verdicts."""
    verdicts = gate.evaluate(settings, release_id)
    if not verdicts:
        click.echo("That release is published already.")
    for verdict in verdicts:
        click.echo(f"Gate: {verdict.group_name} {verdict.verdict}: {verdict.reason}")
    return verdicts


def _no_formula(value: Any) -> Any:
    """A text as a spreadsheet shows it instead of computing it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[("" if value is None else str(value)) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    lines = ["  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True))]
    lines.append("  ".join("-" * width for width in widths))
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines.append(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")
    return "\n".join(line.rstrip() for line in lines)


def _without_password(url: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    parts.pop("password", None)
    return psycopg.conninfo.make_conninfo("", **parts)


if __name__ == "__main__":
    main()
