"""Classifying beside plain loops: slices in batches, what is added to the bare forward, and the first result.

    python -m benchmarks.classifying [--readme] [--rounds 5] [--slices 300]

The volume is noise over a body of 40 HU, the networks have random weights: speed does not depend on either.
Contenders take turns; figures are medians of wall seconds on all cores that torch takes.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import voxcam
from benchmarks.engines.tables import Cell, Findings, Table, Target, targets_table
from voxcam.core.geometry import Geometry
from voxcam.core.volume import Volume
from voxcam.samples import SAMPLES, model_path, sample_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxcam.model.classifier import Classifier

README = Path(__file__).parent / "README.md"
MARKS = ("<!-- classifying: begin -->", "<!-- classifying: end -->")

# Networks that read slices; how a bundle for 2D images of CT would prepare them.
NETWORKS_2D = {
    "DenseNet, 1 block (the organ demo's)": {
        "_target_": "DenseNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": 7,
        "init_features": 32,
        "growth_rate": 16,
        "block_config": [6],
    },
    "ResNet10, quarter width": {
        "_target_": "resnet10",
        "spatial_dims": 2,
        "n_input_channels": 1,
        "num_classes": 7,
        "widen_factor": 0.25,
    },
    "ResNet18": {"_target_": "resnet18", "spatial_dims": 2, "n_input_channels": 1, "num_classes": 7},
    "DenseNet121": {"_target_": "DenseNet121", "spatial_dims": 2, "in_channels": 1, "out_channels": 7},
}
STEPS = [
    {
        "_target_": "ScaleIntensityRange",
        "a_min": -200,
        "a_max": 300,
        "b_min": 0.0,
        "b_max": 1.0,
        "clip": True,
    },
    {"_target_": "Resize", "spatial_size": [128, 128], "mode": "bilinear"},
    {"_target_": "NormalizeIntensity"},
]


def main() -> None:
    """Measure, print, and write the README if asked."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slices", type=int, default=300)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--readme", action="store_true", help="write the tables into benchmarks/README.md")
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    os.environ["VOXCAM_MODELS"] = "off"
    found = [slices(chosen.slices, chosen.rounds), overhead(chosen.rounds), first_result()]
    tables = [table for part in found for table in part.tables] + [targets_table(found)]
    for table in tables:
        print(table.text())
    if chosen.readme:
        before, rest = README.read_text().split(MARKS[0])
        body = "\n\n".join(
            [
                f"torch {torch.__version__}, {torch.get_num_threads()} threads of a CPU.",
                *(f"**{t.title}.** {t.note}".rstrip() + f"\n\n{t.markdown()}" for t in tables),
            ]
        )
        README.write_text(f"{before}{MARKS[0]}\n{body}\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def slices(count: int, rounds: int) -> Findings:
    """Measure `Classifier.predict` over slices beside a loop over them with MONAI's transforms."""
    volume = made_ct((256, 256, count))
    rows: list[list[Cell]] = []
    targets = []
    for name, section in NETWORKS_2D.items():
        classifier = built(section)
        loop = slice_loop(classifier, volume)
        ours = classifier.predict(volume)
        assert ours.windows is not None
        theirs = torch.softmax(loop(), dim=1).numpy()
        differ = float(np.abs(ours.windows.scores - theirs).max())
        times = taking_turns({"ours": lambda c=classifier: c.predict(volume), "loop": loop}, rounds)
        ratio = times["loop"] / times["ours"]
        rows.append([name, times["ours"], times["loop"], ratio, differ])
        targets.append(Target(f"{name}: loop / VoxCAM", ratio, 2.0, at_most=False))
        targets.append(Target(f"{name}: largest difference of a score", differ, 1e-5))
    columns = ("network", "VoxCAM, s", "plain loop, s", "loop / VoxCAM", "scores differ by")
    note = (
        f"{count} slices of 256 x 256, scaled, resized to 128 x 128 and normalised each by itself. The loop "
        "is as tutorials write it: MONAI's Compose on a MetaTensor of one slice, then the network."
    )
    return Findings("slices", [Table("Slices of a volume by a 2D network", columns, rows, note)], targets)


def slice_loop(classifier: Classifier, volume: Volume) -> Callable[[], torch.Tensor]:
    """Return what runs the network over slices one by one, prepared by MONAI."""
    from monai import transforms
    from monai.data import MetaTensor

    steps = [
        getattr(transforms, step["_target_"])(**{k: v for k, v in step.items() if k != "_target_"})
        for step in STEPS
    ]
    compose = transforms.Compose(steps)
    network = copy.deepcopy(classifier.network).to(memory_format=torch.contiguous_format)

    def run() -> torch.Tensor:
        logits = []
        with torch.no_grad():
            for k in range(volume.shape[2]):
                image = compose(MetaTensor(torch.from_numpy(volume.voxels[None, :, :, k])))
                logits.append(network(image.as_tensor()[None])[0])
        return torch.stack(logits)

    return run


def overhead(rounds: int) -> Findings:
    """Measure what preparing, cutting and judging add to the network's own passes, when all is warm."""
    rows: list[list[Cell]] = []
    targets = []
    for name, (classifier, volume) in warm_cases().items():
        prepared = classifier.prepare(volume)
        batches = [batch for _, batch in classifier.batches(prepared)]

        def bare(c: Classifier = classifier, held: list[torch.Tensor] = batches) -> None:
            with torch.no_grad():
                for batch in held:
                    c.network(batch)

        def after(c: Classifier = classifier, p: Any = prepared) -> None:
            logits = [c.logits(batch) for _, batch in c.batches(p)]
            c.judged(torch.cat(logits).numpy(), p)

        runs: dict[str, Callable[[], Any]] = {
            "bare": bare,
            "after": after,
            "predict": lambda c=classifier, v=volume: c.predict(v),
            "explain": lambda c=classifier, v=volume: voxcam.explain(v, c, placement="usual"),
        }
        times = taking_turns(runs, rounds)
        shares = [times[who] / times["bare"] for who in ("after", "predict", "explain")]
        rows.append([name, times["bare"], *shares])
        targets.append(Target(f"{name}: from the prepared input / bare forward", shares[0], 1.10))
        targets.append(Target(f"{name}: predict / bare forward", shares[1], 1.10))
    columns = (
        "what",
        "bare forward, s",
        "from the prepared input / bare",
        "predict / bare",
        "explain / bare",
    )
    note = (
        "Bare: the network alone over batches cut beforehand. From the prepared input: windows cut, passed, "
        "judged. predict: from the volume to scores, with the bundle's own preprocessing. explain: Grad-CAM "
        "of every class beside."
    )
    return Findings(
        "overhead", [Table("What is added to the forward pass, warm", columns, rows, note)], targets
    )


def warm_cases() -> dict[str, tuple[Classifier, Volume]]:
    lung = voxcam.read(voxcam.scan(sample_path(SAMPLES["lung_tumour"].scan)).choose(None))
    abdomen = voxcam.read(voxcam.scan(sample_path(SAMPLES["ct_abdomen"].scan)).choose(None))
    dense = {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1, "out_channels": 2}
    return {
        "nodule demo on its scan, sliding 40^3": (load("lung_nodule_3d"), lung),
        "organ demo on its scan, slices": (load("ct_organs_2d"), abdomen),
        "DenseNet121 3D, 96^3 whole": (built(dense, STEPS[:1], 3), made_ct((96, 96, 96))),
        "DenseNet121 2D, 60 slices": (built(NETWORKS_2D["DenseNet121"]), made_ct((256, 256, 60))),
    }


def load(name: str) -> Classifier:
    return voxcam.load_classifier(model_path(name), "cpu")


FIRST = """
import json, sys, time
begun = time.perf_counter()
marks = {}
def mark(name):
    marks[name] = time.perf_counter() - begun
import voxcam
from voxcam.model.waking import wake
wake(); mark("imports")
volume = voxcam.read(voxcam.scan(sys.argv[1]).choose(None)); mark("scan read")
classifier = voxcam.load_classifier(sys.argv[2], "cpu"); mark("model loaded")
classifier.predict(volume); mark("scores")
voxcam.explain(volume, classifier); mark("heatmaps")
voxcam.explain(volume, classifier); mark("heatmaps again, warm")
print(json.dumps(marks))
"""


def first_result() -> Findings:
    """Measure a fresh process from its start to the first result, and the same again when warm."""
    rows: list[list[Cell]] = []
    for model, sample in (("lung_nodule_3d", "lung_tumour"), ("ct_organs_2d", "ct_abdomen")):
        places = [str(sample_path(SAMPLES[sample].scan)), str(model_path(model))]
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                json.loads(
                    subprocess.run(
                        [sys.executable, "-c", FIRST, *places],
                        capture_output=True,
                        check=True,
                        cwd=folder,
                        env=os.environ | {"VOXCAM_CACHE": "off", "PYTHONPATH": str(Path.cwd() / "src")},
                    ).stdout
                )
                for _ in range(3)
            ]
        ends = [median(run[mark] for run in runs) for mark in runs[0]]
        rows.append([model, *[late - early for early, late in zip([0.0, *ends], ends, strict=False)]])
    columns = ("model", *(f"{mark}, s" for mark in runs[0]))
    note = (
        "Each column is that step alone; medians of three fresh processes, files in the system's cache. "
        "Heatmaps: Grad-CAM of all classes with measured placement, the first time; again, the placement is "
        "known. Imports are torch, SciPy and MONAI."
    )
    return Findings("first", [Table("A fresh process to its first result", columns, rows, note)])


