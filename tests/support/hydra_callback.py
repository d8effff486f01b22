"""Hydra's callbacks for tests in processes of their own: when they are called, and a failure."""

import json
from pathlib import Path

from hydra.experimental.callback import Callback

from nnlab.execution import workers


class Log(Callback):
    """Appends a line of JSON to a file at each job's start and end."""

    def __init__(self, path):
        self._path = Path(path)

    def _write(self, **entry):
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def on_job_start(self, config, **_):
        self._write(event="start", lr=config.lr, number=config.hydra.job.num)

    def on_job_end(self, config, job_return, **_):
        status = job_return.status.name
        value = job_return.return_value if status == "COMPLETED" else None  # else it raises
        self._write(event="end", lr=config.lr, status=status, value=value)


class Failing(Callback):
    """Has networks of seven units fail in training."""

    def on_multirun_start(self, config, **_):  # noqa: ARG002 - Hydra names it
        train = workers.run_segment

        def fail(segment, data):
            if segment.state.params.w1.shape[1] == 7:
                raise FloatingPointError("seven units")
            return train(segment, data)

        workers.run_segment = fail
