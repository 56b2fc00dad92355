"""The picture: napari's layers, the words on it, the mouse. The only room that touches napari's viewer."""
