"""Trains the checkpoint that ships with Safelight: artwork to captioned scenes to a diffusion model."""
