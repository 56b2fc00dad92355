"""One forward pass, watched: its layers, what they put out, their gradients, and the head after them."""
