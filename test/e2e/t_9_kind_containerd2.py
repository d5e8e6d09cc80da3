"""A real Kubernetes with containerd 2: the chart, the device plugin before kubelet, workloads under restarts and upgrades."""
from cluster import suite

globals().update(suite.tests("2"))
