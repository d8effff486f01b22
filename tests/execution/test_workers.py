"""Workers of every kind train to the same bits, and the death of one is noticed."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys

import numpy as np
import psutil
import pytest
from support.digits import assert_same_bits, training_data, untrained
from support.waiting import wait_until

from nnlab.errors import ConfigError
from nnlab.execution import dask_workers
from nnlab.execution.workers import open_workers
from nnlab.training.engine import train_segment
from nnlab.training.segments import Segment


@pytest.fixture
def segment():
    return Segment(untrained(runs=3), epochs=4, last=True, threads=1)


@pytest.mark.parametrize(
    ("backend", "count"), [("sequential", 1), ("loky", 1), ("loky", 2), ("dask", 2)]
)
def test_workers_of_every_kind_train_to_the_same_bits(segment, backend, count):
    expected, history = train_segment(segment.state, training_data(), 4)
    with open_workers(backend, count, 1, None) as workers:
        assert workers.count == count
        futures = {workers.submit(segment, training_data()) for _ in range(3)}
        while futures:
            for future in workers.wait(futures):
                futures.remove(future)
                result = future.result()
                assert_same_bits(result.state.params, expected.params)
                for name, values in history.values.items():
                    np.testing.assert_array_equal(result.history.values[name], values)


def test_an_error_in_training_is_the_futures_and_not_a_workers_death(monkeypatch, segment):
    def broken(_segment, _data):
        raise FloatingPointError("no")

    monkeypatch.setattr("nnlab.execution.workers.run_segment", broken)
    with open_workers("sequential", 1, 1, None) as workers:
        (future,) = workers.wait([workers.submit(segment, training_data())])
        assert isinstance(future.exception(), FloatingPointError)
        assert not workers.lost_worker(future.exception())


def test_after_a_workers_death_the_others_work_on(segment):
    long = Segment(segment.state, epochs=100_000, last=True, threads=1)
    with open_workers("loky", 2, 1, None) as workers:
        lost = [workers.submit(long, training_data()) for _ in range(2)]
        wait_until(lambda: loky_workers(os.getpid()))
        loky_workers(os.getpid())[0].kill()
        done = workers.wait(lost)
        assert set(done) == set(lost)
        for future in done:
            assert workers.lost_worker(future.exception())
        (future,) = workers.wait([workers.submit(segment, training_data())])
        expected, _ = train_segment(segment.state, training_data(), 4)
        assert_same_bits(future.result().state.params, expected.params)


def loky_workers(parent):
    return [
        child
        for child in psutil.Process(parent).children()
        if "LokyProcess" in " ".join(child.cmdline())
    ]


def test_workers_go_when_their_parent_is_killed():
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from support.digits import untrained, training_data\n"
        "from nnlab.execution.workers import open_workers\n"
        "from nnlab.training.segments import Segment\n"
        "if __name__ == '__main__':\n"
        "    with open_workers('loky', 2, 1, None) as workers:\n"
        "        long = Segment(untrained(), 1_000_000, True, 1)\n"
        "        futures = [workers.submit(long, training_data()) for _ in range(2)]\n"
        "        print('ready', flush=True)\n"
        "        workers.wait(futures)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert parent.stdout.readline() == "ready\n"
        wait_until(lambda: len(loky_workers(parent.pid)) == 2)
        workers = loky_workers(parent.pid)
        wait_until(lambda: all(worker.cpu_times().user > 0.5 for worker in workers))
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs(workers, timeout=30)
        assert not alive
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if parent.poll() is None else None
        parent.stdout.close()


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(dask_workers, "ANSWER_SECONDS", 1)
    with (
        pytest.raises(ConfigError, match=r"address=tcp://127.0.0.1:9: no dask scheduler answers"),
        open_workers("dask", 2, 1, "tcp://127.0.0.1:9"),
    ):
        pass


def listening(process):
    """The addresses at which a process and its children listen."""
    family = [process, *process.children(recursive=True)]
    connections = [each for member in family for each in member.net_connections("tcp")]
    return {each.laddr for each in connections if each.status == psutil.CONN_LISTEN}


def answer(address, wrap):
    """What a server says to somebody who asks over HTTP; empty if it hangs up."""
    said = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(address, 10) as plain,
        wrap(plain) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while part := connection.recv(1000):
            said += part
    return said


def test_nobody_else_can_use_the_dask_cluster_of_this_machine():
    from distributed import Client
    from distributed.security import Security

    strangers = ssl.create_default_context()  # who encrypt, but have no certificate
    strangers.check_hostname, strangers.verify_mode = False, ssl.CERT_NONE
    before = listening(psutil.Process())
    with open_workers("dask", 2, 1, None) as workers:
        assert workers.count == 2
        addresses = listening(psutil.Process()) - before
        assert len(addresses) >= 3  # the scheduler and two workers
        assert {address.ip for address in addresses} == {"127.0.0.1"}
        assert 8787 not in {address.port for address in addresses}
        for address in addresses:
            assert answer(address, lambda plain: plain) == b""
            assert answer(address, strangers.wrap_socket) == b""
        scheduler = workers._client.scheduler.address
        other = Security.temporary()  # certificates of their own
        for protocol, security in (("tcp", None), ("tls", other)):
            with pytest.raises(OSError, match=r"TLS|Timed out|closed"):
                Client(scheduler.replace("tls", protocol), timeout=2, security=security)
        with (
            pytest.raises(ConfigError, match="names no certificates for TLS"),
            open_workers("dask", 2, 1, scheduler),
        ):
            pass


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ConfigError, match=r"pip install 'nnlab\[dask\]'"),
        open_workers("dask", 2, 1, None),
    ):
        pass
