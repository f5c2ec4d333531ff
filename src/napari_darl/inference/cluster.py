"""Work on the workers of a Dask cluster, which come and go."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_darl.errors import DarlError

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

_WAITING = 4  # tasks sent ahead for each thread of a cluster, so that none runs dry
_RETRIES = 3

Task = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function, and what it is called with."""


def local_cluster(workers: int | None = None) -> "LocalCluster":
    """Start workers of one thread each on this machine, by default one for each core.

    Their profiler is off, which would look at each a hundred times a second.
    """
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.worker.profile.enabled": False}):
        return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)


def send(client: "Client", shared: Any) -> "Future[Any]":
    """Begin to send a value to the workers, for tasks to be called with."""
    # As a task, which runs again if all workers that hold its result are lost; others copy it from them.
    with cluster_errors(), warnings.catch_warnings(action="ignore", category=UserWarning):  # about its size
        return client.submit(_identity, shared, key=f"shared-{uuid4().hex}")


def on_cluster(client: "Client", urgent: Callable[[], Iterator[Task]], tasks: Iterator[Task]) -> Iterator[Any]:
    """Do tasks on the workers, a few for each at a time; yield what they return as it comes.

    Parameters
    ----------
    client : distributed.Client
        The cluster. The first worker is waited for.
    urgent : callable
        Returns tasks that results have made possible since its last call; they are done before the others.
    tasks : iterator of Task
        The others.

    Raises
    ------
    DarlError
        If the cluster fails.
    """
    from distributed import as_completed

    def submit(task: Task, priority: int) -> None:
        function, values = task
        key = f"{function.__name__}-{uuid4().hex}"
        working.add(client.submit(function, *values, key=key, retries=_RETRIES, priority=priority))

    with cluster_errors():
        client.wait_for_workers(1)
        working = as_completed()
        while True:
            for task in urgent():
                submit(task, 1)
            wanted = _WAITING * max(sum(client.nthreads().values()), 1)
            for task in islice(tasks, max(wanted - working.count(), 0)):
                submit(task, 0)
            if not working.count():
                return
            yield next(working).result()


def _identity(shared: Any) -> Any:
    return shared


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn what a cluster raises into a DarlError; our own errors and those of the disk stay."""
    try:
        yield
    except DarlError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        raise DarlError(f"The cluster failed ({reason}). Check its scheduler and workers, then resume.") from error
