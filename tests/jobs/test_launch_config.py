"""The launcher's fields: which values are refused, and how."""

import pytest

from nnlab.errors import ConfigError
from nnlab.jobs.launch_config import launch_config


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"n_jobs": 0}, r"hydra\.launcher\.n_jobs=0 is not allowed: .* -1 for all cores"),
        ({"n_jobs": 1.5}, r"n_jobs=1\.5 is not allowed"),
        ({"backend": "threading"}, "backend=threading is not allowed: .* loky, dask or sequential"),
        ({"on_error": "panic"}, "on_error=panic is not allowed: .* continue or stop"),
        ({"resume": "last"}, "resume=last is not allowed: .* true or false"),
        ({"address": "tcp://127.0.0.1:1"}, "address=tcp.* needs hydra.launcher.backend=dask"),
        ({"stack": 0}, "stack=0 is not allowed: .* auto, or a whole number, 1 or more"),
        ({"stack": "many"}, "stack=many is not allowed"),
        ({"jobs": 3}, "hydra.launcher.jobs is not a field"),
    ],
)
def test_the_launchers_fields_are_checked_too(fields, sentence):
    with pytest.raises(ConfigError, match=sentence):
        launch_config(fields)
