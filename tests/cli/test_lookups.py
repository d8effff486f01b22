"""Commands whose run is not there: one sentence at once, without MLflow."""

import re
import sys

import pytest
from support.commands import python

WRONG = "deadbeef"


@pytest.mark.parametrize(
    "words",
    [
        ("report", WRONG), ("resume", WRONG), ("explain", WRONG, WRONG), ("ui", WRONG),
        ("reproduce", WRONG),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_a_wrong_id_is_answered_from_the_rows_of_the_store_without_mlflow(compared, words):
    code = (
        "import sys; from nnlab.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print({'mlflow', 'sqlalchemy'} & set(sys.modules))"
    )
    done = python("-c", code, *words, "--uri", compared)
    assert done.returncode == 2
    assert done.stdout.strip() == "set()"
    assert re.fullmatch(rf"In \S+ no run begins with {WRONG}: .*\n", done.stderr)


def test_the_look_up_of_runs_by_rows_means_the_runs_that_mlflow_means(compared):
    from nnlab.tracking.store import Store

    store = Store(compared)
    newest = next(store.search())
    assert store.find_run(newest.run_id[:12]).run_id == newest.run_id
    for kind, condition in (("sweep", "tags.kind = 'sweep'"), ("run", "tags.job != ''")):
        expected = next(store.search(condition))
        assert store.find_run("last", kind).run_id == expected.run_id
    assert "mlflow" in sys.modules
