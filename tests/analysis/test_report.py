"""`nnlab report`: a real study, cut down, from its command to its page."""

import hashlib
import io
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from support.commands import git, nnlab, run_py
from support.pages import Page

from nnlab.analysis.comparison import compare
from nnlab.analysis.document import heading
from nnlab.analysis.figure_groups import shown_hidden_units
from nnlab.analysis.groups import grouped
from nnlab.cli.main import main
from nnlab.jobs.config import from_record
from nnlab.jobs.study import Study, read_study
from nnlab.tracking.frames import read_runs
from nnlab.tracking.store import existing_store

SMALL = (
    "data=mnist_sample", "data.val_size=4000", "epochs=20", "pictures=1", "target_accuracy=0.3",
    "hydra.launcher.backend=sequential",
)  # fmt: skip
GRID = ("init=randn_minus_half,he", "lr=0.1,0.2,0.5", "seed=0,1,2")


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('report')}/mlflow.db"


@pytest.fixture(scope="module")
def sweep(store):
    """The id of a study's sweep: two inits × three rates × three seeds."""
    words = ("experiment=init_scale", *GRID, *SMALL, f"tracking.uri={store}")
    done = run_py("-m", *words, check=True)
    return re.search(r"sweep (\w{32})", done.stdout)[1]


@pytest.fixture(scope="module")
def folder(sweep, store, tmp_path_factory):
    """Its report, written."""
    out = tmp_path_factory.mktemp("out") / "init_scale"
    done = call("report", sweep[:8], "--uri", store, "--out", out)
    assert done.exit_code == 0, done.output
    assert (
        f"{out}/README.md\n{out}/report.html\nin the UI: nnlab ui {sweep[:8]} --uri {store}\n"
        == done.stdout
    )
    return out


