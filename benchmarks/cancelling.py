"""Cancelling a run at any point: how long the window and the work take to answer.

    scripts/on-a-screen python -m benchmarks.cancelling [--times 50]

Each time a run of the reading room is started on the demo scan and cancelled after a random part of it:
half of the times in a fresh process, where torch and MONAI are still to be imported, half in one where all
is warm. Told are the longest time in which the window did not answer (the gap between ticks of a timer of
5 ms) from the start until the work has ended, and the time from the cancel to that end; what is left behind
is counted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

TICK_MS = 5


def main() -> None:
    """Cancel, and print what the worst took."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, default=50)
    options.add_argument("--child", nargs=2, type=float, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.child:
        print(json.dumps(cancels(int(chosen.child[0]), int(chosen.child[1]))))
        return
    cold = [run for seed in range(chosen.times // 2) for run in fresh(1, seed)]
    warm = fresh(chosen.times - len(cold) + 1, 1000)[1:]
    for name, every in (("cold", cold), ("warm", warm)):
        runs = [run for run in every if not run["finished"]]
        gaps, stops = sorted(run["gap_ms"] for run in runs), sorted(run["stop_ms"] for run in runs)
        shown = [run["gap_ms"] for run in every if run["finished"]]
        print(
            f"{name}: {len(runs)} cancels; window silent {gaps[len(gaps) // 2]:.0f} ms (median), "
            f"{gaps[-1]:.0f} ms (longest); work ended after {stops[len(stops) // 2]:.0f} ms (median), "
            f"{stops[-1]:.0f} ms (longest); left behind: {sum(run['left'] for run in runs)}. "
            f"{len(shown)} more had finished; showing the result took up to {max(shown, default=0):.0f} ms"
        )


def fresh(times: int, seed: int) -> list[dict[str, Any]]:
    """Return what `times` cancels took in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.cancelling", "--child", str(times), str(seed)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: list[dict[str, Any]] = json.loads(found.stdout.splitlines()[-1])
    return answer


def cancels(times: int, seed: int) -> list[dict[str, Any]]:
    """Cancel runs of one window after random times."""
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication

    import voxcam
    from voxcam.plugin.opening import open_review
    from voxcam.samples import SAMPLES, model_path, sample_path

    draw = random.Random(seed)
    volume = voxcam.read(voxcam.scan(sample_path(SAMPLES["lung_tumour"].scan)).choose(None))
    viewer = open_review(volume=volume, bundle=model_path("lung_nodule_3d"))
    room = viewer.window.dock_widgets["VoxCAM"]
    room = getattr(room, "inner_widget", room)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(TICK_MS)
    app, found = QApplication.instance(), []
    settle(app, 0.5)
    for number in range(times):
        before = set(Path(tempfile.gettempdir()).iterdir())
        wait_s = draw.uniform(0.0, 3.0 if number == 0 else 0.4)
        ticks.clear()
        begun = time.perf_counter()
        room.runner.explain()
        while time.perf_counter() - begun < wait_s and room.review.running is not None:
            app.processEvents()
        finished = room.review.running is None
        room.review.cancel()
        cancelled = time.perf_counter()
        while not room.runner.wait(0):
            app.processEvents()
        ended = time.perf_counter()
        settle(app, 0.1)
        gaps = [late - early for early, late in itertools.pairwise(ticks)]
        left = len(set(Path(tempfile.gettempdir()).iterdir()) - before)
        left += sum(thread.name == "voxcam run" for thread in threading.enumerate())
        found.append(
            {
                "wait_s": wait_s,
                "gap_ms": 1000 * max(gaps, default=0.0),
                "stop_ms": 1000 * (ended - cancelled),
                "left": left,
                "finished": finished,
            }
        )
    viewer.close()
    return found


def settle(app: Any, seconds: float) -> None:
    """Let the window work for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        app.processEvents()


if __name__ == "__main__":
    main()
