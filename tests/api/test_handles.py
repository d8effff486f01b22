"""`import nnlab`: runs and sweeps from Python, and what their handles tell."""

import asyncio
import signal
import sqlite3
import sys
import threading

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support.commands import python, run_py
from threadpoolctl import threadpool_info

import nnlab
from nnlab.data.sources import load_mnist_sample
from nnlab.execution.recorder import Recorder

SMALL = {
    "epochs": 4, "hidden_size": 4, "pictures": 0, "data": {"val_size": 4000},
    "target_accuracy": 0.15,
}  # fmt: skip
GRID = {"lr": [0.1, 0.5], "init": ["he", "randn_small"], "seed": range(2)}
TYPED = (
    "-m", "lr=0.1,0.5", "init=he,randn_small", "seed=range(0,2)", "epochs=4", "hidden_size=4",
    "pictures=0", "data.val_size=4000", "target_accuracy=0.15",
)  # fmt: skip
HOW = "hydra.launcher.backend=sequential"
OF_THE_MOMENT = ("owner", "mlflow.parentRunId", "command", "best_run", "mlflow.note.content")


@pytest.fixture(scope="module", autouse=True)
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNLAB_ROOT", str(folder))
        yield folder


@pytest.fixture(scope="module")
def sweep():
    return nnlab.sweep(HOW, **GRID, **SMALL)


@pytest.fixture(scope="module")
def run(sweep):
    return sweep.best()


def test_a_sweep_has_the_identity_the_records_and_the_bits_of_the_command_line(sweep, tmp_path):
    run_py(*TYPED, HOW, root=tmp_path, check=True)
    typed = nnlab.get("last", uri=f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    assert typed.name == sweep.name
    assert typed.params == sweep.params
    assert typed.metrics == sweep.metrics
    assert typed.tags.keys() == sweep.tags.keys()
    assert sweep.tags["command"].startswith("nnlab run -m ")
    ids = [each.runs().sort_values("name")["run_id"] for each in (sweep, typed)]
    for here, there in zip(*ids, strict=True):
        one, other = nnlab.get(here), nnlab.get(there, typed.uri)
        assert one.params == other.params
        assert one.metrics == other.metrics
        assert {n: t for n, t in one.tags.items() if n not in OF_THE_MOMENT} == {
            n: t for n, t in other.tags.items() if n not in OF_THE_MOMENT
        }
        for name, array in one.weights().items():
            assert array.tobytes() == other.weights()[name].tobytes()


def test_a_single_run_has_the_bits_that_it_has_in_a_sweep(sweep, run):
    alone = nnlab.run(
        lr=run.params["lr"], init=run.params["init.name"], seed=run.params["seed"], **SMALL
    )
    assert (alone.status, alone.outcome, alone.sweep) == ("FINISHED", run.outcome, None)
    assert alone.tags["weights_sha256"] == run.tags["weights_sha256"]
    assert alone.tags["run_key"] == run.tags["run_key"]
    assert run.sweep == sweep
    assert nnlab.get("last") == alone


def test_the_history_has_a_row_an_epoch_and_a_column_a_metric(run):
    history = run.history()
    assert history.index.tolist() == [0, 1, 2, 3, 4]
    assert history.index.name == "epoch"
    assert history["val/accuracy"].iloc[-1] == run.metrics["final_val_accuracy"]


def test_weights_have_the_shapes_of_the_notes_and_the_initial_ones_differ(run):
    final, initial = run.weights(), run.weights(initial=True)
    assert {name: array.shape for name, array in final.items()} == {
        "W1": (4, 784), "b1": (4, 1), "W2": (10, 4), "b2": (10, 1),
    }  # fmt: skip
    assert not np.array_equal(final["W1"], initial["W1"])
    assert not initial["b1"].any()


def test_predictions_follow_the_equations_of_the_notes(run, tmp_path):
    images = load_mnist_sample().pixels[::100]
    w = run.weights()
    hidden = np.maximum(w["W1"] @ (images.T / 255) + w["b1"], 0)
    expected = (w["W2"] @ hidden + w["b2"]).argmax(axis=0)
    assert run.predict(images).tolist() == expected.tolist()
    assert run.predict(images.reshape(-1, 28, 28) / 255).tolist() == expected.tolist()
    np.save(tmp_path / "digits.npy", images)
    assert run.predict(tmp_path / "digits.npy").tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["curves", "confusion", "filters", "mistakes"])
