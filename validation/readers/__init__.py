"""Programs that run inside the environments of the frameworks."""
