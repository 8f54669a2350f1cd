"""Runs Airflow with the tasks' heavy libraries already imported: `python -m memberhouse.local.preload scheduler`.

LocalExecutor's workers are forks of the scheduler, and each task is a fork of a worker. dbt and Great
Expectations take five and ten seconds of processor time to import: here once, not for every build and gate.
Only libraries are imported, so a change to this package or to a DAG counts from the next task on.
"""

from __future__ import annotations

import runpy
from importlib import import_module

LIBRARIES = ("dbt.cli.main", "dbt.adapters.postgres", "great_expectations")

if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)
