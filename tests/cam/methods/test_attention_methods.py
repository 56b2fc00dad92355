from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from torch import nn

from tests.cam.agreement import assert_agree
from tests.cam.small_networks import Pooled, images
from tests.cam.small_transformers import GRID, Patches, SwinClassifier, monai_vit, scans
from voxcam import cam
from voxcam.errors import ExplainError

BOTH = ("attention-rollout", "legrad")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small are slower on several threads, and much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def error_of(network, inputs, method, **options):
    with pytest.raises(ExplainError) as caught:
        cam.class_maps(network, inputs, methods=method, options={method: options})
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rolled_out(attention, fuse=np.mean):
    """Abnar and Zuidema's rollout of (blocks, heads, tokens, tokens), number by number."""
    tokens = attention.shape[-1]
    product = np.eye(tokens)
    for heads in attention:
        step = np.zeros((tokens, tokens))
        for i in range(tokens):
            for j in range(tokens):
                step[i, j] = 0.5 * fuse(heads[:, i, j]) + 0.5 * (i == j)
            step[i] /= step[i].sum()
        product = step @ product
    return product


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("fuse", ["mean", "max"])
def test_rollout_is_the_product_of_what_monai_itself_saves(rank, batch, fuse):
    network, x = monai_vit(rank, save_attn=True), scans(rank, batch)
    found = cam.class_maps(
        network, x, methods="attention-rollout", options={"attention-rollout": {"fuse": fuse}}
    )
    with torch.no_grad():
        network(x)
    saved = torch.stack([block.attn.att_mat for block in network.blocks], dim=1).double().numpy()
    for sample in range(batch):
        row = rolled_out(saved[sample], {"mean": np.mean, "max": np.max}[fuse])[0, 1:]
        expected = torch.from_numpy(row).float().reshape(GRID[rank]).expand(4, *GRID[rank])
        assert_agree(found["attention-rollout"][sample], expected.contiguous())


class Given(nn.Module):
    """Two blocks of given attention, over 2 x 3 patches of 4 x 4; the head reads `read` of the tokens."""

    def __init__(self, attention, read):
        super().__init__()
        self.attention, self.read = attention, read
        self.cut, self.head = nn.Conv2d(1, 4, 4, 4), nn.Linear(4, 2)

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        extra = self.attention.shape[-1] - tokens.shape[1]
        tokens = torch.cat([tokens.new_ones(len(x), extra, 4), tokens], dim=1)
        for block in self.attention:
            given = block.log().expand(len(x), -1, -1, -1).softmax(-1)
            tokens = tokens + given.mean(1) @ tokens
        return self.head(tokens[:, self.read].mean(1))


@pytest.mark.parametrize(
    ("extra", "read", "rows"),
    [
        (1, slice(0, 1), [0]),  # a class token
        (1, slice(1, None), range(1, 7)),  # a class token that nobody reads
        (0, slice(None), range(6)),
        (4, slice(4, None), range(4, 10)),  # registers
        (5, slice(0, 1), [0]),
        (2, slice(0, 2), [0, 1]),
    ],
)
def test_rollout_takes_the_rows_that_the_head_reads(extra, read, rows):
    attention = torch.rand(2, 3, extra + 6, extra + 6, generator=torch.Generator().manual_seed(0))
    attention /= attention.sum(-1, keepdim=True)
    found = cam.class_maps(Given(attention, read), torch.randn(1, 1, 8, 12), methods="attention-rollout")
    expected = rolled_out(attention.numpy())[list(rows)].mean(0)
    assert_agree(
        found["attention-rollout"][0, 1], torch.from_numpy(expected[extra:]).float().reshape(2, 3), 1e-5
    )


def test_rollout_of_known_matrices():
    """Block 1 sends every token to the last patch, block 2 attends evenly: a half, and a share of it each."""
    first = torch.full((1, 7, 7), 1e-30)
    first[..., -1] = 1.0
    found = cam.class_maps(
        Given(torch.stack([first, torch.full((1, 7, 7), 1 / 7)]), slice(0, 1)),
        torch.randn(1, 1, 8, 12),
        methods="attention-rollout",
    )["attention-rollout"][0, 0]
    expected = torch.full((2, 3), 0.5 * 0.5 / 7)  # through block 2, and each patch's own half of block 1
    expected[-1, -1] += (
        0.5 * 0.5 + 0.5 * 0.5
    )  # half of block 1 for each token: those of block 2, the class token
    assert_agree(found, expected)


