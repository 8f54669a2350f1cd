"""Builds a candidate release: runs the dbt project for an as-of date."""

from memberhouse.warehouse.build import (
    BuildFailed,
    Overtaken,
    as_of_date,
    build,
    build_lock,
    has_news,
    refuse_if_overtaken,
)

__all__ = ["BuildFailed", "Overtaken", "as_of_date", "build", "build_lock", "has_news", "refuse_if_overtaken"]
