"""Sweeps in the test's own process, where training can be made to fail."""

from nnlab.execution.sweep_session import SweepSession
from nnlab.jobs.launch_config import LaunchConfig
from nnlab.jobs.run import plan_runs


def run_sweep(sweep, settings=None):
    """Make a sweep's runs; return them in the jobs' order."""
    runs = plan_runs(sweep.jobs)
    with SweepSession(sweep.name, sweep.jobs[0].config, settings or LaunchConfig()) as session:
        session.begin(runs, sweep.varying)
        session.work()
    return runs
