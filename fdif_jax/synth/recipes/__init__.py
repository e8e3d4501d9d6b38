"""Recipes: what a data set is made of (classes, sample, render)."""
