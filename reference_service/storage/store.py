"""Writes to SQLite in groups: one writer thread, one reader thread, nothing on the event loop.

Jobs are functions of a connection. The writer takes all jobs that arrived during the last commit, runs them in one
transaction and syncs once. Only then it resolves the jobs' futures, so a resolved job survives ``kill -9`` and a power
cut (WAL, ``synchronous=FULL``). When a job raises, its batch is rolled back and the other jobs run again one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import sqlite3
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from reference_service.error_output import print_error
from reference_service.storage.schema import SCHEMA

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

BATCH_LIMIT = 512
"""Most jobs in one transaction, so that the first one does not wait long."""


class StoreUnusable(Exception):
    """The database cannot be opened or written; the text is a sentence for a person."""


class _Queued(NamedTuple):
    job: Job[Any]
    done: asyncio.Future[Any]


class Store:
    """The open database. Make it on the event loop's thread; every public method belongs to that thread."""

    def __init__(self, path: Path) -> None:
        """Opens or creates ``path``. Raises StoreUnusable."""
        self.commits = 0
        self.jobs = 0
        self.largest_batch = 0
        self.failed = 0
        """Jobs that failed: their effect is not on disk."""
        self.problem = ""
        """Why nothing can be stored now; empty while storing works."""
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()
        self._lock_fd = _take_lock(path)
        try:
            _keep_private(path)
            self._writing = _connect(path)
            self._writing.executescript(SCHEMA)
            self._reading = _connect(path)
            self._reading.execute("PRAGMA query_only=ON")
        except (sqlite3.Error, OSError) as problem:
            os.close(self._lock_fd)
            why = problem.strerror if isinstance(problem, OSError) else problem
            raise StoreUnusable(f"cannot use the database {path}: {why}") from None
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-reader")
        self._writer = threading.Thread(target=self._write_batches, name="store-writer")
        self._writer.start()

    def write(self, job: Job[T]) -> asyncio.Future[T]:
        """Queues ``job``; the future resolves once its effect is on disk. Jobs take effect in the order queued."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Queued(job, done))
        return done

    def log(self, job: Job[None]) -> asyncio.Future[None]:
        """Queues ``job`` for a caller who need not look at the future."""
        done = self.write(job)
        done.add_done_callback(_consume_exception)
        return done

    async def read(self, job: Job[T]) -> T:
        """Runs ``job`` on the reading connection, beside any write."""
        try:
            return await self._loop.run_in_executor(self._reader, job, self._reading)
        except sqlite3.Error as problem:
            print_error(f"store: a read failed: {problem}")
            raise

    async def close(self) -> None:
        """Commits what is queued and closes the files."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._writer.join)
        self._reader.shutdown(wait=True)
        for connection in (self._reading, self._writing):
            with contextlib.suppress(sqlite3.Error):  # confirmed data is in the WAL file already
                connection.close()
        os.close(self._lock_fd)

    def _write_batches(self) -> None:
        ending = False
        while not ending:
            first = self._queue.get()
            batch = [] if first is None else [first]
            ending = first is None
            while not ending and len(batch) < BATCH_LIMIT:
                try:
                    queued = self._queue.get_nowait()
                except queue.Empty:
                    break
                if queued is None:
                    ending = True
                else:
                    batch.append(queued)
            if batch:
                outcomes = self._commit(batch)
                self._loop.call_soon_threadsafe(self._resolve, batch, outcomes)

    def _commit(self, batch: list[_Queued]) -> list[Any]:
        """Returns each job's result, or the exception that it failed with."""
        self.commits += 1
        self.jobs += len(batch)
        self.largest_batch = max(self.largest_batch, len(batch))
        try:
            self._writing.execute("BEGIN IMMEDIATE")
            outcomes = [queued.job(self._writing) for queued in batch]
            self._writing.execute("COMMIT")
            return outcomes
        except Exception as problem:  # a job's exception goes to its future, never to this thread
            with contextlib.suppress(sqlite3.Error):  # a full disk may have rolled it back already
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")
            if len(batch) == 1:
                return [problem]
            return [self._commit([queued])[0] for queued in batch]

    def _resolve(self, batch: list[_Queued], outcomes: list[Any]) -> None:
        for queued, outcome in zip(batch, outcomes, strict=True):
            self._note(outcome)
            if queued.done.done():
                continue
            if isinstance(outcome, Exception):
                queued.done.set_exception(outcome)
            else:
                queued.done.set_result(outcome)

    def _note(self, outcome: object) -> None:
        """Prints when storing begins to fail and when it works again, not each failure in between."""
        if isinstance(outcome, sqlite3.Error):
            self.failed += 1
            if not self.problem:
                self.problem = str(outcome)
                print_error(f"store: nothing can be stored: {outcome}. Changes are refused meanwhile.")
        elif self.problem and not isinstance(outcome, Exception):
            self.problem = ""
            print_error(f"store: storing works again. Changes refused since the service started: {self.failed}")


def _consume_exception(done: asyncio.Future[None]) -> None:
    """Reads the exception, which the store has printed, so that asyncio does not print it again."""
    if not done.cancelled():
        done.exception()


def _take_lock(path: Path) -> int:
    """Locks ``path.lock`` while this process lives. The kernel unlocks it however the process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StoreUnusable(f"cannot write beside the database {path}: {problem.strerror}") from None
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        raise StoreUnusable(f"the database {path} is in use by another service process") from None
    return lock_fd


def _keep_private(path: Path) -> None:
    """Creates the file if needed, and gives only its owner access.

    SQLite gives the files beside it (``-wal``, ``-shm``) the rights of this one. Raises OSError.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "it is not a regular file")
        os.fchmod(handle, 0o600)
    finally:
        os.close(handle)
    for beside in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.chmod(f"{path}{beside}", 0o600)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection
