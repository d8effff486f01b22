"""Signals wait for a write to be whole, and are not lost."""

import signal
import threading

import pytest
from support.commands import python
from support.paths import ROOT

from nnlab.interrupts import Terminated, deferred, terminable


@pytest.fixture(autouse=True)
def handlers():
    before = {
        number: signal.getsignal(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_takes_effect_behind_the_block(number):
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():  # noqa: PT012 - the block is the subject
        signal.raise_signal(number)
        done.append("written")
    assert done == ["written"]


def test_a_second_interrupt_takes_effect_at_once():
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append("written")
    assert done == []


def test_blocks_may_stand_in_each_other_and_the_outer_one_decides():
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():  # noqa: PT012
        with deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_without_an_interrupt_the_handlers_are_as_before():
    before = signal.getsignal(signal.SIGINT)
    with deferred():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_may_write_too():
    done = []

    def write():
        with deferred():
            done.append("written")

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert done == ["written"]


def test_a_terminal_that_is_closed_ends_in_order_though_its_shell_tells_a_second_time():
    done = []
    with pytest.raises(Terminated) as caught, deferred():  # noqa: PT012
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        done.append("written")
    assert done == ["written"]
    assert caught.value.number == signal.SIGHUP


def test_under_nohup_a_closed_terminal_ends_nothing():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with terminable(), deferred():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_system_without_hangups_has_the_other_interrupts():
    program = (
        "import signal; del signal.SIGHUP\n"
        "from nnlab.interrupts import Terminated, terminable\n"
        "with terminable():\n"
        "    signal.raise_signal(signal.SIGTERM)\n"
    )
    done = python("-c", program, env={"PYTHONPATH": str(ROOT)})
    assert done.stderr.strip().endswith("nnlab.interrupts.Terminated: SIGTERM")
