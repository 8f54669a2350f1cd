# One image for every Airflow service and for the command line.
FROM python:3.11.17-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    DO_NOT_TRACK=1 \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    GX_ANALYTICS_ENABLED=false \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/memberhouse/dags \
    MEMBERHOUSE_PROJECT=/opt/memberhouse \
    MEMBERHOUSE_HOME=/var/lib/memberhouse

# The folders that are written to; everything else may be read-only.
RUN groupadd --gid 10001 memberhouse \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /opt/airflow --shell /usr/sbin/nologin memberhouse \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /opt/airflow /var/log/airflow /var/lib/memberhouse

WORKDIR /opt/memberhouse

# The dependencies first: this layer is made again only when the lock changes.
COPY requirements.lock ./
RUN python -m pip install --require-hashes --only-binary :all: --no-deps -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY src ./src
COPY dags ./dags
COPY dbt_project ./dbt_project
COPY expectations ./expectations
RUN python -m pip install --no-deps --no-build-isolation --editable . \
    && python -m compileall -q src dags

USER 10001:10001
CMD ["memberhouse", "--help"]
