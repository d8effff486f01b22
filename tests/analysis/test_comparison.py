"""Comparisons of a real store's runs, against plain arithmetic on what MLflow's client returns."""

import csv
import io
import json
import math
import re
import statistics

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats
from support.commands import nnlab, python, run_py

from nnlab.analysis.comparison import compare, importance
from nnlab.analysis.paired import pair
from nnlab.cli.main import main
from nnlab.errors import ComparisonError
from nnlab.tracking.frames import read_runs

ACCURACY = "late_val_accuracy"


@pytest.fixture(scope="module")
def first(compared):
    """The id of the first sweep: two inits × two learning rates × three seeds."""
    client = mlflow.MlflowClient(compared)
    ids = [each.experiment_id for each in client.search_experiments()]
    return client.search_runs(ids, "tags.kind = 'sweep'")[-1].info.run_id


@pytest.fixture(scope="module")
def by_mlflow(compared):
    """What MLflow's client says: (init, learning rate) -> seed -> final accuracy."""
    client = mlflow.MlflowClient(compared)
    found = {}
    for run in client.search_runs([client.get_experiment_by_name("nnlab").experiment_id]):
        if "outcome" in run.data.tags:
            params = run.data.params
            own = found.setdefault((params["init.name"], float(params["lr"])), {})
            own[int(params["seed"])] = run.data.metrics.get(ACCURACY, 0.0)
    return found


def run_of(compared, **values):
    runs = read_runs(compared, ["nnlab"])
    for name, value in values.items():
        runs = runs[runs[name.replace("init", "init.name")] == value]
    return runs["run_id"].iloc[0]


def compared_by_command(*arguments):
    env = {"COLUMNS": "200"}
    done = CliRunner().invoke(main, ["compare", *arguments], env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_there_is_one_row_a_configuration_with_the_columns_that_vary_best_first(
    compared, first, by_mlflow
):
    table = compare([first], compared)
    assert table.attrs["fields"] == ["lr", "init.name"]  # not the scale, which follows the name
    assert len(table) == 4
    assert table["mean"].is_monotonic_decreasing
    for row in table.to_dict(orient="records"):
        own = [by_mlflow[row["init.name"], row["lr"]][seed] for seed in range(3)]
        assert row["seeds"] == 3
        assert row["mean"] == pytest.approx(statistics.mean(own))
        assert row["median"] == pytest.approx(statistics.median(own))
        assert row["iqm"] == pytest.approx(stats.trim_mean(own, 0.25))
        assert (row["worst"], row["best"]) == (min(own), max(own))
        assert (row["low"], row["high"], row["interval"]) == (None, None, "few seeds")


def test_a_condition_takes_no_column_away(compared):
    table, fixed = compare(["last"], compared), compare(["last"], compared, where="lr==0.5")
    assert set(fixed["lr"].astype(float)) == {0.5}
    assert list(fixed.columns) == [name for name in table.columns if name in fixed]
    assert set(table.attrs["fields"]) <= set(fixed.columns)


def test_where_all_runs_diverged_there_is_a_table_nevertheless(compared):
    (row,) = compare(["last"], compared, where="lr>1").to_dict(orient="records")
    assert (row["mean"], row["seeds"], row["diverged"]) == (0, 4, 4)


def test_the_commands_help_loads_nothing_heavy():
    code = (
        "import sys, nnlab.cli.main\n"
        "print({'pandas', 'scipy', 'mlflow', 'matplotlib', 'numpy'} & set(sys.modules))"
    )
    done = python("-c", code, check=True)
    assert done.stdout.strip() == "set()"


def test_outcomes_are_counted_and_epochs_to_target_say_how_many_reached_it(compared, first):
    runs = read_runs(compared, [first])
    table = compare([first], compared)
    outcomes = set(runs["outcome"])
    assert len(outcomes) > 1
    for row in table.to_dict(orient="records"):
        own = runs[(runs["lr"] == row["lr"]) & (runs["init.name"] == row["init.name"])]
        counts = own["outcome"].value_counts().to_dict()
        assert {each: row[each] for each in outcomes if row[each]} == counts
        epochs = sorted(own["epochs_to_target"].fillna(math.inf))
        assert row["reached"] == sum(map(math.isfinite, epochs))
        assert row["ended"] == 3
        if row["reached"] >= 2:
            assert row["epochs_to_target"] == epochs[1]
        else:
            assert math.isnan(row["epochs_to_target"])


def test_a_diverged_run_counts_as_accuracy_0_and_an_infinite_loss_and_the_notes_say_so(compared):
    table = compare(["last"], compared)
    assert table["lr"].tolist() == [0.5, 1e30]
    assert table["diverged"].tolist() == [0, 4]
    assert table.loc[1, "mean"] == 0
    assert table.loc[1, "interval"] == "few seeds"
    assert "4 diverged runs count as late_val_accuracy 0." in table.attrs["notes"]
    loss = compare(["last"], compared, "final_val_loss")
    assert loss["lr"].tolist() == [0.5, 1e30]  # the smallest first
    assert loss["mean"].tolist()[1] == math.inf
    assert loss.loc[0, "worst"] > loss.loc[0, "best"]


def test_the_order_is_the_one_of_the_table_at_the_sweeps_end(compared):
    done = nnlab("compare", "--uri", compared, check=True)
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r"\d +\S+ +4 ", line)]
    assert [row[:3] for row in rows] == [["1", "0.5", "4"], ["2", "1e+30", "4"]]
    assert done.stderr == ""


