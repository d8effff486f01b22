"""`nnlab tag`: tags of a user's own."""

import pytest
from click.testing import CliRunner

from nnlab.cli.main import main
from nnlab.jobs.tags import Tag, is_reserved
from nnlab.tracking.store import Store


@pytest.fixture
def nnlab_tag(tracker, store):
    run_id = tracker.start("name", {}, {"job": "0", "looks/abc": "5"})

    def invoke(*words, code=0):
        done = CliRunner().invoke(main, ["tag", run_id[:9], *words, "--uri", store])
        assert done.exit_code == code, done.output
        return done.output

    invoke.tags = lambda: Store(store).get(run_id).tags
    return invoke


def test_tags_are_set_shown_changed_and_deleted(nnlab_tag):
    before = nnlab_tag.tags()
    assert nnlab_tag() == ""
    assert nnlab_tag("paper=yes", "note=a = b, c") == "note=a = b, c\npaper=yes\n"
    assert nnlab_tag("paper=no") == nnlab_tag() == "note=a = b, c\npaper=no\n"
    assert nnlab_tag("--delete", "note", "draft/1=x") == "draft/1=x\npaper=no\n"
    assert nnlab_tag("--delete", "paper", "--delete", "draft/1") == ""
    assert nnlab_tag.tags() == before


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["job=1"], "The tag 'job' says what nnlab or MLflow know"),
        (["--delete", "outcome"], "has no tag outcome"),
        (["--delete", "job"], "The tag 'job' says what nnlab or MLflow know"),
        (["mlflow.note.content=x"], "choose another"),
        (["looks/abc=1"], "choose another"),
        (["paper"], "paper gives no value: write paper=VALUE, or --delete paper"),
        (["a b=1"], "'a b' is no name of a tag"),
        (["../x=1", "x=1"], "'../x' is no name of a tag"),
        (["long=" + "x" * 5001], "5,001 characters: at most 5,000"),
    ],
)
def test_what_is_not_the_users_or_not_allowed_is_refused_and_nothing_is_written(
    nnlab_tag, words, sentence
):
    before = nnlab_tag.tags()
    assert sentence in nnlab_tag(*words, code=2)
    assert nnlab_tag.tags() == before


def test_every_tag_that_nnlab_writes_is_reserved():
    written = {value for name, value in vars(Tag).items() if not name.startswith("_")}
    assert all(map(is_reserved, written))
    assert not is_reserved("paper")
