"""Audited member lifecycle history and KPI marts for retail."""
