"""The peers: one file each, with a class `Peer`.

    PACKAGE              the distribution on PyPI
    SETTINGS             what was chosen, for the table
    DURABLE              whether `build` leaves an index on disk; otherwise `save` writes it
    Peer(metric, threads, k)   `metric` is "dot" or "l2"
    build(rows, folder)  an index of a matrix of f32 rows; the row number is the id. The folder is there unless DURABLE
    save(folder)         writes it
    open(folder, dim)    reads it, for one thread that asks
    effort(value)        how hard later queries search
    ask(query)           the ids of the k nearest rows
    close()

Graphs have the links of an HNSW with M = 16 (up to 32 in its lowest layer) and are built with a queue of 200. Under
cosine, rows and queries come normalised and the metric is "dot". A `Peer` raises NotImplementedError for what its
library cannot do.
"""

NAMES = ("svs", "qdrant", "zvec", "faiss", "hnswlib", "usearch")


class Adapter:
    """What most peers have in common."""

    DURABLE = False

    def __init__(self, metric, threads, k):
        self.metric, self.threads, self.k = metric, threads, k

    def save(self, folder):
        """Nothing is left to do where `build` wrote the index."""

    def close(self):
        """Nothing is left to do where memory alone is held."""
