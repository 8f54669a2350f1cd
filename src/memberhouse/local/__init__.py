"""Everything that runs on one machine: the embedded Postgres, Airflow on it, and the demo."""
