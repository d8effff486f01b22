"""Standard streams that end no command: training goes on where nobody reads what it prints."""

import errno
import io
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NOT_WRITTEN = 2  # exit code; 1 may be a result, such as that of a reproduction


class _Descriptor(io.FileIO):
    """A descriptor that is open already. What cannot be written is left out, and the error kept."""

    error: OSError | None = None

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write, or do as if."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


class StandardStreams:
    """Replaces the process's standard streams in a block.

    A letter that the terminal's encoding lacks is written as its number. A pipe whose reader is
    gone, as of ``| head``, takes the rest of the output away, and nothing else. Where standard
    output cannot be written for another reason, such as a full disk, the command comes to its end,
    says so, and exits with 2. Streams of another kind, as a notebook's, are left alone.
    """

    def __enter__(self) -> Self:
        """Replace the streams."""
        self._before = sys.stdin, sys.stdout, sys.stderr
        if sys.stdin is None:
            sys.stdin = Path(os.devnull).open(encoding="utf-8")
        sys.stdout, self._output = _replaced(sys.stdout, 1)
        sys.stderr, _ = _replaced(sys.stderr, 2)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Put the former streams back.

        Raises
        ------
        SystemExit
            With 2, where standard output could not be written and no other error ended the block.
        """
        sys.stdout.flush()
        lost = None if self._output is None else self._output.error
        code = error.code if isinstance(error, SystemExit) else 0 if error is None else None
        failed = lost is not None and lost.errno != errno.EPIPE and code in (0, 1)
        if failed and lost is not None:
            sys.stderr.write(
                f"Standard output could not be written: {lost.strerror}. All else is done.\n"
            )
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = self._before
        if failed:
            raise SystemExit(NOT_WRITTEN)


def _replaced(stream: TextIO | None, number: int) -> tuple[TextIO, _Descriptor | None]:
    """Return the stream to use, and its descriptor; None where the stream is left alone."""
    if stream is None:  # the descriptor was closed by whoever started the process
        return Path(os.devnull).open("w", encoding="utf-8"), None
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # under python -u there is no buffer
    ours = type(raw) is io.FileIO and raw.fileno() == number
    if not ours or not isinstance(stream, io.TextIOWrapper):
        return stream, None
    stream.flush()
    descriptor = _Descriptor(number, "wb", closefd=False)
    return (
        io.TextIOWrapper(
            io.BufferedWriter(descriptor),
            encoding=stream.encoding,
            errors="backslashreplace" if stream.errors == "strict" else stream.errors,
            line_buffering=stream.line_buffering or stream.write_through,
        ),
        descriptor,
    )
