"""Contrastive training of a decoder: batches, loss, loop, checkpoints, runs."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported; see core.encoder
