"""The late accuracy of runs that did not record it, from their curves or their history."""

import pandas as pd
import pytest

from nnlab.tracking.late_accuracy import late_accuracies
from nnlab.tracking.records import RunRecord

EPOCHS = 40  # the last tenth: epochs 37 to 40
ACCURACY = [0.5 + 0.01 * (epoch % 7) for epoch in range(EPOCHS + 1)]
LATE = sum(ACCURACY[37:]) / 4


def record(run_id, **metrics):
    return RunRecord(run_id, "1", run_id, "FINISHED", {}, {}, metrics, {}, 0)


class Stored:
    """A store of runs that logged some epochs, and perhaps kept their history."""

    def __init__(self, every, history):
        self.every, self.history, self.asked = every, history, []

    def curves(self, run_ids, metrics):
        assert metrics == ["val/accuracy"]
        self.asked = list(run_ids)
        return pd.DataFrame(
            {"run_id": run_id, "epoch": epoch, "val/accuracy": ACCURACY[epoch]}
            for run_id in run_ids
            for epoch in range(0, EPOCHS + 1, self.every)
        )

    def read_file(self, run_id, name):
        assert (run_id, name) == ("a", "history.csv")
        return self.history


HISTORY = "epoch,val/accuracy\n" + "".join(f"{e},{a!r}\n" for e, a in enumerate(ACCURACY))


@pytest.mark.parametrize(
    ("every", "history", "expected"),
    [(1, None, LATE), (4, HISTORY, LATE), (4, None, None), (4, "epoch\n1,2\n", None),
     (4, HISTORY.replace("40,", "40,nan#"), None)],
)  # fmt: skip
def test_it_comes_from_all_late_epochs_or_from_none(every, history, expected):
    late = late_accuracies(Stored(every, history), [record("a", final_val_accuracy=0.5)])
    assert late == ({} if expected is None else {"a": pytest.approx(expected)})


def test_only_runs_that_lack_it_and_have_a_final_network_are_read():
    store = Stored(1, None)
    records = [record("a", final_val_accuracy=0.5, late_val_accuracy=0.4), record("b"),
               record("c", final_val_accuracy=0.5)]  # fmt: skip
    assert set(late_accuracies(store, records)) == set(store.asked) == {"c"}
