"""Models, data, training, experiments and plots behind the course notebooks."""
