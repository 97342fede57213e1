"""Benchmark of estimated accuracy: estimates without labels beside what labels say, where only the inputs shift."""
