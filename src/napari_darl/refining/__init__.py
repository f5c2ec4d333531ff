"""Learning from corrections: refine a model on frames that someone has corrected."""
