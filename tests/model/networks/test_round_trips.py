"""Every network of the catalogue loads from our bundle as MONAI itself loads it: the same logits."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from bundles import write_bundle
from safetensors.torch import load_file

from tests.model.networks.sections import CASES, SIZE, outputs_of, section, small_section
from voxcam.model.networks import build_network, input_channels, spatial_rank
from voxcam.model.networks.catalogue import ALIASES, CATALOGUE
from voxcam.model.weights import load_weights

FULL = [(name, rank) for name in ("DenseNet264", "SENet154", "resnet200") for rank in (2, 3)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what most of the time goes to: numbers drawn at building, which loading replaces."""
    monkeypatch.setattr("bundles.random_weights", seeded_weights)
    for name in ("kaiming_normal_", "kaiming_uniform_", "uniform_", "normal_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_args, **_named: tensor)


def seeded_weights(said: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Return weights of a size that keeps activations in range; variances stay above zero."""
    with torch.device("meta"):
        from monai.bundle import ConfigParser

        shapes = ConfigParser({"network_def": said}).get_parsed_content("network_def").state_dict()
    draw, state = torch.Generator().manual_seed(0), {}
    for name, like in shapes.items():
        if not like.is_floating_point():
            state[name] = torch.zeros(like.shape, dtype=like.dtype)
            continue
        spread = (2 / max(1, like[0].numel())) ** 0.5 if like.ndim > 1 else 0.1
        centre = 1.0 if like.ndim == 1 and not name.endswith(("bias", "mean")) else 0.0
        state[name] = centre + spread * (2 * torch.rand(like.shape, generator=draw) - 1)
    return state


class Said(dict[str, Any]):
    """A section; `write_bundle` asks each for its out_channels, which not all networks call so."""

    def __missing__(self, key: str) -> int:
        return 0


def ours(bundle: Path) -> torch.nn.Module:
    network = build_network(json.loads((bundle / "configs" / "inference.json").read_text())["network_def"])
    load_weights(network, bundle / "models" / "model.safetensors")
    return network


def monais(bundle: Path) -> torch.nn.Module:
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    network: torch.nn.Module = parser.get_parsed_content("network_def")
    network.load_state_dict(load_file(bundle / "models" / "model.safetensors"))
    return network.eval()


def logits(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    # oneDNN prepares each of hundreds of tiny convolutions, which takes longer than running them.
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):
        outputs = network(inputs)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def compare(folder: Path, said: dict[str, Any], rank: int, size: int, outputs: int) -> float:
    bundle = write_bundle(folder / "bundle", Said(said), classes=[f"class {n}" for n in range(outputs)])
    network = ours(bundle)
    assert (spatial_rank(network), input_channels(network)) == (rank, 1)
    assert not any(module.training for module in network.modules())
    assert {(tensor.dtype, tensor.device.type) for tensor in network.parameters()} == {(torch.float32, "cpu")}
    inputs = torch.randn(2, 1, *[size] * rank, generator=torch.Generator().manual_seed(1))
    found, expected = logits(network, inputs), logits(monais(bundle), inputs)
    assert found.shape == (2, outputs)
    # Positive control: the weights matter and the inputs do too.
    assert (found[0] - found[1]).abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    return (found - expected).abs().max().item()


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_a_bundle_loads_as_monai_loads_it(name: str, rank: int, tmp_path: Path) -> None:
    worst = compare(tmp_path, small_section(name, rank), rank, SIZE, outputs_of(name))
    sys.stdout.write(f"{name} {rank}D: logits differ by {worst:.0e}\n")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rank"), FULL)
def test_the_largest_ones_at_full_size_do_too(name: str, rank: int, tmp_path: Path) -> None:
    compare(tmp_path, section(name, rank), rank, 32, 3)


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name != "TorchVisionFCModel"])
def test_at_full_size_every_number_has_the_shape_monai_gives_it(name: str) -> None:
    """On the "meta" device, where numbers take no room: our arguments make MONAI's own architecture."""
    from monai.bundle import ConfigParser

    from tests.model.networks.sections import SMALL
    from voxcam.model.networks.arguments import checked_arguments

    needed = "Classifier Critic Discriminator EfficientNet EfficientNetBN Regressor ResNet SENet ViT".split()
    said = section(name, 2) | (SMALL[name] if name in needed else {})
    with torch.device("meta"):
        expected = ConfigParser({"network_def": said}).get_parsed_content("network_def")
        from monai.networks import nets

        arguments = {key: value for key, value in said.items() if key != "_target_"}
        network = getattr(nets, name)(**checked_arguments(name, arguments))
    shapes = {key: tensor.shape for key, tensor in network.state_dict().items()}
    assert shapes == {key: tensor.shape for key, tensor in expected.state_dict().items()}
    assert sum(math.prod(shape) for shape in shapes.values()) > 0


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_a_second_spelling_is_the_same_network(alias: str) -> None:
    first = build_network(small_section(ALIASES[alias], 2))
    second = build_network(small_section(ALIASES[alias], 2) | {"_target_": alias})
    assert type(first) is type(second)
    assert first.state_dict().keys() == second.state_dict().keys()
