"""The reading room's window: what a slice step costs, what stops it, how it starts.

    scripts/on-a-screen python -m benchmarks.reading_room

The sample abdomen, made 300 x 512 x 512, is stepped through with 0, 1, 2 and 4 heatmaps of the organ
classifier and with all as napari layers, interleaved; told are medians and ratios. A timer of 5 ms beats
while scanning, opening, running, adopting, exporting: the longest gap is how long the window was stopped.
Start-up is that of `napari` in processes of their own, with VoxCAM found by it and hidden from it.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voxcam.core.explanation import Explanation
    from voxcam.core.volume import Volume

TICK_MS = 5
SHAPE = (512, 512, 300)
STARTS = 7


def main() -> None:
    """Print every measurement, one a line."""
    if len(sys.argv) > 1:
        print(json.dumps({"start": start, "dock": dock}[sys.argv[1]]()), flush=True)
        os._exit(0)
    os.environ["VOXCAM_MODELS"] = "off"
    starts()
    volume, explanation = abdomen()
    viewer, room = window(volume)
    steps(viewer, room, explanation)
    memory(room, explanation)
    threshold_drag(room)
    viewer.close()
    beats()
    os._exit(0)  # what was measured is printed; napari's own teardown is not of interest


def abdomen() -> tuple[Volume, Explanation]:
    """Return the sample CT on a grid of 300 x 512 x 512 over the same box, and its explanation."""
    from dataclasses import replace

    from scipy.ndimage import zoom

    import voxcam
    from voxcam.samples import SAMPLES, model_path, sample_path

    sample = voxcam.read(voxcam.scan(sample_path(SAMPLES["ct_abdomen"].scan)).choose())
    explanation = voxcam.explain(
        sample, voxcam.load_classifier(model_path("ct_organs_2d")), ("grad-cam", "layer-cam")
    )
    factors = [n / old for n, old in zip(SHAPE, sample.shape, strict=True)]
    voxels = zoom(np.asarray(sample.voxels), factors, order=1, grid_mode=True, mode="nearest")
    return replace(sample, voxels=voxels, geometry=sample.geometry.coarsened(voxels.shape)), explanation


def window(volume: Volume | None = None) -> tuple[Any, Any]:
    """Return a shown reading room."""
    from voxcam.plugin.opening import open_review

    viewer = open_review(volume=volume)
    settle()
    return viewer, viewer.window.dock_widgets["VoxCAM"]


def settle(times: int = 3) -> None:
    """Let the window draw what is due."""
    from qtpy.QtWidgets import QApplication

    for _ in range(times):
        QApplication.processEvents()


def steps(viewer: Any, room: Any, explanation: Explanation) -> None:
    """Print what a slice step costs with so many heatmaps."""
    review = room.review
    review.adopt(explanation)
    names = [row.name for row in review.rows if not row.empty]
    took: dict[str, list[float]] = defaultdict(list)
    looks = {f"{n} heatmaps": (n, False) for n in (0, 1, 2, 4)} | {"4 napari layers": (4, True)}
    for _ in range(8):
        for look, (count, layered) in looks.items():
            review.set_look(shown=frozenset(names[:count]), layered=layered)
            settle()
            for step in range(10):
                began = time.perf_counter()
                viewer.dims.set_current_step(0, 120 + step)
                settle(2)
                if step:  # the first draws the change of look too
                    took[look].append(1e3 * (time.perf_counter() - began))
    bare = statistics.median(took["0 heatmaps"])
    for look, times in took.items():
        print(
            f"slice step, {look}: {statistics.median(times):.1f} ms, {statistics.median(times) / bare:.2f} x"
        )


def memory(room: Any, explanation: Explanation) -> None:
    """Print what 14 heatmaps on the screen add to the process, beside the volume."""
    from dataclasses import replace

    room.review.set_look(shown=frozenset(), layered=False)
    settle()
    copies = {f"class {n}": explanation.heatmaps[n % len(explanation.heatmaps)] for n in range(14)}
    heatmaps = tuple(replace(h, class_name=name, method="grad-cam") for name, h in copies.items())
    scores = dict.fromkeys(copies, 0.5)
    gc.collect()
    before = resident()
    room.review.adopt(replace(explanation, scores=scores, logits=scores, heatmaps=heatmaps, windows=None))
    room.review.set_look(shown=frozenset(copies), layered=False)
    settle()
    gc.collect()
    added, volume = resident() - before, room.review.volume.voxels.nbytes
    print(f"14 heatmaps add {added / 2**20:.1f} MB, {added / volume:.1%} of its {volume / 2**20:.0f} MB")


def resident() -> int:
    """Return the bytes this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def threshold_drag(room: Any) -> None:
    """Print what a threshold step computes and costs, of 14 heatmaps."""
    from voxcam.plugin.canvas.picture import Picture

    asked: list[Any] = []
    whole = Picture.__getitem__
    Picture.__getitem__ = lambda self, key: (asked.append(key), whole(self, key))[1]  # type: ignore[method-assign]
    began = time.perf_counter()
    for step in range(20):
        room.review.adjust(None, threshold=step / 40)
        settle(1)
    took = 1e3 * (time.perf_counter() - began) / 20
    Picture.__getitem__ = whole  # type: ignore[method-assign]
    planes = {str(key) for key in asked}
    print(f"threshold drag: {took:.0f} ms a step with 14 heatmaps, {len(planes)} slice computed")


