"""Receptive fields: by formula, layer by layer, for nets with branches; and measured, by gradient.

The receptive field of an output position is the set of input positions that can reach it: Araujo,
Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019. For
the measured one: Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep
Convolutional Neural Networks", 2016.
"""