def test_the_description_on_the_uis_page_has_the_means_of_the_comparison(compared):
    client = mlflow.MlflowClient(compared)
    sweep = read_runs(compared, ["last"])["sweep"].iloc[0]
    lines = client.get_run(sweep).data.tags["mlflow.note.content"].splitlines()
    titles, _, *rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    described = [row[titles.index("mean late val accuracy")] for row in rows]
    assert described == [f"{mean:.4f}" for mean in compare([sweep], compared)["mean"]]
    assert described[1] == "0.0000"


def test_pruned_and_unfinished_runs_are_not_in_the_statistics_but_count_in_the_order(
    compared, first, monkeypatch
):
    runs = read_runs(compared, [first])
    best = compare([first], compared).iloc[0]
    chosen = (runs["lr"] == best["lr"]) & (runs["init.name"] == best["init.name"])
    places = runs.index[chosen][:2]
    runs.loc[places, [ACCURACY, "final_val_accuracy"]] = np.nan
    runs.loc[places[0], ["outcome", "status"]] = ["pruned", "KILLED"]
    runs.loc[places[1], ["outcome", "status"]] = [None, "RUNNING"]
    monkeypatch.setattr("nnlab.analysis.comparison.read_runs", lambda *_: runs)
    table = compare([first], compared)
    row = table[(table["lr"] == best["lr"]) & (table["init.name"] == best["init.name"])].iloc[0]
    assert row["seeds"] == 1
    assert row["mean"] == runs.loc[runs.index[chosen][2], ACCURACY]
    assert (row["pruned"], row["RUNNING"], row["ended"]) == (1, 1, 2)
    assert row.name > 0
    notes = " ".join(table.attrs["notes"])
    assert "2 of 12 runs have no late_val_accuracy (1 pruned, 1 RUNNING)" in notes or (
        "2 of 12 runs have no late_val_accuracy (1 RUNNING, 1 pruned)" in notes
    )
    assert "1 of 4 configurations has one seed: no interval" in notes


def test_one_configuration_and_seed_counts_once_however_often_it_was_run(
    compared, first, monkeypatch
):
    runs = read_runs(compared, [first])
    twice = pd.concat([runs, runs[:5].assign(run_id=[f"{place:032x}" for place in range(5)])])
    twice = twice.reset_index(drop=True)
    twice.attrs = runs.attrs
    expected = compare([first], compared)
    monkeypatch.setattr("nnlab.analysis.comparison.read_runs", lambda *_: twice)
    table = compare([first], compared)
    pd.testing.assert_frame_equal(table, expected)
    assert "5 runs repeat a configuration and seed of others" in table.attrs["notes"][0]


