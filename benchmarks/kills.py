"""Stop and kill training runs and segmentations into zarr at random moments, and measure what is lost.

    python benchmarks/kills.py [--times 20] [--autosave 2] [--segment-times 20] [--command-times 4]

Each training process trains `lite` on crops of the sample, and is ended after a random time: by SIGKILL or, every third
time, by Ctrl-C (SIGINT). Checkpoint and model are then loaded, and the next process resumes. The output lists the
signal, the last finished and the last saved step, and the seconds of work between them: at most one autosave interval
and one step for SIGKILL, and none for Ctrl-C. `--autosave 0.001` saves after every step, so that most kills hit the
writing of files.

Segmentations are killed by SIGKILL only, until they are complete. The result is compared with that of an undisturbed
run, and no chunk that was reported as finished may be missing after a kill.

Other commands, and the saving of models and edits, are killed by SIGKILL, too (`fault_parts/killed.py`): whatever file
is there must be whole, and the same command must give the files of an undisturbed run.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from threading import Timer

import numpy as np
import zarr
from fault_parts.common import FaultError
from fault_parts.killed import KILLED

from napari_darl import load_model
from napari_darl.evaluation.report import markdown_table
from napari_darl.io.output import write_frames
from napari_darl.samples import sample_angiogram
from napari_darl.training.run_folder import RunFolder

TRAIN = """
import sys
from threading import Event
import signal
import torch
from napari_darl import Trainer
from napari_darl.frames.stacks import read_stack
from napari_darl.training.config import training_config
torch.set_num_threads(1)
frames, folder, autosave, resume = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4] == "True"
stop = Event()
signal.signal(signal.SIGINT, lambda *_: stop.set())
stack = read_stack(frames).frames
config = training_config("lite", steps=100000).updated(batch=1, autosave=autosave)
trainer = Trainer.resume(folder, stack, autosave=autosave) if resume else Trainer(config, folder, stack)
print("from", trainer.step, flush=True)
for state in trainer.run(stop):
    print("step", state.step, flush=True)
"""


SEGMENT = """
import sys
from pathlib import Path
import torch
from napari_darl.io.lazy import open_lazily
from napari_darl import SegmentOptions, Windows, write_zarr
torch.set_num_threads(1)
windows = Windows(open_lazily(Path(sys.argv[1])), options=SegmentOptions(resize=1, tile=256))
write_zarr(windows, sys.argv[2], provenance={}, progress=lambda *done: print(*done, flush=True))
"""


def training(times: int, autosave: float, chance: random.Random) -> tuple[list[tuple[str | float, ...]], bool]:
    """Kill and resume a run."""
    rows: list[tuple[str | float, ...]] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        frames, run = Path(folder) / "frames", Path(folder) / "run"
        write_frames(frames / "frame.tif", np.asarray(sample_angiogram()), provenance={})
        saved = None
        for turn in range(times):
            how = signal.SIGINT if turn % 3 == 2 else signal.SIGKILL
            command = [sys.executable, "-c", TRAIN, str(frames), str(run), str(autosave), str(saved is not None)]
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
            if saved:
                load_model(run, "cpu")
            last = done[-1][1] if done else saved or 0
            lost = done[-1][0] - next((at for at, step in done if step >= (saved or 0)), done[-1][0]) if done else 0.0
            longest = max((after - before for (before, _), (after, _) in pairwise(done)), default=0.0)
            failed |= lost > autosave + max(1.5, longest) or (how == signal.SIGINT and saved != last)
            rows.append((str(turn + 1), how.name, str(last), str(saved), lost))
    return rows, failed


def segmenting(times: int, chance: random.Random) -> tuple[list[tuple[str | float, ...]], bool]:
    """Kill and resume segmentations into zarr, and compare complete results with those of an undisturbed run."""
    rows: list[tuple[str | float, ...]] = []
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.zarr"
        frame = np.tile(sample_angiogram(), (3, 3))
        zarr.create_array(source, shape=frame.shape, chunks=(256, 256), dtype=frame.dtype)[:] = frame
        plain = Path(folder) / "plain.zarr"
        subprocess.run([sys.executable, "-c", SEGMENT, str(source), str(plain)], check=True, capture_output=True)
        target, known, turn = Path(folder) / "killed_0.zarr", 0, 0
        while turn < times:
            with subprocess.Popen(
                [sys.executable, "-c", SEGMENT, str(source), str(target)], stdout=subprocess.PIPE, text=True
            ) as process:
                assert process.stdout is not None  # noqa: S101 (for mypy)
                first = process.stdout.readline().split()
                failed |= int(first[0]) < known
                known, total = map(int, first)
                timer = Timer(chance.uniform(0.0, 2.5), process.kill)
                timer.start()
                for line in process.stdout:
                    known = int(line.split()[0])
                timer.cancel()
            if known == total:
                same = bool(
                    (zarr.open_array(target / "0", mode="r")[:] == zarr.open_array(plain / "0", mode="r")[:]).all()
                )
                failed |= not same
                rows.append((str(turn), "end", f"{known} of {total}", "the same" if same else "ANOTHER RESULT"))
                target, known = Path(folder) / f"killed_{turn}_.zarr", 0
            else:
                turn += 1
                rows.append((str(turn), "SIGKILL", f"{known} of {total}", ""))
    return rows, failed


def commands(times: int) -> tuple[list[tuple[str | float, ...]], bool]:
    """Kill commands that write files as a whole."""
    rows: list[tuple[str | float, ...]] = []
    failed = False
    for name, kill in KILLED.items() if times else ():
        with tempfile.TemporaryDirectory() as place:
            write_frames(Path(place) / "frame.tif", np.asarray(sample_angiogram()), provenance={})
            try:
                rows.append((name, kill(Path(place), times)))
            except FaultError as failure:
                failed = True
                rows.append((name, f"FAILED: {failure}"))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows, failed


def main() -> None:
    """Kill, resume and compare runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="kills of a training run")
    parser.add_argument("--autosave", type=float, default=2.0)
    parser.add_argument("--segment-times", type=int, default=20, help="kills of runs that segment into zarr")
    parser.add_argument("--command-times", type=int, default=4, help="kills of each other command")
    args = parser.parse_args()
    chance = random.Random(0)
    rows, failed = training(args.times, args.autosave, chance)
    print(markdown_table(("", "ended by", "last step", "saved step", "lost, s"), rows), "\n", flush=True)
    more, wrong = segmenting(args.segment_times, chance) if args.segment_times else ([], False)
    print(markdown_table(("", "ended by", "parts done", "result"), more), "\n", flush=True)
    others, bad = commands(args.command_times)
    print(markdown_table(("killed while", "result"), others))
    if failed or wrong or bad:
        sys.exit("\nFAILED")
    print("\nEverything loaded, every run went on where it was, and every result is that of an undisturbed run.")


if __name__ == "__main__":
    main()
