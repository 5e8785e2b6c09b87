"""Tests of the prompt languages."""