def test_a_pivot_has_the_same_means_by_rows_and_columns(compared, first):
    table = compare([first], compared).set_index(["init.name", "lr"])
    pivot = compare([first], compared, by=["init", "lr"])
    assert pivot["mean"].shape == (2, 2)
    assert list(pivot["mean"].columns) == [0.1, 0.5]
    for (init, lr), row in table.iterrows():
        for figure in ("mean", "interval", "seeds"):
            assert pivot.loc[init, (figure, lr)].item() == row[figure]
    other = compare([first], compared, by=["init"])  # the learning rates stay: nothing is averaged
    assert list(other["mean"].index.get_level_values("lr")) == [0.1, 0.5]
    assert list(other["mean"].columns) == ["he", "randn_small"]


def test_a_pivot_has_a_hole_where_there_is_no_run(compared):
    pivot = compare(["nnlab"], compared, by=["init", "lr"])
    assert math.isnan(pivot["mean"].loc["randn_small", 1e30].item())
    assert "-" in compared_by_command("nnlab", "--uri", compared, "--by", "init,lr").stdout


def test_a_condition_narrows_the_comparison(compared, first):
    table = compare([first], compared, where="init=='he' and seed<2")
    assert table.attrs["fields"] == ["lr"]
    assert table["seeds"].tolist() == [2, 2]


def test_what_each_parameter_explains_adds_up_and_agrees_with_scipy(compared, first):
    table = importance([first], compared, where="init=='he'")
    runs = read_runs(compared, [first])
    runs = runs[runs["init.name"] == "he"]
    expected = stats.f_oneway(*(group[ACCURACY] for _, group in runs.groupby("lr")))
    lr, seed = table.to_dict(orient="records")
    assert (lr["cause"], seed["cause"]) == ("lr", "seed")
    f = lr["sum_of_squares"] / (seed["sum_of_squares"] / seed["df"])
    assert f == pytest.approx(expected.statistic)
    whole = importance([first], compared)
    assert set(whole["cause"]) == {"lr", "init.name", "lr × init.name", "seed"}
    assert whole["eta_squared"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"selection": ["nnlab"]}, "cannot be told here: the grid is not full"),
        ({"selection": ["nnlab"], "where": "lr<1"}, "the grid is not balanced: .* have 3 to 4"),
        ({"selection": ["last"], "where": "seed==1"}, "each configuration has one seed"),
        ({"selection": ["last"], "metric": "final_val_loss"}, "have no finite final_val_loss"),
        ({"selection": ["last"], "where": "lr==0.5"}, "no hyper-parameter varies"),
    ],
)
def test_what_the_design_does_not_support_is_refused_with_the_reason(compared, arguments, sentence):
    with pytest.raises(ComparisonError, match=sentence):
        importance(uri=compared, **arguments)


def test_two_single_runs_stand_for_their_configurations_with_every_seed_in_the_store(
    compared, by_mlflow
):
    a = run_of(compared, init="he", lr=0.5, seed=1)
    b = run_of(compared, init="randn_small", lr=0.5, seed=2)
    (row,) = pair(a, b, compared).to_dict(orient="records")
    one, other = by_mlflow["he", 0.5], by_mlflow["randn_small", 0.5]
    assert len(one) == 4  # one of them from the second sweep
    differences = [one[seed] - other[seed] for seed in range(3)]
    assert (row["a"], row["b"]) == ("init.name=he", "init.name=randn_small")
    assert row["seeds"] == 3
    assert row["difference"] == pytest.approx(statistics.mean(differences))
    assert (row["low"], row["high"], row["interval"]) == (None, None, "few seeds")
    assert (row["decided"], row["further"]) == (False, 2)
    assert row["a_beats_b"] == statistics.mean(each > 0 for each in differences)
    turned = pair(b, a, compared).iloc[0]
    assert turned["difference"] == pytest.approx(-row["difference"])
    assert turned["a_beats_b"] == pytest.approx(1 - row["a_beats_b"])


