"""Decoding of compressed DICOM frames, in child processes that a damaged file may kill without harm."""
