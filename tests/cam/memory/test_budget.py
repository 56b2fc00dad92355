from __future__ import annotations

import errno
import gc
import os
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Deep, NoVmapRule, Pooled, images
from voxcam import cam
from voxcam.cam.memory.budget import free_bytes, is_out_of_memory, predict_bytes
from voxcam.errors import Cancelled, ExplainError

MIB = 2**20


def raised_by(work):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the library decides what it raises
        work()
    return caught.value


@pytest.mark.parametrize("size", [2**45, 2**47])
def test_what_the_cpu_allocator_raises_is_out_of_memory(size):
    assert is_out_of_memory(raised_by(lambda: torch.empty(size)))


def test_what_python_and_the_system_raise_is_out_of_memory():
    assert is_out_of_memory(raised_by(lambda: bytearray(2**60)))
    assert is_out_of_memory(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of"
        ),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA driver error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.56 GB, max allowed: 6.80 GB). Tried to"),
        RuntimeError("Invalid buffer size: 19.45 GB"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you"),
        RuntimeError("unable to mmap 1024 bytes from file <x>: Cannot allocate memory (12)"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_words_of_the_allocators_are_out_of_memory(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"),
        RuntimeError("Storage size calculation overflowed with sizes=[4611686018427387904]"),
        RuntimeError("unsupported memory format option Preserve"),
        RuntimeError("cannot pin 'torch.FloatTensor', only dense CPU tensors can be pinned memory"),
        RuntimeError("input is not contiguous in memory; expected memory format"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        ValueError("CUDA out of memory"),
        OSError(errno.ENOENT, os.strerror(errno.ENOENT)),
        ExplainError("memory ran out"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
def test_other_errors_are_not_even_where_they_speak_of_memory(error):
    assert not is_out_of_memory(error)


def test_real_errors_of_shape_are_not():
    assert not is_out_of_memory(raised_by(lambda: torch.ones(2, 3) @ torch.ones(2, 3)))
    assert not is_out_of_memory(raised_by(lambda: torch.empty(2**62)))


def test_an_error_raised_from_one_of_memory_is_and_one_raised_after_it_is_not():
    def explain(error):
        try:
            torch.empty(2**46)
        except RuntimeError as cause:
            raise error from cause

    def stumble():
        try:
            torch.empty(2**46)
        except RuntimeError:
            raise ValueError("a mistake while tidying up")  # noqa: B904 - implicitly chained

    assert is_out_of_memory(raised_by(lambda: explain(ExplainError("no map"))))
    assert not is_out_of_memory(raised_by(lambda: explain(Cancelled())))
    assert not is_out_of_memory(raised_by(stumble))


@pytest.fixture(scope="module")
def monai():
    """Networks of MONAI with layers as wide as real ones; it is imported here only, for it takes seconds."""
    from monai.networks import nets

    def dense(rank, classes):
        block = {"init_features": 16, "growth_rate": 8, "block_config": (2, 3, 2), "bn_size": 2}
        return nets.DenseNet(rank, 1, classes, **block)

    def residual(rank, classes):
        shape = {"spatial_dims": rank, "n_input_channels": 1, "num_classes": classes, "conv1_t_size": 3}
        return nets.ResNet("basic", [1, 1, 1, 1], [16, 32, 48, 64], **shape)

    return SimpleNamespace(dense=dense, residual=residual)


def peak_of_the_allocator(run):
    """Bytes that torch's CPU allocator had given out at most while `run` ran, by torch's own profiler."""
    gc.collect()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    now = peak = 0
    for _, size in sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"):
        now += size
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize(
    ("kind", "layers", "classes"),
    [
        ("dense", "class_layers.relu", 3),
        ("dense", "features.transition1", 6),
        ("residual", "layer4", 6),
        ("residual", ["layer1", "layer4"], 3),
        ("residual", "conv1", 3),
    ],
)
def test_prediction_is_what_the_allocator_gives_out(monai, kind, layers, classes, rank):
    network = getattr(monai, kind)(rank, classes)
    x = torch.randn(2, 1, *{2: (96, 128), 3: (32, 32, 48)}[rank])
    predicted = predict_bytes(network, x, layers)
    cam.class_maps(network, x[:1], layers)  # what the first call alone needs
    measured = peak_of_the_allocator(lambda: cam.class_maps(network, x, layers))
    ours = predicted.total - predicted.parameters - x.nbytes  # what is there before the call
    assert 0.9 * measured <= ours <= 1.1 * measured


@pytest.mark.parametrize(("chunk", "classes"), [(1, None), (3, None), (None, None), (None, [0, 3])])
def test_prediction_follows_the_chunk(monai, chunk, classes):
    network, x = monai.residual(2, 8), torch.randn(1, 1, 64, 64)
    predicted = predict_bytes(network, x, "layer1", classes, chunk)
    measured = peak_of_the_allocator(
        lambda: cam.class_maps(network, x, "layer1", classes=classes, chunk=chunk)
    )
    assert 0.8 * measured <= predicted.total - predicted.parameters - x.nbytes <= 1.25 * measured


def test_parts_of_the_prediction_by_hand():
    trunk = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    network = nn.Sequential(trunk, nn.MaxPool2d(32), nn.Flatten())
    found = predict_bytes(network, torch.zeros(2, 1, 32, 32), "0", chunk=4)
    plane = 2 * 32 * 32 * 4
    assert found.parameters == 4 * (16 * 9 + 16 + 4 * 16 + 4)
    assert found.activations == plane * (1 + 16 + 16)  # the inputs, and both sides of the ReLU
    pooled = 2 * 4 * (4 + 8)  # the largest values, and where they were
    assert found.head == plane * (1 + 4 + 4) + pooled  # the inputs, the layer's output and its copy
    assert found.total == found.parameters + max(found.activations, found.head + found.gradients)


def test_weights_that_are_shared_count_once():
    network = Pooled(2)
    bare = predict_bytes(network, images(2), "features").parameters
    network.same = network.classifier
    network.register_buffer("view", network.classifier.weight.detach()[1:])
    assert predict_bytes(network, images(2), "features").parameters == bare
    assert bare == sum(value.nbytes for value in Pooled(2).state_dict().values())


def test_prediction_takes_no_memory_and_runs_nothing():
    network = nn.Sequential(
        nn.Conv3d(1, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    huge = torch.zeros(1).expand(1, 1, 8192, 8192, 8192)
    found = predict_bytes(network, huge, "0")
    assert found.activations >= 4 * 8192**3 * 4


class Reading(Deep):
    """Reads a number out of a tensor, which a stand-in does not hold."""

    def forward(self, x):
        return super().forward(x * (1.0 if float(x.abs().max()) > 0 else 0.0))


@pytest.mark.parametrize(("network", "like"), [(Reading(3), Deep(3)), (NoVmapRule(3), Deep(3))])
def test_a_network_that_stand_ins_cannot_run_shows_one_sample(network, like):
    found, alike = predict_bytes(network, images(3, 4), "trunk"), predict_bytes(like, images(3, 4), "trunk")
    assert 0.8 * alike.total <= found.total <= 1.6 * alike.total


class Remembering(Pooled):
    """Keeps a table from one pass for the next, as some transformers do."""

    table = None

    def forward(self, x):
        if self.table is None:
            self.table = torch.ones(x.shape[2:])
            self.register_buffer("late", torch.ones(1))
            self.features.passes = 1
        return super().forward(x * self.table)


class Sharing(Pooled):
    """One layer that stands in the network twice, and two that share a weight."""

    def __init__(self, rank):
        super().__init__(rank)
        self.same, self.alike = self.classifier, nn.Linear(6, 4)
        self.alike.weight = self.classifier.weight

    def forward(self, x):
        pooled = self.features(x).mean((2, 3))
        return self.classifier(pooled) + self.same(pooled) + self.alike(pooled)


@pytest.mark.parametrize(
    ("network", "layer"),
    [(Remembering(2), "features"), (Reading(2), "trunk"), (Sharing(2), "features")],
)
def test_prediction_leaves_the_network_as_found(network, layer):
    network.train()
    before = {name: (id(value), value.clone()) for name, value in network.state_dict(keep_vars=True).items()}
    attributes = {name: set(vars(module)) for name, module in network.named_modules()}
    predict_bytes(network, images(2), layer)
    after = network.state_dict(keep_vars=True)
    assert {name: id(value) for name, value in after.items()} == {name: i for name, (i, _) in before.items()}
    assert all(torch.equal(after[name], value) for name, (_, value) in before.items())
    assert {name: set(vars(module)) for name, module in network.named_modules()} == attributes
    assert all(module.training and not module._forward_hooks for module in network.modules())
    network.eval()
    assert_agree(cam.class_maps(network, images(2), layer).logits, network(images(2)).detach())


class Pair(nn.Module):
    """Puts out two stacks of maps, one after the other, and runs one layer twice."""

    def __init__(self):
        super().__init__()
        self.both, self.relu = nn.ModuleList([nn.Conv2d(1, 16, 3), nn.Conv2d(1, 32, 3)]), nn.ReLU()
        self.split, self.last = Split(), nn.Linear(48, 2)

    def forward(self, x):
        first, second = self.split(self.both[0](x), self.both[1](x))
        x = torch.cat([self.relu(first), self.relu(second)], dim=1)
        return {"logits": self.last(x.mean((2, 3))), "features": x}


class Split(nn.Module):
    def forward(self, first, second):
        return [first * 2, second * 2]


def test_layers_are_named_as_for_class_maps():
    x = torch.zeros(2, 1, 34, 34)
    plane = 2 * 32 * 32 * 4
    head = {
        name: predict_bytes(Pair(), x, name).head for name in ("split[0]", "split[1]", "relu@1", "relu@2")
    }
    assert head["split[1]"] - head["split[0]"] >= plane * 16
    assert head["relu@2"] - head["relu@1"] >= plane * 16
    with pytest.raises(ExplainError, match="the network has no layer 'splits'; did you mean 'split'"):
        predict_bytes(Pair(), x, "splits")


def test_what_is_no_classifier_is_refused():
    with pytest.raises(ExplainError, match="expected the network to put out logits"):
        predict_bytes(nn.Sequential(nn.Conv2d(1, 4, 3)), images(2), "0")


def test_prediction_in_the_callers_autocast_is_smaller():
    network, x = Deep(3), images(3)
    full = predict_bytes(network, x, "trunk")
    with torch.autocast("cpu", torch.bfloat16):
        assert predict_bytes(network, x, "trunk").activations < 0.8 * full.activations


def test_free_bytes_of_the_cpu_are_what_the_system_could_give(monkeypatch, tmp_path):
    real = free_bytes("cpu")
    assert real is None or 64 * MIB < real < 2**50
    told = tmp_path / "meminfo"
    told.write_text(
        "MemTotal:       24000000 kB\nMemFree:  1000 kB\nMemAvailable:   1234567 kB\nBuffers: 8 kB\n"
    )
    monkeypatch.setattr("voxcam.cam.memory.budget._MEMINFO", told)
    assert free_bytes("cpu") == 1234567 * 1024


def test_free_bytes_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr("voxcam.cam.memory.budget._MEMINFO", tmp_path / "absent")
    monkeypatch.setattr(
        os, "sysconf", {"SC_AVPHYS_PAGES": 3, "SC_PAGE_SIZE": 4096}.__getitem__, raising=False
    )
    assert free_bytes("cpu") == 3 * 4096

    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert free_bytes("cpu") is None


def test_free_bytes_of_cuda_count_what_torch_caches(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 300)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    assert free_bytes("cuda:1") == 1200


def test_free_bytes_of_mps_are_not_negative(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 1000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 300)
    assert free_bytes("mps") == 700
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 1300)
    assert free_bytes("mps") == 0


def test_free_bytes_of_a_device_without_memory_are_unknown():
    assert free_bytes("meta") is None