def test_two_groups_of_configurations_are_matched_in_all_else_that_varies(compared, first):
    runs = read_runs(compared, [first])
    sides = [
        ",".join(runs.loc[runs["init.name"] == init, "run_id"]) for init in ("he", "randn_small")
    ]
    table = pair(*sides, compared)
    assert sorted(table["lr"]) == [0.1, 0.5]
    assert set(table["a"]) == {"init.name=he"}
    assert set(table["b"]) == {"init.name=randn_small"}


def test_one_configuration_is_compared_with_each_of_several(compared, first):
    baseline = run_of(compared, init="randn_small", lr=0.1)
    table = pair(baseline, first, compared)
    assert len(table) == 3
    assert set(table["a"]) == {"lr=0.1 init.name=randn_small"}


def test_a_configuration_has_nothing_to_be_compared_with_in_itself(compared):
    ids = [run_of(compared, init="he", lr=0.5, seed=seed) for seed in (0, 1)]
    with pytest.raises(ComparisonError, match="cannot be paired: both stand for the same"):
        pair(*ids, compared)


def test_four_seeds_decide_nothing_however_large_the_difference(compared):
    table = pair(run_of(compared, lr=0.5, init="he"), run_of(compared, lr=1e30), compared)
    assert not table.loc[0, "decided"]
    assert table.loc[0, "seeds"] == 4
    assert table.loc[0, "a_beats_b"] == 1
    assert table.loc[0, "further"] == 1
    assert "'seed=range(4,5)'" in table.loc[0, "command"]


def test_a_pair_of_infinite_losses_is_won_or_lost_but_has_no_mean_difference(compared):
    sides = run_of(compared, lr=0.5, init="he"), run_of(compared, lr=1e30)
    (row,) = pair(*sides, compared, "final_val_loss").to_dict(orient="records")
    assert row["a_beats_b"] == 1
    assert (row["difference"], row["decided"], row["command"]) == (None, False, None)
    out = compared_by_command(*sides, "--uri", compared, "--metric", "final_val_loss").stdout
    assert "no mean difference" in out
    assert "but a pair is won or lost" in out


