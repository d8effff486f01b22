"""What is composed quickly is what Hydra composes."""

import itertools

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from support.paths import ROOT

from nnlab.errors import ConfigError
from nnlab.jobs.compose import Composer, from_hydra


@pytest.fixture
def loader():
    OmegaConf.register_new_resolver("nnlab.scratch", lambda: "/nowhere", replace=True)
    OmegaConf.register_new_resolver("nnlab.fields", lambda: "", replace=True)
    return ConfigLoaderImpl(create_config_search_path(str(ROOT / "conf")))


@pytest.fixture
def composer(loader):
    master = loader.load_configuration("config", overrides=[], run_mode=RunMode.MULTIRUN)
    return Composer(loader, master)


def by_hydra(overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return from_hydra(compose("config", overrides=list(overrides)))


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["lr=0.05", "seed=3"],
        ["lr=1e-3", "epochs=7", "batch_size=64"],
        ["lr=1"],
        ["batch_size=null", "dtype=float64"],
        ["init=he", "seed=1"],
        ["seed=1", "init=normal", "init.scale=0.1", "init.shift=-0.5"],
        ["init.bias=same"],
        ["data=kaggle", "data.path=a file.csv", "data.val_size=10"],
        ["data.val_size=200", "tracking.experiment='a, b'"],
        ["run_name='lr is 3'", "reuse=true"],
        ["prune=halving", "prune.rungs=[5,10]", "prune.eta=2"],
        ["prune=halving", "prune.rungs=[1]"],
        ["run_name=seed-${seed}", "seed=4"],
        ["lr=0.1", "lr=0.2"],
        ["tracking={uri: null, experiment: x}"],
        ["~pictures"],
        ["++pictures=3"],
    ],
)
def test_a_config_is_composed_as_hydra_does(composer, overrides):
    assert composer.compose(overrides) == by_hydra(overrides)


def test_a_grid_is_composed_as_hydra_does_and_reads_the_files_once_a_choice(
    composer, loader, monkeypatch
):
    compositions = []
    whole = loader.load_sweep_config
    monkeypatch.setattr(
        loader, "load_sweep_config", lambda *args: compositions.append(args) or whole(*args)
    )
    grid = itertools.product(("init=he", "init=randn"), range(20), (0.1, 0.5))
    jobs = [[init, f"seed={seed}", f"lr={lr}"] for init, seed, lr in grid]
    configs = [composer.compose(job) for job in jobs]
    assert len(compositions) == 2
    for job, config in list(zip(jobs, configs, strict=True))[::11]:
        assert config == by_hydra(job)


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        (["learning_rate=1"], HydraException, "learning_rate"),
        (["init.scale=2"], HydraException, "init.scale"),  # randn_small has none
        (["init=xavier"], HydraException, "xavier"),
        (["lr=fast"], ConfigError, "lr=fast is not allowed"),
        (["prune.rungs=[5]"], ConfigError, "needs prune=halving"),
        (["data=kaggle"], ConfigError, "data.path is needed here"),
        (["run_name=${nothing}"], ConfigError, "refers to a field that does not exist"),
    ],
)
def test_a_mistake_is_the_same_mistake(composer, overrides, error, words):
    with pytest.raises(error, match=words):
        composer.compose(overrides)


def test_a_config_that_was_composed_is_not_changed_by_the_next(composer):
    first = composer.compose(["prune=halving", "prune.rungs=[1,2]"])
    composer.compose(["prune=halving", "prune.rungs=[3]"])
    assert first.prune.rungs == [1, 2]
    assert composer.compose([]).prune.rungs == []
