"""VoxCAM in napari. The only folder that knows napari and Qt."""
