"""HTTP/1.1 for those who ask us: sidecars, kubelet, Prometheus."""
