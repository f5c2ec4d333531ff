"""Training: crops and pseudo-masks, teachers, the training loop, and the run folder."""