@pytest.fixture(scope="module")
def text(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def test_the_report_says_the_question_and_the_exact_command(text, store):
    assert "**Question.** which of the notes' initial weights learn" in text
    words = ("experiment=init_scale", *GRID, *SMALL, f"tracking.uri={store}")
    assert "python run.py -m " + " ".join(words) in text


def test_the_verdict_finds_the_dead_init_and_says_why(text):
    verdict = text.partition("**Verdict**")[2].partition("```")[0]
    assert re.search(r"Best of 6 configurations: \*\*\S+ \S+\*\*", verdict)
    assert "init=he" in re.search(r"\*\*(.+?)\*\*", verdict)[1]
    assert "Nothing learned with init = randn_minus_half" in verdict
    assert "init=randn_minus_half is dead on arrival" in verdict
    assert "its mean weight is -0.50" in verdict


def test_the_best_config_holds_what_was_used_and_no_scale_that_the_init_ignores(folder):
    best = yaml.safe_load((folder / "best.yaml").read_text())
    assert best["init"] == {"name": "he", "bias": "zeros"}
    assert best["tracking"]["uri"] is None  # this machine's; the store was given by its address
    assert from_record(best).init.name == "he"  # still a whole config


def test_the_configuration_with_the_most_dead_units_is_among_the_hidden_units(sweep, store):
    runs = read_runs(store, [sweep])
    groups = grouped(runs, ["init.name", "lr"], "late_val_accuracy")
    shown = shown_hidden_units(groups, 2)
    assert shown[0] is groups[0]
    assert set(shown[1].runs["dead_fraction"]) == {1.0}
    alive = [group for group in groups if group.settings["init.name"] == "he"]
    assert (
        shown_hidden_units(alive, 2) == sorted(alive, key=lambda group: group.settings["lr"])[::2]
    )


def test_an_importance_is_accompanied_by_the_one_without_levels_that_never_learn(text):
    assert "The variation of late validation accuracy over this grid is accounted for by" in text
    assert re.search(r"among init = he, where anything learned, is accounted for by lr \d", text)


def test_the_tables_hold_what_comparing_finds(folder, text, sweep, store):
    table = compare([sweep], store)
    for mean in table["mean"]:
        assert f"| {mean:.4f} |" in text
    rows = pd.read_csv(folder / "configurations.csv")
    assert rows["mean"].tolist() == table["mean"].tolist()
    runs = pd.read_csv(folder / "runs.csv")
    assert set(runs["run_id"]) == set(read_runs(store, [sweep])["run_id"])
    assert len(runs) == 18


def test_the_initial_weights_are_told_as_their_distribution_has_them(text):
    """The notes' first line: mean −0.5, deviation 1, over 784 × 10 weights and three seeds."""
    row = re.search(r"\| init=randn_minus_half \| (\S+) \| (\S+) \| (\S+) \| (\S+)% \|", text)
    mean, deviation, loss, dead = map(float, row.groups())
    assert mean == pytest.approx(-0.5, abs=0.02)
    assert deviation == pytest.approx(1, abs=0.02)
    assert loss == pytest.approx(2.303, abs=0.2)
    assert dead > 90


def test_references_appear_beside_what_was_found_here(text):
    assert "## Against what others found" in text
    assert "| init=he lr=0.5 | 0.91 |" in text


def test_every_figure_is_a_picture_beside_the_readme(folder, text):
    shown = re.findall(r"!\[[^\]]+\]\((\S+)\)", text)
    assert shown == ["phase.png", "rates.png", "curves.png", "units.png", "filters.png"]
    for name in shown:
        with Image.open(folder / name) as image:
            assert image.width > 1000
            assert len(image.convert("RGB").resize((60, 40)).getcolors(2400)) > 10


def test_the_page_needs_no_other_file(folder):
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 5
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "explore.html" in page.text  # no link: in the frame of the UI it would lead nowhere
    assert "dead on arrival" in "".join(page.text)


def test_provenance_names_ids_commit_and_digest(text, sweep, store):
    commit = git("rev-parse", "HEAD")
    (digest,) = set(read_runs(store, [sweep])["data_digest"])
    for said in (sweep, commit, digest, f"nnlab reproduce --all {sweep[:8]}"):
        assert said in text


def test_the_ui_has_the_page_and_the_figures(folder, sweep, store):
    call("report", sweep[:8], "--uri", store, "--out", folder)  # other tests write others there
    files = existing_store(store).download(sweep)
    for name in ("report.html", "explore.html", "phase.png", "curves.png"):
        assert (files / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.long
def test_a_report_again_is_the_same_to_the_byte_and_keeps_the_notes(folder, sweep, store):
    def digests():
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
        }

    before = digests()
    assert call("report", sweep, "--uri", store, "--out", folder).exit_code == 0
    assert digests() == before
    (folder / "notes.md").write_text("*My own words.*\n", encoding="utf-8")
    assert call("report", sweep, "--uri", store, "--out", folder).exit_code == 0
    assert "## Notes\n\n*My own words.*" in (folder / "README.md").read_text(encoding="utf-8")
    assert (folder / "notes.md").read_text(encoding="utf-8") == "*My own words.*\n"
    (folder / "notes.md").unlink()
    assert call("report", "--uri", store, "--out", folder).exit_code == 0  # the last sweep
    assert digests() == before


def test_somebody_elses_readme_is_left_alone(sweep, store, tmp_path):
    (tmp_path / "README.md").write_text("my thesis", encoding="utf-8")
    done = call("report", sweep, "--uri", store, "--out", tmp_path)
    assert done.exit_code == 2
    assert "was not made by `nnlab report`, and is left alone: name another folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "my thesis"


def test_a_single_run_is_told_its_sweep(sweep, store, tmp_path):
    run = read_runs(store, [sweep])["run_id"].iloc[0]
    done = call("report", run, "--uri", store, "--out", tmp_path / "new")
    assert done.exit_code == 2
    assert f"{run[:8]} is a single run, and no sweep: its sweep is {sweep[:8]}." in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_metric_that_is_not_there_leaves_nothing_half_written(sweep, store, tmp_path):
    done = call("report", sweep, "--uri", store, "--metric", "final_val_loos", "--out", tmp_path)
    assert done.exit_code == 2
    assert "did you mean final_val_loss?" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_loss_is_reported_the_smallest_first(sweep, store, tmp_path):
    done = call("report", sweep, "--uri", store, "--metric", "final_val_loss", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    best = compare([sweep], store, "final_val_loss")["mean"].min()
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"a mean final val loss of {best:.4f}" in text


@pytest.mark.long
def test_runs_that_came_to_nothing_are_told(store, tmp_path):
    words = ("lr=0.1,1e30", "seed=0,1", *SMALL, f"tracking.uri={store}")
    done = run_py("-m", *words, check=True)
    sweep = re.search(r"sweep (\w{32})", done.stdout)[1]
    assert call("report", sweep, "--uri", store, "--out", tmp_path).exit_code == 0
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    failures = text.partition("## Failures")[2].partition("##")[0]
    assert "2 of 4 runs have no final network" in failures
    assert failures.count("| diverged |") == 2
    assert "2 diverged runs count as late_val_accuracy 0." in text


@pytest.mark.long
def test_a_stability_study_is_reported_from_its_own_tables(store, tmp_path):
    words = ("init=randn_small,he", "seed=range(0,3)", "epochs=10", "data.val_size=4500")
    done = nnlab(
        "stability", *words, "--tolerance", "0.2", f"tracking.uri={store}",
    )  # fmt: skip
    study = re.search(r"run (\w{32})", done.stdout)[1]
    assert call("report", study, "--uri", store, "--out", tmp_path / "edge").exit_code == 0
    text = (tmp_path / "edge" / "README.md").read_text(encoding="utf-8")
    said = done.stdout.split("\n\n")[-2]
    verdict = re.search(r"\*\*Verdict\*\*\n\n(.*?)\n\n", text, re.DOTALL)[1]
    assert said.strip() == " ".join(line.removeprefix("- ") for line in verdict.splitlines())
    networks = pd.read_csv(tmp_path / "edge" / "networks.csv")
    assert len(networks) == 6
    assert "![Above: 2 / sharpness" in text
    with Image.open(io.BytesIO((tmp_path / "edge" / "edge.png").read_bytes())) as image:
        assert image.width > 1000

    # An earlier version looked for two edges only.
    folder = Path(existing_store(store).download(study))
    for name, new in (
        ("stability.csv", r"lr_monotone|_killed|sharpness_trained"),
        ("trials.csv", r"epochs|rises_at|rising_steps|killed_at"),
    ):
        table = pd.read_csv(folder / name)
        old = table.loc[:, ~table.columns.str.contains(new) | (table.columns == "run_id")]
        old.to_csv(folder / name, index=False)
    assert call("report", study, "--uri", store, "--out", tmp_path / "old").exit_code == 0
    text = (tmp_path / "old" / "README.md").read_text(encoding="utf-8")
    assert "times 2 / sharpness the loss is never above its initial value." in text
    assert "monotone 10 ×" not in text


def test_the_report_says_that_the_expectation_was_recorded_before_the_runs(text, sweep, store):
    record = existing_store(store).get(sweep)
    study = read_study(Path(existing_store(store).download(sweep)))
    digest = hashlib.sha256(study.expected.encode()).hexdigest()
    assert record.tags["expected_sha256"] == digest
    assert f"Recorded before the runs began (SHA-256 `{digest[:12]}`" in text
    changed = Study("init_scale", study.text.replace("# Expected:", "# Expected: as it came out,"))
    assert "Not the text that was recorded" in heading(changed, record)["expected_when"]
    record.tags.pop("expected_sha256")  # of an earlier version
    assert heading(study, record)["expected_when"] == "When it was written is not recorded"


def test_the_pictures_stand_beside_the_sweep_as_soon_as_it_ends(sweep, store):
    files = existing_store(store).download(sweep)
    made = {path.name for path in Path(files).glob("*.png")}
    assert made == {"phase.png", "rates.png", "curves.png", "units.png", "filters.png"}
    page = (Path(files) / "explore.html").read_text(encoding="utf-8")
    for run_id in read_runs(store, [sweep])["run_id"]:
        assert run_id in page


def test_the_default_folder_is_the_studys(sweep, store, tmp_path, monkeypatch):
    monkeypatch.setenv("NNLAB_ROOT", str(tmp_path))
    done = call("report", sweep, "--uri", store)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "experiments" / "init_scale" / "README.md").is_file()
    shutil.rmtree(tmp_path / "experiments")
