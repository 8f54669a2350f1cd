"""Where the state lives and which database is used. Read from the environment, nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]


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
    """

    home: Path
    database_url: str | None
    project_root: Path
    alert_webhook: str | None = None
    vault_key: str | None = field(default=None, repr=False)
    vault_key_version: int = 1

    @classmethod
    def from_env(cls) -> Settings:
        """Read the settings from the environment; relative paths count from the working folder."""
        return cls(
            home=Path(os.environ.get("MEMBERHOUSE_HOME", ".memberhouse")).absolute(),
            database_url=os.environ.get("DATABASE_URL") or None,
            project_root=Path(os.environ.get("MEMBERHOUSE_PROJECT", PROJECT_ROOT)).absolute(),
            alert_webhook=os.environ.get("MEMBERHOUSE_ALERT_WEBHOOK") or None,
            vault_key=os.environ.get("MEMBERHOUSE_VAULT_KEY") or None,
            vault_key_version=int(os.environ.get("MEMBERHOUSE_VAULT_KEY_VERSION") or 1),
        )
