"""VoxCAM's engine beside those of MONAI, pytorch-grad-cam, torch-cam and captum."""
