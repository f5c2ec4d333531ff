"""What goes in and out: frames, pseudo-masks, rendering, batches, files."""