def built(section: dict[str, Any], steps: list[dict[str, Any]] = STEPS, rank: int = 2) -> Classifier:
    """Return a classifier of random weights."""
    from voxcam.model.networks import build_network

    torch.manual_seed(0)
    count = section.get("out_channels", section.get("num_classes"))
    from voxcam.model.assembly import laid_out

    given = voxcam.classifier_of(
        build_network(section),
        preprocessing={"_target_": "Compose", "transforms": steps},
        device="cpu",
        activation="softmax",
        classes=[f"class {n}" for n in range(count)],
        input_shape=[96 if rank == 3 else 128] * rank,
    )
    return laid_out(given)  # as what is loaded from files is


def made_ct(shape: tuple[int, int, int]) -> Volume:
    index = np.indices(shape[:2]) - np.array(shape[:2]).reshape(2, 1, 1) / 2
    body = np.hypot(*index) < 0.42 * shape[0]
    noise = np.random.default_rng(0).normal(0, 30, shape)
    voxels = (np.where(body, 40, -1000)[..., None] + noise).astype(np.float32)
    return Volume(voxels, Geometry(shape, np.diag([1.0, 1.0, 2.0, 1.0])), "CT", "HU")


def taking_turns(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each, run in turns after one run of each that does not count."""
    spent: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for who, run in runs.items():
            begun = time.perf_counter()
            run()
            if number:
                spent[who].append(time.perf_counter() - begun)
    return {who: median(times) for who, times in spent.items()}


if __name__ == "__main__":
    main()
