"""A dask cluster on this machine, to which no other user of the machine can connect.

Whoever connects to a scheduler or a worker of dask can have it run any code. So each connection is
encrypted, and both sides show a certificate that only this process and its workers have. And none
of them has an HTTP server: ``dashboard_address=None`` would leave one on port 8787.
"""

import logging
from typing import Any

from distributed import Nanny, Scheduler, SpecCluster, Worker
from distributed.security import Security


class _QuietScheduler(Scheduler):
    def start_http_server(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as in dask
        """Start none."""


class _QuietWorker(Worker):
    def start_http_server(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as in dask
        """Start none."""


def local_cluster(count: int, threads: int) -> SpecCluster:
    """Start a scheduler in this process, and so many worker processes of so many threads."""
    # Keys in memory, for this cluster alone.
    security = Security.temporary()  # type: ignore[no-untyped-call]
    options = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    worker = {
        "cls": Nanny,
        "options": {
            **options,
            "worker_class": _QuietWorker,
            "nthreads": threads,
            "memory_limit": 1 / count,  # of the machine's
            "silence_logs": logging.WARNING,
        },
    }
    return SpecCluster(  # type: ignore[no-untyped-call]
        scheduler={"cls": _QuietScheduler, "options": {**options, "port": 0, "dashboard": False}},
        workers=dict.fromkeys(range(count), worker),
        security=security,
        silence_logs=logging.WARNING,
    )