def test_rollout_knows_no_classes_and_its_shares_add_up_to_less_than_one():
    maps = cam.class_maps(monai_vit(3), scans(3), methods="attention-rollout")["attention-rollout"]
    assert torch.equal(maps, maps[:, :1].expand_as(maps))
    assert maps.min() >= 0
    assert (maps.flatten(2).sum(-1) < 1).all()


def attended(block, x, attention=None):
    """MONAI's transformer block written out, with its own attention or one that is given."""
    y = block.norm1(x)
    heads = block.attn.num_heads
    q, k, v = block.attn.qkv(y).reshape(*y.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    if attention is None:
        attention = (q @ k.transpose(-1, -2) * block.attn.scale).softmax(-1)
    mixed = (attention @ v).transpose(1, 2).flatten(2)
    x = x + block.attn.out_proj(mixed)
    return x + block.mlp(block.norm2(x)), attention


def embedded(network, x):
    patches = network.patch_embedding(x)
    return torch.cat([network.cls_token.expand(len(x), -1, -1), patches], dim=1)


def relevance(gradients, grid):
    """LeGrad's formula for gradients (blocks, heads, tokens, tokens), number by number."""
    blocks, heads, tokens, _ = gradients.shape
    out = np.zeros(tokens)
    for one in gradients.double().numpy():
        for head in one:
            for query in head:
                out += np.maximum(query, 0) / (blocks * heads * tokens)
    return torch.from_numpy(out[1:]).float().reshape(grid)


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("score", ["mean", "tokens"])
def test_legrad_is_its_formula_written_out(rank, score):
    network, x = monai_vit(rank, num_layers=2), scans(rank)
    found = cam.class_maps(network, x, methods="legrad", options={"legrad": {"score": score}})["legrad"]
    for sample in range(2):
        with torch.no_grad():
            tokens = [embedded(network, x[sample : sample + 1])]
            for block in network.blocks:
                tokens.append(attended(block, tokens[-1])[0])
        for c in range(4):
            gradients = []
            for block, before in zip(network.blocks, tokens[:-1], strict=True):
                attention = attended(block, before)[1].detach().requires_grad_()
                after = attended(block, before, attention)[0]
                read = after.mean(1) if score == "mean" else after[:, 0]
                logit = network.classification_head(network.norm(read))[0, c]
                gradients.append(torch.autograd.grad(logit, attention)[0][0])
            assert_agree(found[sample, c], relevance(torch.stack(gradients), GRID[rank]))


@pytest.mark.parametrize("rank", [2, 3])
def test_legrad_by_logits_goes_all_ways(rank):
    network, x = monai_vit(rank), scans(rank)
    found = cam.class_maps(network, x, methods="legrad", options={"legrad": {"score": "logits"}})["legrad"]
    for sample in range(2):
        tokens, attention = embedded(network, x[sample : sample + 1]), []
        for block in network.blocks:
            tokens, one = attended(block, tokens)
            attention.append(one)
        logits = network.classification_head(network.norm(tokens)[:, 0])[0]
        for c in range(4):
            gradients = torch.autograd.grad(logits[c], attention, retain_graph=True)
            assert_agree(found[sample, c], relevance(torch.cat(gradients), GRID[rank]))


@pytest.mark.parametrize("score", ["mean", "tokens"])
def test_of_one_block_the_score_of_its_tokens_is_the_logit(score):
    network, x = monai_vit(2, num_layers=1), scans(2)
    maps = {
        one: cam.class_maps(network, x, methods="legrad", options={"legrad": {"score": one}})["legrad"]
        for one in ("tokens", "logits", score)
    }
    assert_agree(maps["tokens"], maps["logits"])


TORCHS = {
    "class token": {"registers": 1, "read": "first"},
    "mean": {},
    "registers": {"registers": 4},
    "norm last": {"registers": 1, "read": "first", "norm_first": False},
    "odd heads": {"registers": 1, "read": "first", "heads": 1},
}


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("kind", TORCHS)
def test_torchs_own_attention_is_seen_in_either_order_of_batch_and_tokens(kind, method, rank):
    x = scans(rank)
    first = cam.class_maps(Patches(rank, **TORCHS[kind]), x, methods=method)[method]
    second = cam.class_maps(Patches(rank, **TORCHS[kind], batch_first=False), x, methods=method)[method]
    assert first.shape == (2, 3, *GRID[rank])
    assert_agree(second, first)


def test_torchs_own_attention_is_the_one_it_tells_of():
    network, x = Patches(2, 1, "first"), scans(2)
    told = []
    for block in network.blocks:
        block.self_attn.register_forward_pre_hook(
            lambda _m, args, kwargs: (args, kwargs | {"need_weights": True, "average_attn_weights": False}),
            with_kwargs=True,
        )
        block.self_attn.register_forward_hook(lambda _m, _a, output: told.append(output[1]))
    with torch.no_grad():
        network(x[:1])
    found = cam.class_maps(Patches(2, 1, "first"), x[:1], methods="attention-rollout")["attention-rollout"]
    expected = rolled_out(torch.stack(told)[:, 0].numpy())[0, 1:]
    assert_agree(found[0, 0], torch.from_numpy(expected).float().reshape(GRID[2]))


class Functional(nn.Module):
    """One kind of attention in plain functions, with a mask that lets nobody see the first patch."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            self.cut, self.qkv, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 24), nn.Linear(8, 2)

    def attend(self, q, k, v):
        mask = torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool)
        mask[:, 0] = False
        added = torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -torch.inf)
        scores = q @ k.transpose(-1, -2) * 0.7 + added
        if self.kind == "fused":
            return nn.functional.scaled_dot_product_attention(q, k, v, mask, scale=0.7)
        if self.kind == "fused, added mask":
            return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=0.7)
        if self.kind == "joined heads":
            joined = scores.flatten(0, 1)
            return (torch.softmax(joined, 2) @ v.flatten(0, 1)).reshape(v.shape)
        softmax = {"tensor": lambda s: s.softmax(dim=-1), "module": nn.Softmax(dim=3)}[self.kind]
        return softmax(scores) @ v

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens).reshape(*tokens.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
        return self.head((tokens + self.attend(q, k, v).transpose(1, 2).flatten(2)).mean(1))


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("kind", ["fused", "fused, added mask", "joined heads", "module"])
def test_attention_in_plain_functions_is_seen(kind, method):
    x, options = torch.randn(2, 1, 12, 16), {"legrad": {"score": "logits"}} if method == "legrad" else {}
    expected = cam.class_maps(Functional("tensor"), x, methods=method, options=options)[method]
    assert_agree(cam.class_maps(Functional(kind), x, methods=method, options=options)[method], expected)


@pytest.mark.parametrize("method", BOTH)
def test_monais_flash_attention_is_seen(method):
    network, x = monai_vit(3), scans(3)
    expected = cam.class_maps(network, x, methods=method)[method]
    for block in network.blocks:
        block.attn.use_flash_attention = True
    assert_agree(cam.class_maps(network, x, methods=method)[method], expected)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("rank", [2, 3])
def test_samples_and_classes_are_asked_each_for_itself(rank, method, monkeypatch):
    network, x = monai_vit(rank), scans(rank)
    every = cam.class_maps(network, x, methods=method)
    monkeypatch.setattr("voxcam.cam.methods.attention.CHUNK_BYTES", 1)
    some = cam.class_maps(network, x, methods=method, classes=[[3, 1], [0, 0]])
    assert_agree(some[method][0], every[method][0, [3, 1]])
    assert_agree(some[method][1], every[method][1, [0, 0]])
    assert_agree(cam.class_maps(network, x[1:], methods=method)[method], every[method][1:])
    assert every[method].dtype == torch.float32
    assert every[method].min() >= 0
    assert cam.upsample(every[method], x.shape[2:]).shape == (2, 4, *x.shape[2:])


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("make", [lambda: monai_vit(2), lambda: Patches(2, 1, "first")])
def test_frozen_weights_and_an_outer_no_grad_change_nothing(make, method):
    expected = cam.class_maps(make(), scans(2), methods=method)[method]
    network = make().requires_grad_(False)
    for held in (torch.no_grad, torch.inference_mode):
        with held():
            assert_agree(cam.class_maps(network, scans(2), methods=method)[method], expected)
    with torch.inference_mode():
        network = make()
        assert_agree(cam.class_maps(network, scans(2), methods=method)[method], expected)


@pytest.mark.parametrize("score", ["mean", "logits"])
def test_no_grad_inside_the_network_is_seen_through_or_said(score):
    class Inside(Patches):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.blocks = Quiet(self.blocks)

    class Quiet(nn.Module):
        def __init__(self, blocks):
            super().__init__()
            self.blocks = blocks

        def forward(self, x):
            with torch.no_grad():
                return self.blocks(x)

    options = {"legrad": {"score": score}}
    expected = cam.class_maps(Patches(2), scans(2), methods="legrad", options=options)["legrad"]
    found = cam.class_maps(Inside(2), scans(2), methods="legrad", options=options)["legrad"]
    assert_agree(found, expected)


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("make", [lambda: monai_vit(3), lambda: Patches(3, 1, "first")])
def test_bfloat16_autocast_gives_nearly_the_same_in_float32(make, method):
    expected = cam.class_maps(make(), scans(3), methods=method)[method]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cam.class_maps(make(), scans(3), methods=method)[method]
    assert found.dtype == torch.float32
    assert float((found - expected).abs().max() / expected.max()) < 0.1
    for dtype in (torch.bfloat16, torch.float16):
        low = cam.class_maps(make().to(dtype), scans(3).to(dtype), methods=method)[method]
        assert float((low - expected).abs().max() / expected.max()) < 0.1


@pytest.mark.parametrize("method", BOTH)
def test_network_that_cuts_its_logits_off_is_refused(method):
    class Held(Patches):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)

    class Cut(Patches):
        def forward(self, x):
            return super().forward(x).detach()

    expected = cam.class_maps(Patches(2), scans(2), methods=method)[method]
    assert_agree(cam.class_maps(Held(2), scans(2), methods=method)[method], expected)
    message = error_of(Cut(2), scans(2), method)
    if method == "legrad":  # its own head cannot be told from one that takes more than the tokens
        assert message.startswith("legrad shows the network's head the tokens of every block, but found no")
        message = error_of(Cut(2), scans(2), method, score="logits")
    assert message == (
        "no gradient of the logits reaches the attention; choose a method that needs none, as occlusion"
    )


class Wrapped(nn.Module):
    """A block that puts out a tuple, as those of some libraries do."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return (self.block(x), None)


class Tuples(Patches):
    def __init__(self, rank):
        super().__init__(rank)
        self.blocks = nn.ModuleList(map(Wrapped, self.blocks))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x, _ = block(x)
        return self.head(x.mean(1))


def test_blocks_may_put_out_tuples():
    expected = cam.class_maps(Patches(3), scans(3), methods="legrad")["legrad"]
    assert_agree(cam.class_maps(Tuples(3), scans(3), methods="legrad")["legrad"], expected)


@pytest.mark.parametrize("score", ["mean", "logits"])
def test_a_step_that_cannot_be_batched_is_differentiated_class_by_class(score):
    class Reading(Patches):
        def forward(self, x):
            logits = super().forward(x)
            if logits.requires_grad:  # its gradient reads a number out of a tensor
                logits.register_hook(lambda g: g * (float(g.abs().max()) >= 0))
            return logits

    options = {"legrad": {"score": score}}
    expected = cam.class_maps(Patches(2), scans(2), methods="legrad", options=options)["legrad"]
    found = cam.class_maps(Reading(2), scans(2), methods="legrad", options=options)["legrad"]
    assert_agree(found, expected)


def traces(network):
    hooks = [
        len(each)
        for module in network.modules()
        for each in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    ]
    flags = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    return hooks, flags, [module.training for module in network.modules()], torch.is_grad_enabled()


@pytest.mark.parametrize("method", BOTH)
def test_network_is_left_as_it_was_found_also_after_an_error(method):
    network = monai_vit(2).train()
    network.blocks[1].eval()
    for parameter in network.blocks[0].parameters():
        parameter.requires_grad_(False)
    before = traces(network)
    cam.class_maps(network, scans(2), methods=method)
    assert traces(network) == before
    calls = []

    def fail(_module, _args):
        calls.append(1)
        if len(calls) == 3:  # the network's own pass, the one that looks for attention, and then
            raise KeyError("in the head")

    handle = network.norm.register_forward_pre_hook(fail)
    with pytest.raises(KeyError, match="in the head"):
        cam.class_maps(network, scans(2), methods=method)
    handle.remove()
    assert traces(network) == before


@pytest.mark.parametrize("method", BOTH)
def test_another_thread_that_runs_the_network_meanwhile_is_not_met(method):
    class Meeting(Patches):
        other = None

        def forward(self, x):
            if threading.current_thread() is threading.main_thread() and self.other is not None:
                return self.head(self.together(x))
            return super().forward(x)

        def together(self, x):
            """The other thread goes through both blocks between our first and our second."""
            x = self.patches(x).flatten(2).transpose(1, 2) + self.places
            x = self.blocks[0](x)
            thread = threading.Thread(target=self.other)
            thread.start()
            thread.join()
            return self.blocks[1](x).mean(1)

    network, answers = Meeting(2), []
    expected = cam.class_maps(network, scans(2), methods=method)[method]
    network.other = lambda: answers.append(network(scans(2, 1, seed=5)))
    assert_agree(cam.class_maps(network, scans(2), methods=method)[method], expected)
    assert all(torch.equal(answer, answers[0]) for answer in answers)
    assert answers


def saved_bytes(run):
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.nbytes) or t, lambda t: t):
        run()
    return sum(sizes)


