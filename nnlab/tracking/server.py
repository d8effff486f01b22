"""Calls of a tracking server or a database server, which may be slow, go away and come back."""

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from math import inf
from typing import TypeVar

from nnlab.errors import ServerLostError
from nnlab.interrupts import stop_requested

T = TypeVar("T")

ANSWER_SECONDS = 10.0  # within which a server must answer at the start, and while runs train
INTERRUPT_SECONDS = 1.0  # that a call gets once somebody wants the process to end
PAUSES = (0.5, 1.0, 2.0)  # between attempts, where nothing trains meanwhile
PROBE_SECONDS = 1.0  # between two questions whether a lost server is back
LOOK_SECONDS = 0.1  # between two looks whether there was an interrupt

# Of HTTP: too long, too many requests, and what is wrong with the server and not with the request.
LOST_STATUS = (408, 429, 500, 502, 503, 504)


class ServerCalls:
    """Makes calls, each in a thread of its own, so that an interrupt need not wait for the answer.

    A server that does not answer is lost: further calls fail at once, until it answers again.

    Parameters
    ----------
    uri : str
        For messages.
    probe : Callable
        A short call that changes nothing.

    Attributes
    ----------
    limit : float
        Seconds after which the answer to a call is no longer waited for. Each time it is exceeded
        it is doubled: the server may be slow for good.
    """

    def __init__(self, uri: str, probe: Callable[[], object]) -> None:
        self.limit = inf
        self._uri = uri
        self._probe = probe
        self._reason: str | None = None
        self._asked: Future[object] = Future()
        self._next_probe = 0.0

    @property
    def lost(self) -> bool:
        """Whether the server is lost; while it is, each look has it asked in the background."""
        if self._reason is None:
            return False
        if self._asked.done():
            error = self._asked.exception()
            if error is None or lost_reason(error) is None:
                self._reason = None
                return False
            if time.monotonic() >= self._next_probe:
                self._next_probe = time.monotonic() + PROBE_SECONDS
                self._asked = in_thread(self._probe)
        return True

    def call(self, function: Callable[[], T]) -> T:
        """Make a call.

        Raises
        ------
        ServerLostError
            Where the server does not answer. It may have done what it was asked, or do it later.
        """
        if self.lost:
            raise self._error()
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # MLflow's take six minutes
        for pause in (*PAUSES, None) if self.limit == inf else (None,):
            future = in_thread(function)
            try:
                return answer(future, self.limit)
            except Exception as error:
                reason = lost_reason(error)
                if reason is None:
                    raise
                if pause is None or not future.done():
                    self._lose(reason, future)
                    raise self._error() from error
                time.sleep(pause)
        raise AssertionError

    def _lose(self, reason: str, future: "Future[T]") -> None:
        if not future.done():
            self.limit *= 2
        self._reason = reason
        self._asked = future  # type: ignore[assignment]
        self._next_probe = time.monotonic() + PROBE_SECONDS

    def _error(self) -> ServerLostError:
        return ServerLostError(
            f"The tracking server {self._uri} does not answer: {self._reason}. See whether it "
            "runs, and can be reached from here."
        )


def in_thread(function: Callable[[], T]) -> "Future[T]":
    """Call a function in a thread that does not keep the process from ending."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed over in the future
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def answer(future: "Future[T]", seconds: float) -> T:
    """Return a call's result; wait so long at most, and not much longer where an interrupt waits.

    Raises
    ------
    TimeoutError
        Where there is none yet. What the call itself raises is raised too.
    """
    deadline = time.monotonic() + seconds
    interrupted = False
    while True:
        try:
            return future.result(LOOK_SECONDS)
        except TimeoutError:
            if future.done():
                raise
        now = time.monotonic()
        if stop_requested() and not interrupted:
            interrupted = True
            deadline = min(deadline, now + INTERRUPT_SECONDS)
        if now > deadline:
            raise TimeoutError("no answer in time")


def lost_reason(error: BaseException | None) -> str | None:
    """Say why an error tells that a server is not there or cannot answer; None if it does not.

    MLflow wraps the errors of other libraries in its own.
    """
    from requests import exceptions as http
    from sqlalchemy import exc as sql

    while error is not None:
        if isinstance(error, http.HTTPError):
            status = None if error.response is None else error.response.status_code
            return f"HTTP status {status}" if status in LOST_STATUS else None
        if isinstance(error, sql.OperationalError | sql.InterfaceError):
            return " ".join(str(error.orig).splitlines()[:1]) or type(error).__name__
        if isinstance(error, http.RetryError):
            times = re.search(r"too many (\d+) error", str(error))
            return f"HTTP status {times[1]}" if times else "HTTP errors"
        broken = isinstance(error, http.ConnectionError | http.ChunkedEncodingError)
        # Where no further attempt is allowed, requests raises a timeout as a ConnectionError.
        if isinstance(error, http.Timeout | TimeoutError) or (broken and "timed out" in str(error)):
            return "no answer in time"
        if broken:
            refused = re.search(r"\[Errno -?\d+\] [\w ]+", str(error))
            return refused[0] if refused else "the connection broke"
        error = error.__cause__ or error.__context__
    return None
