"""Graphs: Planetoid citation graphs, generated graphs, graph encoders and Deep Graph Infomax."""
