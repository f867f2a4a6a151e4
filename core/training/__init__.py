"""Contrastive LoRA training: plan, batches, losses, loop, checkpoints."""
