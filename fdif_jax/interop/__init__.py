"""Weights to and from MONAI, nnU-Net and SSL3D."""
