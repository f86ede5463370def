"""Wan2.1 as DVD uses it: a causal video autoencoder and a diffusion transformer in latent space."""
