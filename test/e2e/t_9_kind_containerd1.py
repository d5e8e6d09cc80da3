"""The same on containerd 1.6, which knows no CDI, no runtime_path and no drop-in configuration."""
from cluster import suite

globals().update(suite.tests("1.6", all_of_them=False))
