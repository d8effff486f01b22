"""A store that cannot be used is refused at once, with what to give instead."""

import socket

import pytest
from mlflow.exceptions import MlflowException

from nnlab.errors import ServerLostError, TrackingError
from nnlab.tracking import reachable
from nnlab.tracking.locations import unread_variables
from nnlab.tracking.reachable import require_server
from nnlab.tracking.server import lost_reason


@pytest.mark.parametrize(
    ("uri", "instead"),
    [
        ("mlruns", "is a folder, .* such as sqlite:///mlruns/mlflow.db"),
        ("file:///tmp/mlruns", "is a folder, .*mlflow migrate-filestore"),
        ("localhost:5000", "Did you mean http://localhost:5000"),
        ("postgres://me@host/runs", "Did you mean postgresql://me@host/runs"),
        ("oracle://me@host/runs", "of no known kind: allowed are http://"),
        ("mysql+nodriver://me@host/runs", "nodriver"),
    ],
)
def test_a_store_of_no_known_kind_is_refused_with_what_is_allowed(uri, instead):
    with pytest.raises(TrackingError, match=instead):
        require_server(uri)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:{}", "postgresql+psycopg2://me@127.0.0.1:{}/x"])
def test_a_server_that_takes_a_connection_and_says_nothing_is_waited_for_in_seconds(
    uri, monkeypatch
):
    monkeypatch.setattr(reachable, "ANSWER_SECONDS", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(ServerLostError, match="does not answer: no answer in time"),
    ):
        require_server(uri.format(mute.getsockname()[1]))


def test_a_request_that_times_out_by_itself_has_no_answer_in_time_either(monkeypatch):
    monkeypatch.setattr(reachable, "ANSWER_SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(MlflowException) as raised,
    ):
        reachable._answers(f"http://127.0.0.1:{mute.getsockname()[1]}")
    assert lost_reason(raised.value) == "no answer in time"


def test_the_package_of_a_missing_driver_is_named():
    pytest.importorskip("psycopg2")
    with pytest.raises(TrackingError, match=r"needs the package pymysql, .*pip install 'pymysql'"):
        require_server("mysql+pymysql://me@127.0.0.1:9/runs")


def test_variables_of_mlflow_that_are_not_read_are_named(monkeypatch):
    assert unread_variables() == ""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "3")
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    assert unread_variables() == (
        "Note: MLFLOW_EXPERIMENT_ID is not read: "
        "MLFLOW_EXPERIMENT_NAME or tracking.experiment names the experiment."
    )
