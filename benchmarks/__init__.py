"""Benchmarks: ours, a raw loop on the same disk, and peers, interleaved in one run. Figures are ratios; see README.md."""
