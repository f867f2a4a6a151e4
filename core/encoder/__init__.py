"""Gateway to models on this machine: texts to vectors, and the embedded teacher."""