def test_each_figure_of_a_run_is_a_figure_that_a_notebook_shows(run, name):
    figure = run.figure(name)
    assert figure.axes
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


def test_a_sweep_compares_its_configurations(sweep):
    table = sweep.compare()
    assert len(table) == 4
    assert table["seeds"].tolist() == [2, 2, 2, 2]
    by_hand = sweep.runs().groupby(["lr", "init.name"])["final_val_accuracy"].mean()
    assert table["mean"].max() == pytest.approx(by_hand.max())
    pivoted = sweep.compare(by="init,lr")["mean"]
    assert pivoted[0.5].xs("he", level="init.name").item() == pytest.approx(by_hand[0.5, "he"])
    assert sweep.importance()["cause"].iloc[-1] == "seed"
    assert sweep.best().metrics["final_val_accuracy"] == sweep.runs()["final_val_accuracy"].max()
    lowest = sweep.best("final_val_loss").metrics["final_val_loss"]
    assert lowest == sweep.runs()["final_val_loss"].min()


def test_a_sweep_has_figures_and_a_report(sweep, tmp_path):
    assert sweep.figure("rates").axes
    report = sweep.report(out=tmp_path / "page")
    assert report.page.is_file()
    assert "**Verdict**" in (report.folder / "README.md").read_text(encoding="utf-8")


def test_runs_are_selected_by_conditions_and_by_names(sweep, run):
    chosen = nnlab.runs("lr > 0.1 and init == 'he'", selection=sweep)
    assert set(chosen["lr"]) == {0.5}
    assert len(chosen) == 2
    assert len(nnlab.runs(selection=[run.id[:8], sweep.id[:8]])) == 8
    everything = nnlab.runs()
    assert set(sweep.runs()["run_id"]) <= set(everything["run_id"])
    assert sweep.id not in set(everything["run_id"])


def test_what_is_recorded_is_read_without_mlflow(run, root):
    code = (
        "import sys, nnlab\n"
        f"run = nnlab.get({run.id[:8]!r})\n"
        "print(run.outcome, len(run.history()), len(nnlab.runs(selection=run)))\n"
        "print('mlflow' in sys.modules)"
    )
    done = python("-c", code, root=root, check=True)
    assert done.stdout.split() == [run.outcome, "5", "1", "False"]


def test_two_selections_are_compared_seed_by_seed(sweep):
    runs = sweep.runs()
    one, other = (runs.loc[(runs["lr"] == lr) & (runs["init.name"] == "he")] for lr in (0.1, 0.5))
    (row,) = nnlab.compare(one["run_id"], other["run_id"]).to_dict(orient="records")
    means = [float(side["final_val_accuracy"].mean()) for side in (one, other)]
    assert row["difference"] == pytest.approx(means[0] - means[1])


def test_what_differs_between_two_runs_is_explained(sweep):
    one, other = (nnlab.get(run_id) for run_id in sweep.runs("seed == 0")["run_id"][:2])
    explanation = nnlab.explain(one, other.id[:8])
    assert {each.what for each in explanation.differences} <= {"lr", "init.name"}
    assert explanation.first.epoch == 0 or explanation.first.metric


