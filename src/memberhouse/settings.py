"""Where the state lives and which database is used. Read from the environment, nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class AppBackEnd:
    """The app's back end, from which resources are extracted.

    url: where ``/v1/<resource>`` is (``MEMBERHOUSE_APP_URL``).
    token: the bearer token (``MEMBERHOUSE_APP_TOKEN``).
    overlap: how far before the watermark an extraction begins (``MEMBERHOUSE_APP_OVERLAP_HOURS``).
    """

    url: str
    token: str = field(repr=False)
    overlap: timedelta = timedelta(hours=6)


@dataclass(frozen=True)
class Retention:
    """Which published releases stay readable, beside those that readers see and the newest one.

    days: every release published in the last so many days (``MEMBERHOUSE_KEEP_RELEASES_DAYS``). Five weeks, because
        what was wrong with a month is noticed when the next one is closed.
    weekly_years: for how many years the last release as of each ISO week, its close
        (``MEMBERHOUSE_KEEP_WEEKLY_CLOSES_YEARS``); ``None``: for ever. Reports name them, and they cost
        only the rows that changed between them.
    """

    days: int = 35
    weekly_years: int | None = None


@dataclass(frozen=True)
class Settings:
    """The process's configuration.

    home: folder for everything Memberhouse writes on this machine (``MEMBERHOUSE_HOME``).
    database_url: libpq URL of the warehouse (``DATABASE_URL``); ``None`` means the embedded one.
    project_root: the checkout that holds ``dags/``, ``dbt_project/`` and ``expectations/``
        (``MEMBERHOUSE_PROJECT``; by default the checkout this package is installed from).
    vault_key: the key of the tokens that stand for personal data (``MEMBERHOUSE_VAULT_KEY``); ``None`` means
        the one in the state folder. vault_key_version: its number (``MEMBERHOUSE_VAULT_KEY_VERSION``).
    alert_webhook: URL that alerts are posted to (``MEMBERHOUSE_ALERT_WEBHOOK``), if any.
    app: the app's back end, if there is one to extract from.
    app_token: the bearer token that its stand-in asks for (``MEMBERHOUSE_APP_TOKEN``).
    retention: which published releases stay readable.
    landing: where batches land, a folder or a URL (``MEMBERHOUSE_LANDING``); ``None`` means ``landing/`` in the state
        folder.
    """

    home: Path
    database_url: str | None
    project_root: Path
    alert_webhook: str | None = None
    app: AppBackEnd | None = None
    app_token: str = field(default="", repr=False)
    retention: Retention = Retention()
    vault_key: str | None = field(default=None, repr=False)
    vault_key_version: int = 1
    landing: str | None = None

    @property
    def landing_place(self) -> str:
        """Where batches land."""
        return self.landing or str(self.home / "landing")

    @classmethod
    def from_env(cls) -> Settings:
        """Read the settings from the environment, where empty is not set; relative paths count from the working
        folder."""
        return cls(
            home=Path(os.environ.get("MEMBERHOUSE_HOME") or ".memberhouse").absolute(),
            database_url=os.environ.get("DATABASE_URL") or None,
            project_root=Path(os.environ.get("MEMBERHOUSE_PROJECT") or PROJECT_ROOT).absolute(),
            alert_webhook=os.environ.get("MEMBERHOUSE_ALERT_WEBHOOK") or None,
            app=_app_back_end(),
            app_token=_app_token(),
            retention=Retention(
                days=int(os.environ.get("MEMBERHOUSE_KEEP_RELEASES_DAYS") or 35),
                weekly_years=int(os.environ.get("MEMBERHOUSE_KEEP_WEEKLY_CLOSES_YEARS") or 0) or None,
            ),
            vault_key=os.environ.get("MEMBERHOUSE_VAULT_KEY") or None,
            vault_key_version=int(os.environ.get("MEMBERHOUSE_VAULT_KEY_VERSION") or 1),
            landing=os.environ.get("MEMBERHOUSE_LANDING") or None,
        )


def _app_back_end() -> AppBackEnd | None:
    url = os.environ.get("MEMBERHOUSE_APP_URL")
    if not url:
        return None
    return AppBackEnd(
        url=url.rstrip("/"),
        token=_app_token(),
        overlap=timedelta(hours=float(os.environ.get("MEMBERHOUSE_APP_OVERLAP_HOURS") or 6)),
    )


def _app_token() -> str:
    return os.environ.get("MEMBERHOUSE_APP_TOKEN", "").strip()
