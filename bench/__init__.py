"""Benchmarks: one script a question; each prints its answer as ratios within one run. See bench/README.md."""