def test_a_run_is_certified(run):
    certificate = nnlab.reproduce(run)
    assert certificate.verdict == "bit-identical"
    assert certificate.run == run.id
    assert nnlab.get("last") != nnlab.get(certificate.reproduction)  # it is no run of its own


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda _: nnlab.run(learning_rate=0.1), "did you mean `lr`?"),
        (lambda _: nnlab.run(lr=-1.0), "lr must be a number above 0"),
        (lambda _: nnlab.run(lr=[0.1, 0.5]), "nnlab.sweep"),
        (lambda _: nnlab.run(lr=object()), "a field takes a number"),
        (lambda _: nnlab.run(init="hee"), "init is one of"),
        (lambda _: nnlab.run(init={"name": "he", "scale": 2}), "init.scale"),
        (lambda _: nnlab.run(data={"source": "idx", "name": "x", "dir": "/nowhere"}), "/nowhere"),
        (lambda _: nnlab.run(experiment="init_scale"), "is a sweep"),
        (lambda _: nnlab.run("hydra.job.chdir=true"), "command line alone"),
        (lambda _: nnlab.sweep(lr=[]), "nothing to run"),
        (lambda _: nnlab.sweep(tracking={"every": [1, 2]}), "must be the same for all"),
        (lambda _: nnlab.get("feed0"), "no run begins with feed0"),
        (lambda _: nnlab.get("last", uri="sqlite:////nowhere/x.db"), "no tracking store"),
        (lambda _: nnlab.runs("learning_rate > 1"), "is no column"),
        (lambda _: nnlab.runs("lr > 1000"), "None of the"),
        (lambda _: nnlab.runs(selection="no-such-experiment"), "is nothing in"),
        (lambda _: nnlab.runs(selection=[]), "is empty"),
        (lambda _: nnlab.compare(3), "names no run"),
        (lambda sweep: sweep.compare("learning_rate"), "is no column"),
        (lambda sweep: sweep.compare(metric="accuracy_of_val"), "is no column"),
        (lambda sweep: sweep.best("accuracy_of_val"), "is no column"),
        (lambda sweep: sweep.figure("pies"), "there are phase, rates, curves"),
        (lambda sweep: sweep.best().figure("pies"), "there are curves, confusion"),
        (lambda sweep: sweep.best().predict(np.zeros((3, 5))), "expected 784 pixels"),
        (lambda sweep: sweep.best().predict(np.full((3, 784), 300)), "from 0 to 255"),
        (lambda sweep: nnlab.explain(sweep, sweep), "is a sweep"),
    ],
)
def test_a_mistake_is_one_sentence_and_never_an_empty_table(sweep, call, sentence):
    with pytest.raises(nnlab.NnlabError, match=r"[.?]$") as caught:
        call(sweep)
    assert sentence in str(caught.value)


def test_a_run_is_shown_in_a_notebook_with_its_results(run, sweep):
    assert run.id[:8] in run._repr_html_()
    assert f"{run.metrics['final_val_accuracy']:.4f}" in run._repr_html_()
    assert sweep._repr_html_().count("<tr") == 2 + 1 + 4
    assert repr(run) == f"<Run {run.id[:8]} {run.name!r}: {run.outcome}>"


def test_names_from_a_store_are_shown_as_text():
    run = nnlab.run(run_name="<script>alert(1)</script>", **{**SMALL, "epochs": 0})
    assert run.name == "<script>alert(1)</script>"
    assert "<script>" not in run._repr_html_()


def test_a_notebook_shows_one_bar_that_moves(monkeypatch):
    shown = []

    class Handle:
        def update(self, content):
            shown.append(content.data)

    def display(content, display_id):
        assert display_id
        shown.append(content.data)
        return Handle()

    import IPython
    from IPython import display as module

    monkeypatch.setattr(IPython, "get_ipython", type("Shell", (), {"kernel": True}))
    monkeypatch.setattr(module, "display", display)
    nnlab.run(lr=0.3, **SMALL)
    assert "<progress" in shown[0]
    assert "epochs" in shown[0]
    assert shown[-1] == ""


def test_an_interrupt_ends_a_run_as_killed_and_reaches_the_caller(monkeypatch, run, tmp_path):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))  # in a store of its own, nothing else is left
    start = Recorder.start

    def interrupted(self, runs):
        start(self, runs)
        signal.raise_signal(signal.SIGINT)

    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fields = {"lr": run.params["lr"], "init": run.params["init.name"], "seed": run.params["seed"]}
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nnlab.sweep(HOW, **fields, **SMALL)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    broken_off = nnlab.get("last")
    assert broken_off.status == "KILLED"
    resumed = nnlab.resume(backend="sequential")
    assert resumed == broken_off
    assert resumed.status == "FINISHED"
    assert resumed.best().tags["weights_sha256"] == run.tags["weights_sha256"]
    assert nnlab.resume(resumed) == resumed  # nothing is left to do
    with pytest.raises(nnlab.NnlabError, match="was left unfinished"):
        nnlab.resume()


def test_sigterm_ends_a_run_as_killed_before_the_host_handles_it(monkeypatch, tmp_path):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    start, heard = Recorder.start, []

    def terminated(self, runs):
        start(self, runs)
        signal.raise_signal(signal.SIGTERM)

    def status(*_):
        heard.append(nnlab.get("last").status)

    before = signal.signal(signal.SIGTERM, status)
    try:
        monkeypatch.setattr(Recorder, "start", terminated)
        with pytest.raises(KeyboardInterrupt):
            nnlab.run(**SMALL)
        assert signal.getsignal(signal.SIGTERM) is status
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == ["KILLED"]


