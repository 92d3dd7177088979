"""Architectures as pictures: a folded outline of a program, its layout, and writers for SVG, DOT, Mermaid and HTML.

`outline` says what is drawn, `skeleton` and `geometry` where, and the writers how. The same drawing
serves `nnspec graph` and `nnspec report`.
"""
