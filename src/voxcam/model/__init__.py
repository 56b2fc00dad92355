"""MONAI classifiers: reading a bundle without running it, preprocessing with affines, devices."""