@pytest.mark.long
def test_a_sweep_whose_process_was_killed_is_resumed(tmp_path):
    code = (
        "import os, signal, nnlab\n"
        "from nnlab.execution.recorder import Recorder\n"
        "Recorder.finish = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"nnlab.sweep({HOW!r}, lr=[0.1, 0.5], init='he', **{SMALL!r})\n"
    )
    done = python("-c", code, root=tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    uri = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    resumed = nnlab.resume(uri=uri)
    assert resumed.status == "FINISHED"
    assert resumed.runs()["status"].tolist() == ["FINISHED", "FINISHED"]


def test_runs_train_in_threads_and_in_a_running_event_loop(sweep):
    def train(rate, made):
        made.append(nnlab.run(lr=rate, init="he", seed=0, **SMALL))

    async def main():
        made = []
        threads = [threading.Thread(target=train, args=(rate, made)) for rate in (0.1, 0.5)]
        for thread in threads:
            thread.start()
        train(0.1, made)  # in the loop's own thread, as a notebook's cell
        for thread in threads:
            await asyncio.to_thread(thread.join)
        return made

    blas = [library["num_threads"] for library in threadpool_info()]
    made = asyncio.run(main())
    assert [library["num_threads"] for library in threadpool_info()] == blas
    digests = sweep.runs("init == 'he' and seed == 0").set_index("lr")["run_id"]
    for run in made:
        expected = nnlab.get(digests[run.params["lr"]]).tags["weights_sha256"]
        assert run.tags["weights_sha256"] == expected


def test_what_training_raises_is_raised_and_the_run_has_failed(monkeypatch, tmp_path):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    finish = Recorder.finish

    def failing(self, run, *args, **options):
        if run.job.config.lr == 0.5:
            raise RuntimeError("on purpose")
        finish(self, run, *args, **options)

    monkeypatch.setattr(Recorder, "finish", failing)
    with pytest.raises(RuntimeError):
        nnlab.run(lr=0.5, **SMALL)
    assert nnlab.get("last").status == "FAILED"


def test_a_deleted_run_is_named(root):
    run = nnlab.run(**{**SMALL, "epochs": 0}, tracking={"experiment": "deleted"})
    other = nnlab.get(run.id)
    database = sqlite3.connect(root / "mlruns" / "mlflow.db")
    with database:
        query = "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?"
        database.execute(query, (run.id,))
    database.close()
    with pytest.raises(nnlab.NnlabError, match="it was deleted"):
        _ = other.status
    assert repr(other) == f"<Run {run.id[:8]}>"


def test_nothing_is_printed_to_the_standard_output(capsys):
    nnlab.run(**{**SMALL, "epochs": 1})
    assert capsys.readouterr().out == ""
    assert "pandas" in sys.modules
    assert isinstance(nnlab.runs(), pd.DataFrame)


def test_tags_of_ones_own_are_set_and_deleted_as_nnlab_tag_does(run):
    before = run.tags
    run.tag(paper="yes", **{"draft/1": "a = b"})
    assert run.tags == nnlab.get(run.id).tags == {**before, "paper": "yes", "draft/1": "a = b"}
    with pytest.raises(nnlab.NnlabError, match="'outcome' says what nnlab or MLflow know"):
        run.tag(paper="no", outcome="learned")
    run.tag(paper=None, **{"draft/1": None})
    assert run.tags == before


def test_a_run_is_deleted_and_restored_and_deleted_for_good(root):
    run = nnlab.run(**SMALL, seed=77)
    weights = root / "mlruns" / "artifacts" / run.id / "artifacts" / "weights.npz"
    run.delete()
    assert run.id not in set(nnlab.runs()["run_id"])
    with pytest.raises(nnlab.NnlabError, match="no run"):
        nnlab.get(run.id)
    with pytest.raises(nnlab.NnlabError, match="it was deleted"):
        assert run.outcome
    run.restore()
    assert nnlab.get(run.id).outcome == run.outcome is not None
    assert weights.exists()
    run.delete(forever=True)
    assert not weights.exists()
    with pytest.raises(nnlab.NnlabError, match="In the trash of"):
        run.restore()
