"""Gateway to models on this machine: texts to vectors, and the embedded teacher."""

import os

# Read once, when torch loads its thread library. By default idle threads spin; as soon as another process wants the same core, every
# small operation then waits for the scheduler: writing one token took 1.7 s instead of 0.08 s (2 cores under load, measured).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
