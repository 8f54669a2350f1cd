"""Builds a candidate release: runs the dbt project for an as-of date."""

from memberhouse.warehouse.build import BuildFailed, build, build_lock

__all__ = ["BuildFailed", "build", "build_lock"]
