"""What a run may be asked beyond classifier and scan; only what loading and explaining really take."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from voxcam.core.volume import SEQUENCE

if TYPE_CHECKING:
    from voxcam.core.volume import Volume

# Beyond `voxcam.plugin.review.review.METHODS`, which come from one pass. A literal list: the registry itself
# would load torch. Methods that join several layers are for the command line.
MORE_METHODS: dict[str, str] = {
    "cam": "the last layer's own weights, of networks that end in one",
    "eigen-cam": "what stands out in the layer, of no class in particular",
    "eigengrad-cam": "what stands out in the layer, by class",
    "kpca-cam": "what stands out in the layer, bent",
    "finer-cam": "what speaks for a class and not for those like it",
    "shapley-cam": "Grad-CAM with curvature",
    "ablation-cam": "how far the class falls without each channel: slow",
    "score-cam": "how far each channel as a mask raises the class: slow",
    "ss-cam": "Score-CAM on noisy masks: very slow",
    "is-cam": "Score-CAM on the way from nothing to the scan: very slow",
    "smooth-grad-cam++": "Grad-CAM++ over noisy copies: slow",
    "guided-grad-cam": "Grad-CAM times guided gradients, fine-grained",
    "occlusion": "how far the class falls where a box is covered: slow, looks at no layer",
    "integrated-gradients": "gradients on the way from nothing to the scan: slow, looks at no layer",
    "smooth-grad": "mean gradient over noisy copies: slow, looks at no layer",
    "attention-rollout": "of transformers: what share of the attention stems from each patch",
    "legrad": "of transformers: how more attention to a patch would raise the class",
}
AXES = ("i", "j", "k")


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked beyond the usual.

    Parameters
    ----------
    network
        The network of a file of weights, "DenseNet121(spatial_dims=3, ...)"; "" of a bundle, which names it.
    moment
        Of a study in time: which volume, from 0; "all" to score each and explain the clearest; None if there
        is one only.
    augment
        Mirror axes of the network's input; each is one more view, and all are joined.
    methods
        Methods beyond the usual ones, of `MORE_METHODS`.
    """

    network: str = ""
    moment: int | Literal["all"] | None = None
    augment: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    @property
    def for_loading(self) -> dict[str, Any]:
        """What `voxcam.load_classifier` takes."""
        return {"network": self.network or None}

    @property
    def for_explaining(self) -> dict[str, Any]:
        """What `voxcam.explain` takes."""
        return {"moment": self.moment, "augment": self.augment}

    @property
    def words(self) -> str:
        """What is asked, in a line; "" if nothing beyond the usual."""
        count, mirrored = len(self.methods), len(self.augment)
        parts = [
            f"network {self.network.partition('(')[0]}" if self.network else "",
            "all moments scored" if self.moment == "all" else "",
            f"moment {self.moment + 1}" if isinstance(self.moment, int) else "",
            f"{mirrored} mirrored view{'s' * (mirrored != 1)}" if mirrored else "",
            f"{count} more method{'s' * (count != 1)}" if count else "",
        ]
        return ", ".join(filter(None, parts))


def moments_of(volume: Volume | None) -> int:
    """Return how many volumes a study in time holds; 1 of a still one."""
    if volume is None or len(volume.voxels.shape) == 3 or (volume.fourth and volume.fourth.name == SEQUENCE):
        return 1
    return int(volume.voxels.shape[3])


def network_mistake(text: str) -> str:
    """Return what is wrong with the line of a network, in a phrase; "" if it looks like one.

    Whether there is such a network only the run can say: the catalogue would load torch.
    """
    if not text.strip():
        return ""
    try:
        body = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return "not readable: write it as DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)"
    if not isinstance(body, ast.Call):
        return "name and arguments are needed: DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)"
    return ""