def test_runs_without_a_seed_cannot_be_paired(tmp_path):
    from nnlab.tracking.database import ensure_database

    ensure_database(tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(store)
    ids = [client.create_run("0").info.run_id for _ in range(2)]
    with pytest.raises(ComparisonError, match="have no parameter `seed` to pair them by"):
        pair(*ids, store)


def undecided(compared):
    a = run_of(compared, init="he", lr=0.5, seed=0)
    b = run_of(compared, init="randn_small", lr=0.5, seed=0)
    where = "seed == 0 or lr > 1"  # one seed each
    return a, b, where


def test_the_command_for_further_seeds_begins_behind_the_highest_and_keeps_the_rest(compared):
    a, b, where = undecided(compared)
    table = pair(a, b, compared, where=where)
    assert not table.loc[0, "decided"]
    assert table.loc[0, "further"] == 4
    assert "Fewer than 5 common seeds decide nothing." in table.attrs["notes"]
    command = table.loc[0, "command"]
    assert command.startswith("python run.py -m init=he")
    for part in ("'seed=range(4,8)'", "lr=0.5", "epochs=20", "data.val_size=4000", compared):
        assert part in command
    for part in ("seed=0", "reuse", "run_name"):
        assert part not in command


def test_configurations_that_differ_in_one_override_need_one_command_and_else_two(compared):
    ids = [run_of(compared, init=init, lr=0.1, seed=0) for init in ("he", "randn_small")]
    assert "init=he,randn_small" in pair(*ids, compared, where="seed==0").loc[0, "command"]
    other = run_of(compared, init="randn_small", lr=0.5, seed=0)
    command = pair(ids[0], other, compared, where="seed==0").loc[0, "command"]
    assert [line.count("'seed=range(3,7)'") for line in command.splitlines()] == [1, 1]


@pytest.mark.long
def test_the_command_runs_just_the_seeds_that_were_missing_and_they_count(tmp_path):
    import shlex

    store = f"sqlite:///{tmp_path}/mlflow.db"
    small = ("epochs=3", "data.val_size=4000", "pictures=0", f"tracking.uri={store}")
    assert run_py("-m", "lr=0.1,0.11", "seed=0,1", *small).returncode == 0
    a, b = (run_of(store, lr=lr, seed=0) for lr in (0.1, 0.11))
    command = pair(a, b, store, where="seed==0").loc[0, "command"]
    done = run_py(*shlex.split(command)[2:])
    assert done.returncode == 0, done.stderr
    after = pair(a, b, store)
    assert after.loc[0, "seeds"] == 6
    assert len(read_runs(store, ["last"])) == 8


def test_csv_and_json_carry_every_number_in_full(compared, first):
    table = compare([first], compared)
    done = compared_by_command(first, "--uri", compared, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [float(row["mean"]) for row in rows] == table["mean"].tolist()
    assert rows[0].keys() == set(table.columns)
    assert "4 configurations, by late_val_accuracy (the highest first)." in done.stderr
    content = json.loads(compared_by_command(first, "--uri", compared, "--format", "json").stdout)
    assert [row["high"] for row in content["rows"]] == table["high"].tolist()
    assert content["metric"] == ACCURACY
    assert content["notes"] == table.attrs["notes"]
    loss = compared_by_command(
        "last", "--uri", compared, "--format", "json", "--metric", "final_val_loss"
    )
    assert json.loads(loss.stdout)["rows"][1]["mean"] is None  # infinite


def test_markdown_is_a_table_with_the_remarks_below(compared):
    lines = compared_by_command("--uri", compared, "--format", "markdown").stdout.splitlines()
    assert lines[0].startswith("| # | lr | seeds | mean | 95 % interval |")
    assert {line.count("|") for line in lines[:4]} == {lines[0].count("|")}
    assert "| 4 diverged |" in lines[3]
    assert "- 4 diverged runs count as late_val_accuracy 0." in lines


def test_a_pair_is_told_with_its_verdict_and_the_command(compared):
    a, b, where = undecided(compared)
    out = compared_by_command(a[:10], b[:10], "--uri", compared, "--where", where).stdout
    assert "open: 4 more seeds at least" in out
    assert "The further seeds, and nothing else:\n  python run.py -m " in out


def test_importance_is_told_in_per_cent(compared, first):
    out = compared_by_command(first, "--uri", compared, "--importance").stdout
    assert "A full, balanced grid: 2 lr × 2 init.name, 3 seeds each." in out
    assert len(re.findall(r"\d+\.\d%", out)) == 4 + 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonsense"], "nonsense is nothing in"),
        (["last", "--metric", "acuracy"], "acuracy is no column of these runs: did you mean"),
        (["last", "--where", "lr>>1"], "is not allowed there; give comparisons"),
        (["last", "--where", "exec('1')==1"], "is not allowed there; give comparisons"),
        (["last", "--by", "seed"], "seed is no column of these runs: there are lr."),
        (["last", "--by", "lr", "--where", "lr<1"], "--by lr: nothing varies"),
        (["last", "last", "--by", "lr"], "and --by do not go together"),
        (["last", "--importance", "--by", "lr"], "--importance and --by do not go together"),
        (["last", "last"], "cannot be paired"),
    ],
)  # fmt: skip
def test_a_users_mistake_ends_in_one_sentence_and_exit_code_2(compared, arguments, sentence):
    done = CliRunner().invoke(main, ["compare", *arguments, "--uri", compared])
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
