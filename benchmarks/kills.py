"""Stop and kill a training run at random moments, and see what is lost.

    python benchmarks/kills.py [--times 20] [--autosave 2]

Each time a process trains `lite` on crops of the sample, and is ended after a random while: by SIGKILL or, each third
time, by Ctrl-C (SIGINT). Then checkpoint and model are loaded, and the next process resumes. Printed for each: what
ended it, the last step that was done and the one that is saved, and the seconds of work between the two, at most one
autosave interval and a step's time for SIGKILL and none for Ctrl-C.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_darl import load_model
from napari_darl.data.output import write_frames
from napari_darl.data.samples import sample_angiogram
from napari_darl.evaluation.report import markdown_table
from napari_darl.training.run_folder import RunFolder

TRAIN = """
import sys
from threading import Event
import signal
import torch
from napari_darl import Trainer
from napari_darl.data.files import read_stack
from napari_darl.training.config import training_config
torch.set_num_threads(1)
frames, folder, autosave, resume = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4] == "True"
stop = Event()
signal.signal(signal.SIGINT, lambda *_: stop.set())
config = training_config("lite", steps=100000).updated(batch=1, autosave=autosave)
trainer = Trainer(config, folder, read_stack(frames).frames, resume=resume)
print("from", trainer.step, flush=True)
for state in trainer.run(stop):
    print("step", state.step, flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--autosave", type=float, default=2.0)
    args = parser.parse_args()
    chance, rows, failed = random.Random(0), [], False
    with tempfile.TemporaryDirectory() as folder:
        frames, run = Path(folder) / "frames", Path(folder) / "run"
        write_frames(frames / "frame.tif", np.asarray(sample_angiogram()), provenance={})
        saved = None
        for turn in range(args.times):
            how = signal.SIGINT if turn % 3 == 2 else signal.SIGKILL
            command = [sys.executable, "-c", TRAIN, str(frames), str(run), str(args.autosave), str(saved is not None)]
            done: list[tuple[float, int]] = []
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                assert process.stdout is not None  # noqa: S101 (for mypy)
                began = process.stdout.readline().split()
                failed |= saved is not None and began != ["from", str(saved)]
                end = time.monotonic() + chance.uniform(0.2, 8)
                for line in process.stdout:
                    done.append((time.monotonic(), int(line.split()[1])))
                    if time.monotonic() > end:
                        process.send_signal(how)
                        end = float("inf")
            saved = RunFolder(run).saved_step()
            if saved is not None:
                load_model(run, "cpu")
            last = done[-1][1] if done else saved or 0
            lost = done[-1][0] - next((at for at, step in done if step >= (saved or 0)), done[-1][0]) if done else 0.0
            failed |= lost > args.autosave + 1.5 or (how == signal.SIGINT and saved != last)
            rows.append((str(turn + 1), how.name, str(last), str(saved), lost))
    print(markdown_table(("", "ended by", "last step", "saved step", "lost, s"), rows))
    print("\nFAILED" if failed else "\nEvery checkpoint and model loaded, every resume went on from the saved step.")
    sys.exit(failed)


if __name__ == "__main__":
    main()
