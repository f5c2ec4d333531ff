"""Many images one after the other: what there is to do, what is done already, and what failed."""