def test_rollout_keeps_a_graph_from_the_last_attention_on_and_legrad_from_each_to_the_end_of_its_block():
    def kept(depth, method):
        return saved_bytes(
            lambda: cam.class_maps(monai_vit(2, num_layers=depth), scans(2, 1), methods=method)
        )

    assert kept(1, "attention-rollout") == kept(4, "attention-rollout") > 0
    # Each block's normalisation, products for queries and keys and softmax are not kept.
    network = monai_vit(2, num_layers=4)
    assert 0 < kept(4, "legrad") < 0.8 * saved_bytes(lambda: network(scans(2, 1)))


@pytest.mark.parametrize("method", BOTH)
def test_passes_are_foretold_and_counted(method):
    told = []
    cam.class_maps(
        monai_vit(2), scans(2), methods=method, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("method", BOTH)
def test_both_may_be_asked_beside_gradient_methods(method):
    network, x = monai_vit(2), scans(2)
    maps = cam.class_maps(network, x, "blocks.2.norm1", ("grad-cam", method))
    assert_agree(maps[method], cam.class_maps(network, x, methods=method)[method])
    assert maps["grad-cam"].shape == maps[method].shape


@pytest.mark.parametrize("method", BOTH)
def test_networks_without_attention_are_told_to_choose_grad_cam(method):
    assert error_of(Pooled(2), images(2), method) == (
        f"the network has no attention from token to token, which {method} reads: choose grad-cam, at a "
        "layer that rank_layers names"
    )


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("rank", [2, 3])
def test_windows_are_refused(rank, method):
    x = torch.randn(1, 1, *{2: (32, 64), 3: (32, 32, 64)}[rank])
    message = error_of(SwinClassifier(rank), x, method)
    assert message.startswith("the network attends within ")
    assert f"over which {method} is not defined: choose grad-cam" in message


class Narrowing(Functional):
    """Two attentions, the second among the even tokens alone."""

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        for some in (tokens, tokens[:, ::2]):
            q, k, v = self.qkv(some).reshape(*some.shape[:2], 3, 2, 4).permute(2, 0, 3, 1, 4)
            some = some + (torch.softmax(q @ k.transpose(-1, -2), -1) @ v).transpose(1, 2).flatten(2)
        return self.head(some.mean(1))


class Reduced(Functional):
    """Attention to every second token, as in pyramid transformers."""

    def attend(self, q, k, v):
        return torch.softmax(q @ k[:, :, ::2].transpose(-1, -2), -1) @ v[:, :, ::2]


class Elsewhere(Functional):
    """Attention among tokens that are no patches."""

    def forward(self, x):
        q = torch.ones(len(x), 2, 5, 5) * x.mean()
        return self.head(self.cut(x).mean((2, 3)) + q.softmax(-1).sum())


@pytest.mark.parametrize("method", BOTH)
def test_attention_among_changing_tokens_is_refused(method):
    x = torch.randn(1, 1, 12, 16)
    needs = (
        f"{method} needs one set of tokens that attend to one another in every block, but the network attends"
    )
    assert error_of(Narrowing("tensor"), x, method).startswith(f"{needs} from 12 to 12, 6 to 6 tokens")
    assert error_of(Reduced("tensor"), x, method).startswith(f"{needs} from 12 to 6 tokens")
    assert error_of(Elsewhere("tensor"), x, method).startswith(
        "the network attends among 5 tokens, which fit no grid of patches over (12, 16)"
    )


class Shared(Patches):
    """One block, run three times: no module holds one attention and no other."""

    def __init__(self, rank):
        super().__init__(rank, depth=1)
        self.blocks = nn.Sequential(*[self.blocks[0]] * 3)


class TwoEnds(Patches):
    """The head takes what the first block put out as well."""

    def __init__(self, rank):
        super().__init__(rank)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        first = self.blocks[0](x)
        return self.head(torch.cat([first, self.blocks[1](first)], dim=2).mean(1))


class Apart(Functional):
    """Attention and perceptron side by side, the skips outside: no module is a block."""

    def __init__(self):
        super().__init__("tensor")
        self.steps = nn.ModuleList(nn.ModuleList([Attend(), nn.Linear(8, 8)]) for _ in range(2))

    def forward(self, x):
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        for attend, perceptron in self.steps:
            tokens = tokens + attend(tokens)
            tokens = tokens + perceptron(tokens)
        return self.head(tokens.mean(1))


class Attend(nn.Module):
    def __init__(self):
        super().__init__()
        self.qk = nn.Linear(8, 16)

    def forward(self, x):
        q, k = self.qk(x).unsqueeze(1).chunk(2, -1)
        return ((q @ k.transpose(-1, -2)).softmax(-1) @ x.unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("network", [Shared(2), TwoEnds(2), Apart()])
def test_legrad_needs_blocks_and_a_head_for_them_or_the_logits_alone(network):
    message = error_of(network, scans(2), "legrad")
    assert message.startswith("legrad shows the network's head the tokens of every block, but found no such")
    assert "choose its option score='logits', or grad-cam" in message
    maps = cam.class_maps(network, scans(2), methods="legrad", options={"legrad": {"score": "logits"}})
    assert maps["legrad"].shape[2:] in (GRID[2], (6, 8))
    assert maps["legrad"].amax() > 0


def test_options_are_checked():
    assert error_of(monai_vit(2), scans(2), "attention-rollout", fuse="min") == (
        "attention-rollout: expected fuse as one of mean, max, found 'min'"
    )
    assert error_of(monai_vit(2), scans(2), "legrad", score="block") == (
        "legrad: expected score as one of mean, tokens, logits, found 'block'"
    )


def test_a_saturated_end_is_said():
    network = monai_vit(2, post_activation="Tanh")
    with torch.no_grad():
        network.classification_head[0].bias.fill_(1e4)
    assert error_of(network, scans(2), "attention-rollout").endswith(
        "is an activation after the logits saturated?"
    )
    assert not cam.class_maps(network, scans(2), methods="legrad")["legrad"].any()


def test_gradients_that_are_not_finite_are_refused():
    class Rooted(Patches):
        def forward(self, x):
            logits = super().forward(x)
            return logits + (logits - logits.detach()).abs().sqrt()

    assert error_of(Rooted(2), scans(2), "legrad") == (
        "legrad: the gradients hold NaN or infinity; run the network in float32"
    )
