"""Writers of small DICOM series with a known place in the world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SOP_CLASSES = {
    "CT": CTImageStorage,
    "MR": MRImageStorage,
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}


def rotation(angles):
    """A rotation about x, y, z by degrees."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def affine_of(angles=(0, 0, 0), spacing=(0.8, 0.9, 2.5), origin=(-40.0, -30.0, 100.0), shear=(0.0, 0.0)):
    """A (4, 4) affine to RAS mm a scanner could have: i and j at a right angle, k leaning by `shear` mm.

    Axes i, j, k point to L, P, S where angles are 0.
    """
    axes = rotation(angles) @ np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = axes[:, 0] * spacing[0], axes[:, 1] * spacing[1]
    affine[:3, 2] = axes[:, 2] * spacing[2] + axes[:, 0] * shear[0] + axes[:, 1] * shear[1]
    affine[:3, 3] = origin
    return affine


def noise(shape=(7, 5, 4), seed=0, high=2000):
    """Stored values (i, j, k), no two slices or rows alike."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.int16)


def write_dicom_series(folder, voxels, affine=None, *, order=None, each=None, compress=None, **elements):
    """Write stored values (i, j, k) as one single-frame DICOM file a slice, and return the paths by k.

    Parameters
    ----------
    affine
        (4, 4) voxel index to RAS mm; the k axis on the side of i x j.
    order
        File n holds slice ``order[n]``; InstanceNumber follows the file, so position alone tells.
    each
        Function (k) -> dict of elements that differ from slice to slice.
    compress
        Transfer syntax UID to encode to.
    elements
        Attributes by DICOM keyword; None takes the attribute away.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    affine = affine_of() if affine is None else np.asarray(affine)
    order = range(voxels.shape[2]) if order is None else order
    shared = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    shared["FrameOfReferenceUID"] = generate_uid()
    paths = {}
    for number, k in enumerate(order):
        dataset = slice_dataset(voxels[:, :, k], affine, k, elements.get("Modality", "CT"))
        own = {**shared, "InstanceNumber": number + 1, **elements, **(each(k) if each else {})}
        for keyword, value in own.items():
            if value is None:
                if keyword in dataset:
                    delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        paths[k] = folder / f"{number:03d}"
        write(dataset, paths[k], compress)
    return [paths[k] for k in sorted(paths)]


def slice_dataset(pixels, affine, k, modality="CT"):
    """A data set of one slice (i, j) at its place."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    dataset = Dataset()
    dataset.SOPClassUID = SOP_CLASSES.get(modality, "1.2.840.10008.5.1.4.1.1.7")
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = modality
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Nobody^At^All", "0"
    dataset.ImageOrientationPatient = decimals([*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])])
    dataset.ImagePositionPatient = decimals(lps[:3, :3] @ (0, 0, k) + lps[:3, 3])
    dataset.PixelSpacing = decimals([spacing[1], spacing[0]])
    dataset.SliceThickness = decimals([spacing[2]])[0]
    dataset.RescaleSlope, dataset.RescaleIntercept = "1", "-1024"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels.T).astype(f"<{pixels.dtype.kind}2").tobytes()
    return dataset


def decimals(numbers):
    """As DICOM's decimal strings hold them: 16 characters."""
    found = []
    for number in numbers:
        digits = 16
        while len(f"{number:.{digits}g}") > 16:
            digits -= 1
        found.append(f"{number:.{digits}g}")
    return found


def write(dataset, path, compress=None):
    """Write a data set as a DICOM file."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        dataset.SOPClassUID,
        dataset.SOPInstanceUID,
    )
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    if compress is not None:
        dataset.compress(compress, generate_instance_uid=False)
    dcmwrite(path, dataset, enforce_file_format=True)
