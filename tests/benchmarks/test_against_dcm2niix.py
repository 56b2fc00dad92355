from __future__ import annotations

from benchmarks.against_dcm2niix import EVEN_MM, rows


def test_every_series_agrees_with_dcm2niix_or_differs_for_a_stated_reason():
    found = rows()
    assert len(found) > 40
    for row in found:
        agrees = row.voxels == "equal" and row.affine_mm is not None and row.affine_mm <= EVEN_MM
        assert agrees or row.reason, row
    assert sum(bool(row.reason) for row in found) == 7
