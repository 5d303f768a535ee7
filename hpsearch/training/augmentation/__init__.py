"""What changes a training batch, sample by sample, and what is averaged when a model is evaluated."""
