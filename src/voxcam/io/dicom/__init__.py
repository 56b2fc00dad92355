"""DICOM: from headers to series, from slices to a volume."""
