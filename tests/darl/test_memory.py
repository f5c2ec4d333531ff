"""Freed memory is kept for the next frame."""

import subprocess
import sys

import pytest

from napari_darl.darl.memory import keep_freed_memory

_FRAMES = """
import resource, threading, torch
from napari_darl import load_model
from napari_darl.darl.folded import FoldedPathA

torch.set_num_threads(1)
path_a = FoldedPathA(load_model("default", "cpu").network)
frame = torch.zeros(1, 1, 768, 768)

def faults():
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    path_a(frame)
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

def segment():
    path_a(frame)
    path_a(frame)
    print(min(faults() for _ in range(3)))  # the system may take pages away from a process that waits

segment()
thread = threading.Thread(target=segment)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="this C library has no such options")
def test_a_further_frame_takes_no_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", _FRAMES], capture_output=True, text=True, check=True)
    pages = [int(line) for line in done.stdout.split()]
    assert len(pages) == 2
    assert max(pages) < 500  # of 4 KiB; some 20,000 otherwise
