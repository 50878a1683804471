"""Video without a camera: a clip, its sender, its receiver."""
