"""Asynchronous logging: a queue between whoever logs and the terminal or the disk, so that no tick waits for either.

Levels are Redis's: debug, verbose, notice, warning; redraft logs with the standard library, and they are mapped onto
its levels. Lines look as Redis's do, or are JSON objects. The queue is bounded: when whatever reads the log is stuck,
lines are dropped and their number is told once it moves again; the server goes on.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redraft.errors import UserError
from redraft.settings import Settings

QUEUE_RECORDS = 10_000
RETRY_SECONDS = 60
"""After a log file could not be written, or a new one begun, that is tried, or told, again."""
VERBOSE = 15
"""Between debug (10) and notice (20, the standard library's INFO)."""
LEVELS = {"debug": logging.DEBUG, "verbose": VERBOSE, "notice": logging.INFO, "warning": logging.WARNING}
_MARKS = {logging.DEBUG: ".", VERBOSE: "-", logging.INFO: "*", logging.WARNING: "#"}
_NAMES = {number: name for name, number in LEVELS.items()}


class HumanFormatter(logging.Formatter):
    """`pid:M day month year time mark message`, as Redis writes it."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%d %b %Y %H:%M:%S", time.localtime(record.created))
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        mark = _MARKS.get(record.levelno, "#")
        return f"{record.process}:M {when}.{int(record.msecs):03d} {mark} {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": round(record.created, 3),
            "level": _NAMES.get(record.levelno, "warning"),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


class DroppingQueueHandler(logging.handlers.QueueHandler):
    """Puts records into the queue and never waits: what does not fit is counted."""

    def __init__(self, records: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(records)
        self._records = records
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Leave the record as it is: it stays in this process, and is formatted by the listener."""
        record.msg = record.getMessage()
        record.args = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1
            return
        if self.dropped and self._records.qsize() < QUEUE_RECORDS // 2:
            dropped, self.dropped = self.dropped, 0
            logging.getLogger("redraft.logs").warning(
                "%d log lines were dropped: the log was not written in time", dropped
            )


class _Forgiving(logging.Handler):
    """Writes the log, and goes on when it cannot: that is told on the standard error, once in a while."""

    _tell_again = 0.0

    def handleError(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now >= self._tell_again:
            self._tell_again = now + RETRY_SECONDS
            with suppress(OSError, ValueError):
                print(f"redraft: the log cannot be written: {sys.exception()}", file=sys.stderr)


class _Rotating(_Forgiving, logging.handlers.BaseRotatingHandler):
    """Begins a new file from time to time. Where it cannot, the log goes on in the file that there is, and it is tried
    again later: else each line would be lost with the attempt."""

    _rotate_again = 0.0

    def shouldRollover(self, record: logging.LogRecord) -> int:
        if time.monotonic() < self._rotate_again:
            if self.stream is None:
                self.stream = self._open()
            return False
        return super().shouldRollover(record)  # type: ignore[misc, no-any-return]

    def doRollover(self) -> None:
        try:
            super().doRollover()  # type: ignore[misc]
        except OSError as error:
            self._rotate_again = time.monotonic() + RETRY_SECONDS
            if self.stream is None:
                self.stream = self._open()
            logging.getLogger("redraft.logs").warning("a new log file cannot be begun: %s", error)


class _StreamHandler(_Forgiving, logging.StreamHandler):  # type: ignore[type-arg]
    """The standard output."""


class _SizedFiles(_Rotating, logging.handlers.RotatingFileHandler):
    """A new file when one has its size."""


class _TimedFiles(_Rotating, logging.handlers.TimedRotatingFileHandler):
    """A new file at times."""


@contextmanager
def start_logging(settings: Settings) -> Iterator[None]:
    """Log as the settings say until the block ends; everything queued is written by then. Raises UserError."""
    target = _target(settings)
    target.setFormatter(JsonFormatter() if settings.log_format == "json" else HumanFormatter())
    records: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_RECORDS)
    handler = DroppingQueueHandler(records)
    listener = logging.handlers.QueueListener(records, target)
    root = logging.getLogger("redraft")
    root.propagate = False
    root.setLevel(LEVELS[settings.loglevel])
    root.addHandler(handler)
    settings.on_change("loglevel", lambda: root.setLevel(LEVELS[settings.loglevel]))
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        listener.stop()
        target.close()


def _target(settings: Settings) -> logging.Handler:
    path = settings.logfile
    if not path:
        return _StreamHandler(sys.stdout)
    try:
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        if settings.log_rotate_interval:
            return _TimedFiles(
                path,
                when="S",
                interval=settings.log_rotate_interval,
                backupCount=settings.log_rotate_keep,
                encoding="utf-8",
            )
        return _SizedFiles(
            path, maxBytes=settings.log_rotate_size, backupCount=settings.log_rotate_keep, encoding="utf-8"
        )
    except OSError as error:
        raise UserError(f"redraft: the log file {path} cannot be written: {error.strerror}") from error
