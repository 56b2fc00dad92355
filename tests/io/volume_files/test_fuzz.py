from __future__ import annotations

from tests.io.volume_files.fuzz import run, run_kin


def test_mutated_niftis_end_as_promised_or_refused():
    counts = run(400)
    assert sum(counts.values()) == 400
    assert counts["read"] > 100
    assert counts["refused"] > 50
    assert counts.get("not one line", 0) == counts.get("refused by the last net", 0) == 0


def test_mutated_kin_end_as_promised_or_refused():
    counts = run_kin(400)
    assert sum(counts.values()) == 400
    assert counts["refused"] > 50
    assert counts.get("not one line", 0) == counts.get("refused by the last net", 0) == 0
