"""Signals wait for a write to be whole, and are not lost."""

import signal
import threading

import pytest

from nnlab.interrupts import deferred


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
