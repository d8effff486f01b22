"""An unfinished sweep, as SIGTERM leaves it."""

import signal

from support.labs import Lab

SWEEP = (
    "-m", "lr=0.05,0.1", "seed=0,1", "epochs=80", "data.val_size=4000", "pictures=0",
    "hydra.launcher.n_jobs=1", "hydra.launcher.stack=1",
)  # fmt: skip


def stopped_sweep(root):
    """Start a sweep of four runs in ``root/mlruns``, and stop it when the first is done."""
    lab = Lab(root)
    process = lab.start(*SWEEP)
    lab.wait_for(process, "SELECT count(*) FROM runs WHERE status = 'FINISHED'", 1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 143