@contextmanager
def beating(what: str) -> Iterator[None]:
    """Print the longest gap between beats of a timer meanwhile."""
    from qtpy.QtCore import QTimer

    gaps, last = [], time.perf_counter()

    def beat() -> None:
        nonlocal last
        now = time.perf_counter()
        gaps.append(1e3 * (now - last))
        last = now

    timer = QTimer()
    timer.timeout.connect(beat)
    timer.start(TICK_MS)
    settle()
    gaps.clear()
    yield
    beat()
    timer.stop()
    print(f"{what}: window stopped for {max(gaps):.0f} ms at most, {len(gaps)} beats")


def wait(done: Callable[[], bool]) -> None:
    """Turn the event loop until `done`, and a little longer."""
    from qtpy.QtTest import QTest

    while not done():
        QTest.qWait(5)
    QTest.qWait(300)


def beats() -> None:
    """Print how long the window stops while scanning, opening, running (cold and warm), and exporting."""
    from voxcam.samples import SAMPLES, model_path, sample_path

    _, room = window()
    review = room.review
    with beating("scan and open a CT"):
        room.runner.read(sample_path(SAMPLES["ct_abdomen"].scan))
        wait(lambda: review.volume is not None)
    with beating("choose a model"):
        review.choose(model_path("ct_organs_2d"), "cpu")
        wait(lambda: True)
    for temperature in ("cold", "warm"):
        before = review.explanation
        with beating(f"run and show, {temperature}"):
            room.runner.explain()
            wait(lambda before=before: review.explanation is not before)  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder, beating("export a figure"):
        target = Path(folder) / "figure.png"
        room.export_figure(target)
        wait(target.exists)
    with beating("open another study"):
        room.runner.read(sample_path(SAMPLES["ct_torso"].scan))
        wait(lambda: len(review.readings) == 2)


def starts() -> None:
    """Print how long napari takes to start with VoxCAM and without, and the dock to open."""
    took: dict[str, list[float]] = defaultdict(list)
    for _ in range(STARTS):
        for with_voxcam in (False, True):
            took["with" if with_voxcam else "without"].append(fresh("start", hide=not with_voxcam)["s"])
    opened = [fresh("dock", hide=False) for _ in range(3)]
    medians = {name: statistics.median(times) for name, times in took.items()}
    print(f"napari starts in {medians['without']:.2f} s, with VoxCAM in {medians['with']:.2f} s", end="")
    print(f": {medians['with'] / medians['without']:.3f} x (medians of {STARTS})")
    print(
        f"the dock opens in {1e3 * statistics.median(o['s'] for o in opened):.0f} ms; "
        f"torch: {opened[0]['torch']}"
    )


def fresh(what: str, *, hide: bool) -> dict[str, Any]:
    """Return what a process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.reading_room", what]
    environment = os.environ | {"VOXCAM_HIDDEN": "1" if hide else ""}
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    answer: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return answer


def start() -> dict[str, Any]:
    """Start napari, and draw its window."""
    if os.environ.get("VOXCAM_HIDDEN"):
        hide_voxcam()
    began = time.perf_counter()
    import napari

    napari.Viewer()
    settle()
    took = time.perf_counter() - began
    return {"s": took, "torch": "torch" in sys.modules}


def dock() -> dict[str, Any]:
    """Open the room in a window that is shown."""
    import napari

    viewer = napari.Viewer()
    settle()
    began = time.perf_counter()
    viewer.window.add_plugin_dock_widget("voxcam", "VoxCAM")
    settle()
    took = time.perf_counter() - began
    return {"s": took, "torch": "torch" in sys.modules}


def hide_voxcam() -> None:
    """Let napari find every plugin but VoxCAM."""
    from importlib import metadata

    whole = metadata.distributions
    metadata.distributions = lambda **asked: (  # type: ignore[assignment]
        one for one in whole(**asked) if one.metadata["Name"] != "voxcam"
    )


if __name__ == "__main__":
    main()
