"""Long work waits while a click is answered."""

from threading import Event, Thread
from typing import Any

import numpy as np

from napari_darl._napari.priority import answering, make_way
from napari_darl._napari.segmenting.options import preferred_options
from napari_darl._napari.segmenting.run import Run
from napari_darl.samples import sample_angiogram


def steps(stop: Event, done: list[int], stepped: Event) -> None:
    for number in range(3):
        done.append(number)
        stepped.set()
        make_way(stop)


def test_long_work_waits_for_an_answer_and_then_goes_on() -> None:
    stop, stepped, done = Event(), Event(), list[int]()
    with answering():
        work = Thread(target=steps, args=(stop, done, stepped))
        work.start()
        assert stepped.wait(10)
        with answering():
            pass
        work.join(0.3)
        assert done == [0]  # it has done a step, and waits for the outer answer
    work.join(10)
    assert done == [0, 1, 2]


def test_work_that_is_stopped_does_not_wait() -> None:
    stop, stepped, done = Event(), Event(), list[int]()
    with answering():
        work = Thread(target=steps, args=(stop, done, stepped))
        work.start()
        assert stepped.wait(10)
        stop.set()
        work.join(10)
        assert not work.is_alive()
    assert done == [0, 1, 2]


def test_work_does_not_wait_when_nothing_is_asked() -> None:
    make_way(Event())


def test_a_run_goes_first_until_its_first_part(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    movie = np.stack([sample_angiogram()[:64, :64]] * 3)
    updates = Run(viewer.add_image(movie), preferred_options(), viewer).work(Event())
    assert next(updates).part is None
    waiting = Thread(target=make_way, args=(Event(),))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    assert next(updates).part is not None
    waiting.join(10)
    assert not waiting.is_alive()
    assert len(list(updates)) == 2
