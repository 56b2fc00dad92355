"""Damaged copies of a file, for fuzzing: flips, holes, repeats, cuts, and lengths that lie."""

from __future__ import annotations

_LENGTHS = [
    n.to_bytes(width, order)
    for width in (2, 4)
    for order in ("little", "big")
    for n in (
        0,
        1,
        (1 << 8 * width) - 1,
        (1 << 8 * width) - 2,
        1 << (8 * width - 1),
        (1 << (8 * width - 1)) - 1,
    )
]


def mutants(seed, rng, count, head=512):
    """Yield `count` damaged copies of `seed`; half of the damage falls in its first `head` bytes.

    Parameters
    ----------
    rng
        numpy Generator.
    """
    for _ in range(count):
        mutant = bytearray(seed)
        for _ in range(int(rng.integers(1, 4))):
            damage = _DAMAGES[int(rng.choice(len(_DAMAGES), p=_ODDS))]
            damage(mutant, rng, _place(mutant, rng, head))
        yield bytes(mutant)


def _place(mutant, rng, head):
    most = min(head, len(mutant)) if rng.random() < 0.5 else len(mutant)
    return int(rng.integers(0, max(most, 1)))


def _flip(mutant, rng, at):
    for place in range(at, min(at + int(rng.integers(1, 4)), len(mutant))):
        mutant[place] ^= 1 << int(rng.integers(8))


def _overwrite(mutant, rng, at):
    mutant[at : at + 1] = bytes([int(rng.integers(256))])[: len(mutant) - at]


def _zero(mutant, rng, at):
    size = min(int(rng.integers(1, 65)), len(mutant) - at)
    mutant[at : at + size] = bytes(size)


def _double(mutant, rng, at):
    size = int(rng.integers(1, 65))
    mutant[at:at] = mutant[at : at + size]


def _cut_out(mutant, rng, at):
    del mutant[at : at + int(rng.integers(1, 65))]


def _lie(mutant, rng, at):
    lie = _LENGTHS[int(rng.integers(len(_LENGTHS)))]
    mutant[at : at + len(lie)] = lie


def _truncate(mutant, rng, at):
    del mutant[at:]


_DAMAGES = (_flip, _overwrite, _zero, _double, _cut_out, _lie, _truncate)
_ODDS = (0.25, 0.2, 0.1, 0.1, 0.1, 0.2, 0.05)
