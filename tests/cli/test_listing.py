"""`nnlab ls` and `nnlab show`: what a store holds, from its rows alone."""

import json
import re
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from support.commands import python

import nnlab
from nnlab.cli.main import main
from nnlab.data.sources import load_mnist_sample

SMALL = {
    "epochs": 3, "pictures": 0, "data": {"val_size": 4000}, "target_accuracy": 0.3,
}  # fmt: skip


def printed(*words, charset="utf-8", code=0):
    done = CliRunner(charset=charset).invoke(main, words, catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


def rows(*words):
    return json.loads(printed("ls", *words, "--format", "json"))


@pytest.fixture(scope="module")
def dead(tmp_path_factory):
    """A run of the notes' first initialisation, which switches every unit off."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('dead')}/mlflow.db"
    return nnlab.run(init="randn_minus_half", hidden_size=4, tracking={"uri": uri}, **SMALL)


def change(run, copy, *statements):
    """Copy the database of a run's store, and change the copy."""
    database = run.uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        for statement in statements:
            target.execute(statement)
        target.commit()


def test_the_sweeps_of_a_store_are_listed_the_newest_first(compared, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    later, earlier = rows("--uri", compared)
    assert earlier["started"] <= later["started"]
    assert [(row["kind"], row["runs"]) for row in (later, earlier)] == [("sweep", 8), ("sweep", 12)]
    table = nnlab.runs(selection=later["run_id"], uri=compared)
    assert later["learned"] == (table["outcome"] == "learned").sum()
    assert later["late_val_accuracy"] == table["late_val_accuracy"].max()
    head, *lines = printed("ls", "--uri", compared).splitlines()
    assert head.split() == ["id", "started", "outcome", "accuracy", "name"]
    assert [line[:8] for line in lines] == [later["run_id"][:8], earlier["run_id"][:8]]
    assert f"{later['learned']} of 8 learned" in lines[0]
    assert printed("ls", "--uri", compared, "--limit", "1").endswith("and 1 more: add --limit 2\n")


def test_a_selection_a_condition_a_status_and_a_tag_choose_what_is_listed(compared):
    sweep = rows("--uri", compared)[0]["run_id"]
    own = {row["run_id"] for row in rows(sweep[:9], "--uri", compared)}
    assert own == set(nnlab.runs(selection=sweep, uri=compared)["run_id"])
    assert {row["run_id"] for row in rows("last", "--uri", compared)} == own
    condition = "lr < 1 and init == 'he'"
    meant = nnlab.runs(condition, uri=compared)["run_id"].tolist()
    assert [row["run_id"] for row in rows("--where", condition, "--uri", compared)] == meant
    trained = rows("--runs", "--uri", compared)
    assert {row["run_id"] for row in trained} == set(nnlab.runs(uri=compared)["run_id"])
    assert rows("--status", "killed", "--uri", compared) == []
    assert len(rows("--status", "Finished", "--uri", compared)) == 2
    assert [row["run_id"] for row in rows("--runs", "--tag", "job=7", "--uri", compared)] == [
        row["run_id"] for row in trained if row["name"] == "lr=1e+30 seed=3"
    ] + [row["run_id"] for row in trained if row["name"] == "init=he lr=0.1 seed=1"]
    best = nnlab.get(sweep, compared).tags["best_run"]
    for tagged in (sweep, best):
        nnlab.get(tagged, compared).tag(paper="figure 2")
    assert {row["run_id"] for row in rows("--tag", "paper=figure 2", "--uri", compared)} == {
        sweep, best,
    }  # fmt: skip
    for tagged in (sweep, best):
        nnlab.get(tagged, compared).tag(paper=None)
    assert printed("ls", "--status", "failed", "--uri", compared).startswith("nothing to list in ")


def test_a_sweep_of_a_study_is_listed_with_its_name(tracker, store):
    sweep = tracker.start("lr=0.1,0.5", {}, {"kind": "sweep", "study": "edge"})
    assert rows("--uri", store)[0]["study"] == "edge"
    assert printed("ls", "--uri", store).splitlines()[1].endswith(" edge: lr=0.1,0.5")
    assert sweep[:8] in printed("ls", "--uri", store)


@pytest.mark.parametrize(("status", "outcome"), [("KILLED", None), ("FINISHED", "pruned")])
def test_a_run_that_was_stopped_is_listed_with_its_last_value_and_epoch(
    tracker, store, status, outcome
):
    run_id = tracker.start("lr=0.1", {}, {"job": "0", **({"outcome": outcome} if outcome else {})})
    tracker.log(run_id, [("val/accuracy", epoch / 100, epoch) for epoch in range(21)])
    tracker.finish(run_id, status)
    words = printed("ls", "--uri", store).splitlines()[1].split()
    assert words[0] == run_id[:8]
    assert words[3:] == [outcome or status, "at", "20", "0.2000", "lr=0.1"]


def test_csv_has_every_row_and_no_formula(compared):
    text = printed("ls", "--runs", "--format", "csv", "--uri", compared)
    head, *lines = text.splitlines()
    assert head.startswith("run_id,kind,name,sweep,study,status,outcome,epoch,")
    assert len(lines) == len(nnlab.runs(uri=compared))


def test_60_columns_hold_whole_ids_and_outcomes(compared, monkeypatch, capsys):
    from nnlab.analysis.listing import print_rows

    monkeypatch.setenv("COLUMNS", "60")
    listed = rows("--runs", "--uri", compared)
    print_rows(listed)
    text = capsys.readouterr().out.partition("Not shown: the column started.")[0]
    assert max(map(len, text.splitlines())) <= 60
    words = iter(text.split())
    for row in listed:  # nothing is cut
        for word in (row["run_id"][:8], row["outcome"], *row["name"].split()):
            assert word in words


def test_lookups_of_what_is_there_need_neither_mlflow_nor_pandas(compared):
    code = (
        "import sys; from nnlab.cli.main import main\n"
        "for words in (['ls'], ['ls', 'last'], ['show', 'last'], ['show', sys.argv[3]]):\n"
        "    main([*words, *sys.argv[1:3]], standalone_mode=False)\n"
        "print({'mlflow', 'sqlalchemy', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    run = nnlab.runs(uri=compared)["run_id"][0]
    done = python("-c", code, "--uri", compared, run, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_run_is_shown_as_it_is_recorded(compared):
    sweep = nnlab.get("last", compared)
    run = sweep.best()
    text = printed("show", run.id[:9], "--uri", compared)
    assert text.startswith(f"run {run.id}\n")
    for line in (
        rf"^outcome +{run.outcome}$", rf"^sweep +{run.sweep.id[:8]} {re.escape(run.sweep.name)}$",
        rf"late_val_accuracy {run.metrics['late_val_accuracy']:.4f}", r"^files +config.yaml \d",
    ):  # fmt: skip
        assert re.search(line, text, re.MULTILINE), line
    assert all(f"{name}={value}" in text for name, value in run.tags.items() if name == "lr")
    loss = run.history()["train/loss"]
    line = re.search(r"^train/loss +(\S+) +(\S+) +(\S+)$", text, re.MULTILINE)
    assert line[2] == f"{loss.iloc[0]:.4f}"
    assert line[3] == f"{loss.iloc[-1]:.4f}"
    assert (line[1][0], line[1][-1]) == ("█", "▁")  # it falls
    shown = json.loads(printed("show", run.id, "--uri", compared, "--json"))
    assert shown["metrics"] == run.metrics
    assert shown["lineage"] == {"sweep": [run.sweep.id]}
    w1 = run.weights(initial=True)["W1"].astype(float)
    assert shown["first_weights"] == {
        "shape": list(w1.shape), "mean": w1.mean(), "standard_deviation": w1.std(),
        "lowest": w1.min(), "highest": w1.max(),
    }  # fmt: skip


def test_a_sweep_is_shown_with_its_runs_the_best_first(compared):
    sweep = nnlab.get("last", compared)
    text = printed("show", sweep.id, "--uri", compared)
    results = sweep.runs().sort_values("late_val_accuracy", ascending=False)["run_id"]
    listed = re.findall(r"^([0-9a-f]{8})  ", text, re.MULTILINE)
    assert listed[:6] == [run_id[:8] for run_id in results[:6]]
    rest = f"{sweep.id[:8]} --uri {compared}\n"
    assert text.endswith(f"nnlab report {rest}nnlab ui {rest}")
    assert re.search(r"^outcome +FINISHED, 8 runs: ", text, re.MULTILINE)


def test_units_that_the_initial_weights_switch_off_are_counted(dead):
    shown = json.loads(printed("show", dead.id, "--uri", dead.uri, "--json"))
    images = load_mnist_sample().pixels / np.float32(255)
    first = dead.weights(initial=True)
    active = (first["W1"] @ images.T + first["b1"] > 0).any(axis=1)
    assert shown["dead_before_first_step"] == (~active).sum() == 4
    assert "dead at first   4 of 4 hidden units" in printed("show", dead.id, "--uri", dead.uri)


def test_initial_weights_that_were_lost_are_drawn_again_from_seed_and_config(dead, tmp_path):
    copy = tmp_path / "mlflow.db"
    change(dead, copy, "UPDATE runs SET artifact_uri = '/nowhere/' || run_uuid || '/artifacts'")
    lost = json.loads(printed("show", dead.id, "--uri", f"sqlite:///{copy}", "--json"))
    there = json.loads(printed("show", dead.id, "--uri", dead.uri, "--json"))
    assert lost["files"] == {}
    assert lost["first_weights"] == there["first_weights"]


def test_a_terminal_of_ascii_gets_curves_too(dead):
    text = printed("show", dead.id, "--uri", dead.uri, charset="ascii")
    line = re.search(r"^val/accuracy +(\S+) ", text, re.MULTILINE)
    assert set(line[1]) <= set("_.-~=+*#")


def test_text_of_a_store_says_nothing_to_the_terminal(dead, tmp_path):
    database = tmp_path / "mlflow.db"
    change(
        dead, database, "UPDATE runs SET name = 'a\x1b[31m[red]b\nc'",
        f"INSERT INTO tags VALUES ('\x1b]0;x', '\x1b[2J', '{dead.id}')",
    )  # fmt: skip
    csv, as_json = ("ls", "--format", "csv"), ("show", dead.id, "--json")
    for words in (("ls",), ("show", dead.id), csv, as_json):
        text = printed(*words, "--uri", f"sqlite:///{database}")
        assert "\x1b" not in text
        assert "[red]b" in text


def test_numbers_that_are_not_finite_are_null_in_json(dead, compared, tmp_path):
    database = tmp_path / "mlflow.db"
    infinite = "UPDATE latest_metrics SET value = 9e999"
    ended = f"INSERT INTO latest_metrics VALUES ('diverged_at', 9e999, 0, 0, 0, '{dead.id}')"
    change(dead, database, infinite, ended)
    shown = json.loads(printed("show", dead.id, "--json", "--uri", f"sqlite:///{database}"))
    assert set(shown["metrics"].values()) == {None}
    assert shown["epoch"] is None
    change(SimpleNamespace(uri=compared), tmp_path / "sweep.db", infinite)
    printed("ls", "--uri", f"sqlite:///{tmp_path / 'sweep.db'}")
