"""The search space, held against what Hydra's own sweeper makes of the same words."""

import pytest
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from support.paths import ROOT

from nnlab.errors import ConfigError
from nnlab.search.samplers import SearchSettings, grid, make_sampler
from nnlab.search.space import parse_search_space

distributions = pytest.importorskip("optuna.distributions")
Float, Int = distributions.FloatDistribution, distributions.IntDistribution


@pytest.fixture(scope="module")
def loader():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def settings(**changes):
    fields = dict.fromkeys(SearchSettings.model_fields) | {"n_trials": 8, "batch": 4}
    return SearchSettings(**{**fields, "sampler": "tpe", **changes})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("lr=interval(0.01,1)", Float(0.01, 1)),
        ("lr=interval(1,3)", Float(1, 3)),
        ("lr=int(interval(1,3))", Int(1, 3)),
        ("init.scale=interval(0,1)", Float(0, 1)),
        ("lr=tag(log,interval(1e-3,1))", Float(0.001, 1, log=True)),
        ("hidden_size=interval(4,64)", Int(4, 64)),  # it may be nothing but a whole number
        ("batch_size=tag(log,interval(16,256))", Int(16, 256, log=True)),
        ("hidden_size=int(interval(4,64.5))", Int(4, 64)),
        ("hidden_size=tag(log,int(interval(4,64)))", Int(4, 64, log=True)),
        ("hidden_size=tag(log,range(4,65))", Int(4, 64, log=True)),
    ],
)
def test_an_interval_is_searched_between_its_ends(loader, words, expected):
    space = parse_search_space([words], loader)
    assert list(space.distributions.values()) == [expected]


@pytest.mark.parametrize(
    "words",
    [
        "seed=range(3)",
        "hidden_size=range(4,33,4)",
        "seed=range(9,0,-2)",
        "seed=shuffle(range(1,5))",
        "lr=range(0.1,0.5,0.1)",
        "lr=range(0.5,0.05,-0.15)",
        "lr=0.1,0.5",
        "lr=sort(0.5,0.1,1e-3)",
        "batch_size=null,64,128",
        "init=choice(he,lecun)",
        "init=glob(rand*)",
        "model=true,false",
        "run_name='a b','c=d'",
    ],
)
def test_a_grid_has_the_values_that_hydras_own_sweeper_tries(loader, words):
    overrides = OverridesParser.create(config_loader=loader).parse_overrides([words])
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    space = parse_search_space([words], loader)
    ((field, values),) = grid(space).items()
    ours = [space.overrides({field: value}) for value in values]

    def meant(jobs):
        parser = OverridesParser.create()
        found = [parser.parse_overrides([job[0]])[0].value() for job in jobs]
        return sorted((round(v, 12) if isinstance(v, float) else v for v in found), key=repr)

    assert meant(ours) == meant(jobs)


def test_fixed_fields_stay_fixed_and_the_last_word_on_a_field_counts(loader):
    words = ["lr=interval(0.1,1)", "epochs=3", "seed=0,1", "lr=0.5", "+extra='a b'", "~prune"]
    space = parse_search_space(words, loader)
    assert set(space.distributions) == {"seed"}
    fixed = ("lr=0.5", "epochs=3", "+extra='a b'", "~prune")
    assert space.overrides({"seed": 1}) == (*fixed, "seed=1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("lr=0.1", "has nothing to search: give a field an interval"),
        ("lr=interval(1,0.1)", r"lr=interval\(1,0.1\) cannot be searched: .*low=1.0, high=0.1"),
        ("lr=tag(log,interval(0,1))", "cannot be searched: .*low > 0"),
        ("hidden_size=tag(log,range(4,64,4))", "a logarithm needs whole numbers in steps of 1"),
        ("lr=tag(log,range(1.0,5.0))", "a logarithm needs whole numbers in steps of 1"),
        ("lr=tag(log,choice(0.1,1))", r"tag\(…\) is for an interval or a range"),
        ("lr=tag(fast,interval(0.1,1))", r"tag\(fast,…\) is not known; only tag\(log,…\) is"),
        ("seed=range(3,3)", r"seed=range\(3,3\) is empty: seed needs a value"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_sentence(loader, words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse_search_space([words], loader)


@pytest.mark.parametrize(
    ("words", "changes", "sentence"),
    [
        (["lr=interval(0.1,1)"], {"sampler": "grid"}, "grid needs values to try, and lr is an"),
        (["seed=range(200000)"], {"sampler": "grid"}, "would have 200,000 points, and may have"),
        (["lr=interval(0.1,1)", "seed=0,1"], {"sampler": "cmaes"}, "needs two fields with an"),
        (["seed=0,1"], {"sampler_options": {"fast": 1}}, "fast is not known to .*=tpe, which"),
        (["seed=0,1"], {"sampler_options": {"group": True, "multivariate": False}}, "options: .*"),
    ],
)
def test_a_sampler_that_does_not_fit_is_refused(loader, words, changes, sentence):
    with pytest.raises(ConfigError, match=sentence):
        make_sampler(settings(**changes), parse_search_space(words, loader), 0)


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes", "qmc"])
def test_a_seeded_sampler_proposes_the_same_trials_again_and_no_trial_twice(loader, sampler):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = parse_search_space(["lr=interval(0.1,1)", "init.scale=interval(0.1,1)"], loader)
    chosen = settings(sampler=sampler, seed=0)

    def proposed():
        study = optuna.create_study()
        for trial in range(12):
            study.sampler = make_sampler(chosen, space, trial)
            asked = study.ask(space.distributions)
            study.tell(asked, asked.params["lr"])
        return [tuple(trial.params.values()) for trial in study.trials]

    first = proposed()
    assert proposed() == first
    assert len(set(first)) == 12
