"""Metrics, params and tags of a run into a local store, in one transaction.

MLflow's client makes an object of each row, and each of its requests is five transactions or more:
0.2 ms a metric. Here MLflow's own tables get the same rows in a few statements.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore


def log_batch(
    store: "SqlAlchemyStore",
    run_id: str,
    metrics: Sequence["Metric"] = (),
    params: Sequence["Param"] = (),
    tags: Sequence["RunTag"] = (),
) -> None:
    """Log what MLflow's ``log_batch`` would, of any length, all of it or nothing.

    Parameters
    ----------
    store : SqlAlchemyStore
        Of an SQLite database.
    run_id : str
    metrics : Sequence[Metric]
        Those that the run has already are left out.
    params : Sequence[Param]
        None of which the run has.
    tags : Sequence[RunTag]
        They replace those of the same name.

    Raises
    ------
    MlflowException
        As MLflow's: the run is not active, a name or a value is not valid, the database is locked.
    """
    from mlflow.store.tracking.dbmodels.models import SqlLatestMetric, SqlMetric, SqlParam, SqlTag
    from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME
    from mlflow.utils.validation import _validate_batch_log_data
    from sqlalchemy import tuple_
    from sqlalchemy.dialects.sqlite import insert

    names = {metric.key: metric for metric in metrics}  # each once: their values are numbers
    _, params, tags = _validate_batch_log_data(  # type: ignore[no-untyped-call]
        names.values(), params, tags
    )
    with store.ManagedSessionMaker(read_only=False) as session:
        run = store._get_run(session, run_id)  # type: ignore[no-untyped-call] # noqa: SLF001 - as MLflow's log_batch begins
        store._check_run_is_active(run)  # type: ignore[no-untyped-call] # noqa: SLF001
        if metrics:
            rows = [_row(store, run_id, metric) for metric in metrics]
            session.execute(insert(SqlMetric.__table__).on_conflict_do_nothing(), rows)
            latest = insert(SqlLatestMetric.__table__)
            new, old = (
                tuple_(table.step, table.timestamp, table.value)
                for table in (latest.excluded, SqlLatestMetric)
            )
            fields = {
                name: latest.excluded[name] for name in ("value", "timestamp", "step", "is_nan")
            }
            session.execute(
                latest.on_conflict_do_update(
                    index_elements=["key", "run_uuid"], set_=fields, where=new > old
                ),
                list(_latest(rows).values()),
            )
        if params:
            texts = [{"run_uuid": run_id, "key": p.key, "value": p.value} for p in params]
            session.execute(insert(SqlParam.__table__), texts)
        if tags:
            texts = [{"run_uuid": run_id, "key": t.key, "value": t.value} for t in tags]
            upsert = insert(SqlTag.__table__)
            session.execute(
                upsert.on_conflict_do_update(
                    index_elements=["key", "run_uuid"], set_={"value": upsert.excluded.value}
                ),
                texts,
            )
            run.name = {t.key: t.value for t in tags}.get(MLFLOW_RUN_NAME, run.name)


def _row(store: "SqlAlchemyStore", run_id: str, metric: "Metric") -> dict[str, Any]:
    is_nan, value = store.sanitize_metric_value(metric.value)
    return {
        "run_uuid": run_id, "key": metric.key, "value": value, "is_nan": is_nan,
        "timestamp": metric.timestamp, "step": metric.step,
    }  # fmt: skip


def _latest(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the last row of each metric, by epoch, then by time, then by value, as MLflow does."""
    latest: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        before = latest.get(row["key"])
        if before is None or _place(row) > _place(before):
            latest[row["key"]] = row
    return latest


def _place(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["timestamp"], row["value"]
