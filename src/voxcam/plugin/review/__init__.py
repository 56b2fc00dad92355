"""What is read, and how it is looked at: state and signals, without Qt and napari."""
